//! How much memory a picture takes, by its header: a place in front of the decoder is as large.
//!
//! The file's format decides: rows of a PNG come one by one, while a progressive JPEG cannot be decoded
//! without all its coefficients in memory. The numbers are those of the decoders that are used here, and
//! `tests/photos/memory.rs` measures that no picture takes more.

use super::head::{be16, be32, jpeg_frame, le16, le32};
use super::ifd::{self, tag};
use super::{InputFormat, OutputFormat};

/// A progressive colour JPEG with more pixels is decoded one component after the other, which is slower
/// and takes half the memory.
pub(super) const SPLIT_ABOVE: u64 = 16_000_000;

/// Most pixels whose opacity libwebp compresses: it takes up to 37 bytes for each of them, more than anything
/// else here. That of larger pictures is stored as it is.
pub(super) const OPACITY_COMPRESSED: u64 = 2_000_000;

/// Most samples of a strip or tile of a TIFF that may be a progressive JPEG, which takes three bytes more for each.
pub(super) const TIFF_PROGRESSIVE: u64 = 16_000_000;

/// What a picture needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemoryNeeds {
    /// Most bytes while it is decoded.
    pub(super) decoding: u64,
    /// Whether parts of it may be transparent.
    alpha: bool,
}

impl MemoryNeeds {
    /// What a file of this format and size needs. Of a damaged one as much as can be read is believed; its
    /// decoder sees the rest.
    pub(super) fn of(bytes: &[u8], format: InputFormat, (width, height): (u32, u32)) -> Self {
        let pixels = u64::from(width) * u64::from(height);
        let (decoding, alpha) = match format {
            InputFormat::Jpeg => (jpeg(bytes, pixels), false),
            // A row at a time.
            InputFormat::Png => (0, png_alpha(bytes)),
            InputFormat::WebP => webp(bytes, pixels),
            InputFormat::Tiff => tiff(bytes, (width, height)),
            // Whole, beside a copy of its own.
            InputFormat::Bmp if le16(bytes, 28) == Some(32) => (8 * pixels, true),
            InputFormat::Bmp => (6 * pixels, false),
            // Indices, beside what is kept.
            InputFormat::Gif => (4 * pixels, true),
        };
        Self { decoding, alpha }
    }

    /// See [`super::Head::memory`].
    pub(super) fn memory(&self, pixels: u64, to: OutputFormat) -> u64 {
        // Luminance at two bytes a pixel, and as much again while it is turned upright.
        let kept = 4 + u64::from(self.alpha);
        // libwebp takes the picture whole, at a byte and a half, and works on about as much again.
        let written = match (to, self.alpha) {
            (OutputFormat::WebP, true) if pixels <= OPACITY_COMPRESSED => 40,
            (OutputFormat::WebP, true) => 10,
            (OutputFormat::WebP, false) => 7,
            (OutputFormat::Jpeg | OutputFormat::Png, _) => 0,
        };
        self.decoding.max(pixels * kept.max(written))
    }
}

/// Pixels as they come out, and besides them, unless every block is done with when it is read, all
/// coefficients at two bytes each; of an unusual layout also the samples of each component by itself.
fn jpeg(bytes: &[u8], pixels: u64) -> u64 {
    const SOF2: u8 = 0xC2;
    let Ok(Some(frame)) = jpeg_frame(bytes) else { return 0 };
    let (Some(&kind), Some(&count)) = (bytes.get(frame + 1), bytes.get(frame + 9)) else { return 0 };
    let count = usize::from(count);
    let sampling = bytes.get(frame + 10..).unwrap_or_default().chunks_exact(3).take(count);
    let sampling: Vec<(u64, u64)> = sampling.map(|c| (u64::from(c[1] >> 4), u64::from(c[1] & 15))).collect();
    let most = |side: fn(&(u64, u64)) -> u64| sampling.iter().map(side).max().unwrap_or(1).max(1);
    let most = (most(|side| side.0), most(|side| side.1));
    // One byte for each sample of each component.
    let planes = pixels * sampling.iter().map(|(x, y)| x * y).sum::<u64>() / (most.0 * most.1);
    let whole = count as u64 * pixels;
    let progressive = kind == SOF2;
    let in_one_scan = !progressive && first_scan(bytes, frame) == Some(count);
    let unusual = sampling.first() != Some(&most) || sampling.iter().any(|side| side.0 == 3 || side.1 == 3);
    let decoding = match (progressive, unusual) {
        (true, true) => whole + 3 * planes,
        // The coefficients of one component beside the samples of all; and the file once more.
        (true, false) if count == 3 && pixels > SPLIT_ABOVE => planes + 2 * pixels + bytes.len() as u64,
        (true, false) => whole + 2 * planes,
        (false, false) if in_one_scan => whole,
        (false, _) => whole + planes,
    };
    // A file that is cut is written anew first.
    let cut = memchr::memmem::rfind(bytes, &[0xFF, 0xD9]).is_none();
    decoding + if cut { 2 * bytes.len() as u64 } else { 0 }
}

/// How many components the first scan after a frame header has.
fn first_scan(bytes: &[u8], frame: usize) -> Option<usize> {
    const SOS: u8 = 0xDA;
    let mut at = frame;
    loop {
        match (bytes.get(at)?, *bytes.get(at + 1)?) {
            (0xFF, 0xFF) => at += 1,
            (0xFF, SOS) => return bytes.get(at + 4).copied().map(usize::from),
            (0xFF, _) => at += 2 + be16(bytes, at + 2)? as usize,
            _ => return None,
        }
    }
}

/// By its colour type, or by a transparent colour before its data.
fn png_alpha(bytes: &[u8]) -> bool {
    let mut at = 8;
    while let (Some(length), Some(name)) = (be32(bytes, at), bytes.get(at + 4..at + 8)) {
        match name {
            b"IDAT" => return false,
            b"tRNS" => return true,
            b"IHDR" if bytes.get(at + 17).is_some_and(|color| color & 4 != 0) => return true,
            _ => at = at.saturating_add(length as usize + 12),
        }
    }
    false
}

/// Lossless: four bytes a pixel, and the file once more. Lossy: planes of luma and chroma beside the pixels;
/// opacity is a lossless picture of its own. Of a moving one a frame, the canvas and what is given out.
fn webp(bytes: &[u8], pixels: u64) -> (u64, bool) {
    const ALPHA: u8 = 0x10;
    const MOVES: u8 = 0x02;
    let flags = match bytes.get(12..16) {
        Some(b"VP8X") => bytes.get(20).copied().unwrap_or_default(),
        Some(b"VP8L") => ALPHA,
        _ => 0,
    };
    let alpha = flags & ALPHA != 0;
    let lossless = bytes.get(12..).is_some_and(has_lossless);
    let tenths = match (flags & MOVES != 0, lossless, alpha) {
        (true, ..) => 190,
        (_, true, _) => 40,
        (_, _, true) => 105,
        _ => 45,
    };
    (pixels * tenths / 10 + if lossless { bytes.len() as u64 } else { 0 }, alpha)
}

/// Whether there is a lossless picture among some chunks.
fn has_lossless(chunks: &[u8]) -> bool {
    let mut at = 0;
    while let (Some(name), Some(length)) = (chunks.get(at..at + 4), le32(chunks, at + 4)) {
        if name == b"VP8L" {
            return true;
        }
        at = at.saturating_add(8 + length as usize + length as usize % 2);
    }
    false
}

/// Rows come one by one. Only a strip or tile in JPEG is decoded whole: its samples, its coefficients if it may be
/// progressive, a copy of its data, and beside them what the sink keeps.
fn tiff(bytes: &[u8], (width, height): (u32, u32)) -> (u64, bool) {
    const JPEG: u64 = 7;
    const RGB: u64 = 2;
    let Some(picture) = ifd::picture(bytes) else { return (0, false) };
    let number = |wanted, default: u64| picture.number(wanted).unwrap_or(default);
    let samples = number(tag::SAMPLES, 1);
    // A tag says what samples beyond the colours are; a fourth sample of RGB is opacity without it.
    let alpha =
        picture.field(tag::EXTRA_SAMPLES).is_some() || (samples == 4 && number(tag::PHOTOMETRIC, RGB) == RGB);
    if number(tag::COMPRESSION, 1) != JPEG {
        return (0, alpha);
    }
    let strip = u64::from(width).saturating_mul(number(tag::ROWS_PER_STRIP, u64::MAX).min(height.into()));
    let unit = match number(tag::TILE_WIDTH, 0).saturating_mul(number(tag::TILE_HEIGHT, 0)) {
        0 => strip,
        tile => tile,
    };
    let kept = u64::from(width) * u64::from(height) * (2 + u64::from(alpha));
    let decoded = unit.saturating_mul(samples);
    let coefficients = 3 * decoded.min(TIFF_PROGRESSIVE);
    (decoded.saturating_add(coefficients + kept + bytes.len() as u64), alpha)
}
