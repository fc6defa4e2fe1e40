//! Limits on the resources of this machine that requests may use.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use smart_default::SmartDefault;

use super::kinds::{One, Seconds, Size};
use super::place::Place;
use crate::photo::Limits;

/// Limits on single requests and on all requests together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, SmartDefault)]
#[serde(default)]
pub struct LimitsConfig {
    /// Maximum size of an uploaded image file.
    #[serde(with = "One::<Size>")]
    #[schemars(range(min = 1024, max = 1u64 << 30))]
    #[default(20 * 1024 * 1024)]
    pub upload_bytes: u64,
    /// Maximum size of a file that `pixcolor colorize` reads. With `--gateway`, the gateway's `limits.upload_bytes`
    /// applies.
    #[serde(with = "One::<Size>")]
    #[schemars(range(min = 1024, max = 1u64 << 34))]
    #[default(512 << 20)]
    pub file_bytes: u64,
    /// Maximum number of pixels of a photo.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    #[default = 50_000_000]
    pub pixels: u64,
    /// Maximum width and height of a photo, in pixels.
    #[schemars(range(min = 1, max = 65_535))]
    #[default = 16_384]
    pub side: u32,
    /// Request time-out, in seconds.
    #[serde(rename = "request_seconds", with = "One::<Seconds>")]
    #[schemars(range(min = 1, max = 3600))]
    #[default(Duration::from_secs(120))]
    pub request: Duration,
    /// Maximum pixels of all photos that are decoded or in memory at once, at four bytes each; formats that need more
    /// memory count more. At least `limits.pixels`.
    #[schemars(range(min = 1, max = 1_000_000_000_000u64))]
    #[default = 64_000_000]
    pub decoding_pixels: u64,
    /// Maximum number of requests that wait for the decoder. Further requests get 503.
    #[schemars(range(min = 0, max = 100_000))]
    #[default = 32]
    pub waiting: usize,
    /// Maximum memory of all uploads together, in bytes. Further uploads get 503. At least `limits.upload_bytes`.
    #[serde(with = "One::<Size>")]
    #[schemars(range(min = 1024, max = 1u64 << 50))]
    #[default(512 << 20)]
    pub upload_memory: u64,
    /// Seconds that any upload may take, whatever its size.
    #[serde(rename = "upload_grace_seconds", with = "One::<Seconds>")]
    #[schemars(range(min = 0.1, max = 3600))]
    #[default(Duration::from_secs(10))]
    pub upload_grace: Duration,
    /// Minimum speed of an upload after `upload_grace_seconds`, in bytes per second; a slower upload gets 408. 0
    /// disables the check.
    #[serde(with = "One::<Size>")]
    #[schemars(range(min = 0, max = 1u64 << 30))]
    #[default(16 << 10)]
    pub upload_speed: u64,
}

impl LimitsConfig {
    /// The limits that the decoder checks.
    pub const fn photo(&self) -> Limits {
        Limits { max_pixels: self.pixels, max_side: self.side }
    }

    /// Checks the limits against each other.
    pub(super) fn check(&self, place: &Place<'_>) {
        if self.upload_memory < self.upload_bytes {
            let wrong = "must not be below `limits.upload_bytes`: the largest photo would never be admitted";
            place.wrong(&["upload_memory"], wrong);
        }
        if self.decoding_pixels < self.pixels {
            let wrong = "must not be below `limits.pixels`: the largest photo would wait for ever";
            place.wrong(&["decoding_pixels"], wrong);
        }
    }
}
