//! Computes from an image's header how much memory the image needs. The decoder permit reserves that amount.
//!
//! The amount depends on the file format: a PNG is read row by row, while a progressive JPEG needs all its coefficients
//! in memory. The numbers are those of the decoders in use; `tests/photos/memory.rs` checks that no image needs more.

use super::head::{be16, be32, jpeg_frame, le16, le32};
use super::ifd::{Directory, tag};
use super::{Depth, InputFormat, OutputFormat, jxl};

/// A progressive colour JPEG with more pixels is decoded component by component, which is slower and takes half the
/// memory.
pub(super) const SPLIT_ABOVE: u64 = 16_000_000;

/// Maximum pixels of a WebP whose opacity is compressed. Compressing it takes libwebp up to 37 bytes per pixel, more
/// than any other step takes. The opacity of larger images is stored uncompressed.
pub(super) const OPACITY_COMPRESSED: u64 = 2_000_000;

/// Maximum samples of a TIFF strip or tile that is a progressive JPEG. Decoding it takes three more bytes per sample
/// than a baseline JPEG.
pub(super) const TIFF_PROGRESSIVE: u64 = 16_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemoryNeeds {
    /// Maximum bytes while the image is decoded.
    pub(super) decoding: u64,
    /// Whether parts of the image may be transparent.
    alpha: bool,
}

impl MemoryNeeds {
    /// The needs of a file of this format and size; `page` is the directory of a page of a TIFF. Header fields that a
    /// truncated file lacks count as 0 or absent. The decoder refuses such a file.
    pub(super) fn of(
        bytes: &[u8],
        format: InputFormat,
        page: Option<Directory<'_>>,
        (width, height): (u32, u32),
    ) -> Self {
        let pixels = u64::from(width) * u64::from(height);
        let (decoding, alpha) = match format {
            InputFormat::Jpeg => (jpeg(bytes, pixels), false),
            // Row by row.
            InputFormat::Png => (0, png_alpha(bytes)),
            InputFormat::WebP => webp(bytes, pixels),
            InputFormat::Tiff => page.map_or((0, false), |page| tiff(bytes, page, (width, height))),
            // The whole image and a copy.
            InputFormat::Bmp if le16(bytes, 28) == Some(32) => (8 * pixels, true),
            InputFormat::Bmp => (6 * pixels, false),
            // Palette indices and the result.
            InputFormat::Gif => (4 * pixels, true),
            InputFormat::Jxl => jxl(bytes, pixels),
        };
        Self { decoding, alpha }
    }

    /// See [`super::ImageHeader::memory_at`].
    pub(super) fn memory(&self, pixels: u64, to: OutputFormat, depth: Depth) -> u64 {
        // Luminance takes two bytes per pixel, and two more while it is oriented. Opacity takes one.
        let kept = 4 + u64::from(self.alpha);
        // libwebp needs the whole image at 1.5 bytes per pixel, and about as much working memory.
        let written = match (to, depth, self.alpha) {
            (OutputFormat::WebP, _, true) if pixels <= OPACITY_COMPRESSED => 40,
            (OutputFormat::WebP, _, true) => 10,
            (OutputFormat::WebP, _, false) => 7,
            // A file of 16 bits is hardly smaller than its pixels, because their low bits are noise, and the luminance
            // is in memory beside it. The same is true of a TIFF of a grainy picture.
            (OutputFormat::Jpeg | OutputFormat::Png | OutputFormat::Tiff, Depth::Sixteen, false) => 11,
            (OutputFormat::Jpeg | OutputFormat::Png | OutputFormat::Tiff, Depth::Sixteen, true) => 13,
            (OutputFormat::Tiff, Depth::Eight, false) => 6,
            (OutputFormat::Tiff, Depth::Eight, true) => 7,
            (OutputFormat::Jpeg | OutputFormat::Png, Depth::Eight, _) => 0,
        };
        self.decoding.max(pixels * kept.max(written))
    }
}

/// Maximum bytes while a JPEG is decoded: none for an ordinary baseline file, which is read row by row. For any other,
/// the decoded pixels, for a progressive file also all coefficients at two bytes each, and for an unusual layout or
/// several baseline scans also the samples of each component.
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
        // The coefficients of one component, the samples of all, and a copy of the file.
        (true, false) if count == 3 && pixels > SPLIT_ABOVE => planes + 2 * pixels + bytes.len() as u64,
        (true, false) => whole + 2 * planes,
        (false, false) if in_one_scan && by_rows(&sampling) => 0,
        (false, false) if in_one_scan => whole,
        (false, _) => whole + planes,
    };
    // A truncated file is repaired first, and the repaired file needs memory, too.
    let cut = memchr::memmem::rfind(bytes, &[0xFF, 0xD9]).is_none();
    decoding + if cut { 2 * bytes.len() as u64 } else { 0 }
}

/// Whether a baseline JPEG in one scan is decoded row by row. A few of them are not, because something else is unusual;
/// they need no more than the luminance does.
fn by_rows(sampling: &[(u64, u64)]) -> bool {
    matches!(sampling, [_] | [(1 | 2, 1 | 2), (1, 1), (1, 1)])
}

/// The number of components in the first scan after a frame header.
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

/// Whether a PNG has opacity: by its colour type, or by a tRNS chunk before the image data.
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

/// Maximum bytes while a WebP is decoded, and whether it has opacity. A lossless image takes four bytes per pixel and a
/// copy of the file. A lossy image takes its planes of luma and colour differences and the decoded pixels; its opacity
/// is another, lossless image. An animation takes a frame, the canvas and the output.
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

/// Whether any of the chunks is a lossless image.
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

/// Maximum bytes while a JPEG XL is decoded, and whether it has opacity. The decoder ends with an error before it needs
/// more.
fn jxl(bytes: &[u8], pixels: u64) -> (u64, bool) {
    let Some(header) = jxl::header(bytes) else { return (0, false) };
    let alpha = header.has_alpha();
    // The results are stored meanwhile: luminance, or 8-bit RGB.
    let stored = 3 + u64::from(alpha);
    (header.decoder_limit(bytes.len() as u64) + stored * pixels, alpha)
}

/// Maximum bytes while a TIFF is decoded, and whether it has opacity. Most TIFFs are read row by row. Only a JPEG strip
/// or tile is decoded as a whole. It takes its samples, its coefficients if it may be progressive, a copy of its data,
/// and the output.
fn tiff(bytes: &[u8], page: Directory<'_>, (width, height): (u32, u32)) -> (u64, bool) {
    const JPEG: u64 = 7;
    const RGB: u64 = 2;
    let number = |wanted, default: u64| page.number(wanted).unwrap_or(default);
    let samples = number(tag::SAMPLES, 1);
    // A tag describes extra samples; without it a fourth sample of RGB is opacity.
    let alpha =
        page.field(tag::EXTRA_SAMPLES).is_some() || (samples == 4 && number(tag::PHOTOMETRIC, RGB) == RGB);
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
