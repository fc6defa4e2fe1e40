//! Limits on the resources of this machine that requests may use.

use std::time::Duration;

use super::reference::Words;
use super::table::Table;
use crate::photo::Limits;

const WORDS: Words = &[
    ("upload_bytes", "Maximum size of an uploaded image file."),
    ("pixels", "Maximum number of pixels of a photo."),
    ("side", "Maximum width and height of a photo, in pixels."),
    ("request_seconds", "Request time-out, in seconds."),
    (
        "decoding_pixels",
        "Pixels that may be decoded and in memory at once, at four bytes each; formats that need more memory count more. At least `limits.pixels`.",
    ),
    ("waiting", "Requests that may wait for decoding before further ones get 503."),
    (
        "upload_memory",
        "Memory of all uploads together, in bytes, before further ones get 503. At least `limits.upload_bytes`.",
    ),
    ("upload_grace_seconds", "Seconds that any upload may take, whatever its size."),
    (
        "upload_speed",
        "Minimum speed of an upload after that time, in bytes per second; a slower upload gets 408. 0 disables the check.",
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Maximum size of an upload in bytes, after decoding base64 or a form.
    pub upload_bytes: u64,
    /// Maximum number of pixels of a photo.
    pub pixels: u64,
    /// Maximum length of a photo's longer side, in pixels.
    pub side: u32,
    /// Time-out of a request.
    pub request: Duration,
    /// Maximum number of pixels in decoding or in memory at once; at least `pixels`.
    pub decoding_pixels: u64,
    /// Maximum number of requests that wait for the decoder; the gateway refuses further ones.
    pub waiting: usize,
    /// Maximum memory for uploads at once, in bytes; at least `upload_bytes`.
    pub upload_memory: u64,
    /// Time that every upload may take, whatever its size.
    pub upload_grace: Duration,
    /// Minimum speed of an upload after `upload_grace`, in bytes per second; 0 disables the check.
    pub upload_speed: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            upload_bytes: 20 * 1024 * 1024,
            pixels: 50_000_000,
            side: 16_384,
            request: Duration::from_secs(120),
            decoding_pixels: 64_000_000,
            waiting: 32,
            upload_memory: 512 << 20,
            upload_grace: Duration::from_secs(10),
            upload_speed: 16 << 10,
        }
    }
}

impl LimitsConfig {
    /// The limits that the decoder checks.
    pub const fn photo(&self) -> Limits {
        Limits { max_pixels: self.pixels, max_side: self.side }
    }

    pub(super) fn read(table: &mut Table<'_>) -> Self {
        table.describe(WORDS);
        let default = Self::default();
        let pixels = table.whole("pixels", default.pixels, 1..=1_000_000_000);
        let upload_bytes = table.bytes("upload_bytes", default.upload_bytes, 1024..=1 << 30);
        let limits = Self {
            upload_bytes,
            pixels,
            side: table.whole("side", default.side, 1..=65_535),
            request: table.seconds("request_seconds", default.request, 1.0..=3600.0),
            decoding_pixels: table.whole(
                "decoding_pixels",
                default.decoding_pixels.max(pixels),
                1..=1_000_000_000_000,
            ),
            waiting: table.whole("waiting", default.waiting, 0..=100_000),
            upload_memory: table.bytes(
                "upload_memory",
                default.upload_memory.max(upload_bytes),
                1024..=1 << 50,
            ),
            upload_grace: table.seconds("upload_grace_seconds", default.upload_grace, 0.1..=3600.0),
            upload_speed: table.bytes("upload_speed", default.upload_speed, 0..=1 << 30),
        };
        if limits.upload_memory < limits.upload_bytes {
            let message = "`limits.upload_memory` must not be below `limits.upload_bytes`: \
                           the largest photo would never be admitted";
            table.problem(&["upload_memory"], message);
        }
        if limits.decoding_pixels < limits.pixels {
            let message = "`limits.decoding_pixels` must not be below `limits.pixels`: \
                           the largest photo would wait for ever";
            table.problem(&["decoding_pixels"], message);
        }
        limits
    }
}
