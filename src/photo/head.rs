//! Reads the format and the size of an image from its header.
//!
//! File names and media types may be wrong, so the signature determines the format. The size is read without a
//! decoder, so that rejecting an image that is too large costs almost no time or memory.

use super::needs::MemoryNeeds;
use super::{DecodeOptions, ImageHeader, InputFormat, Limits, PhotoError, ifd, jxl, kinds};

/// Reads the header of the first page. See [`read_head_of`].
///
/// # Errors
/// As [`read_head_of`].
pub fn read_head(bytes: &[u8], limits: &Limits) -> Result<ImageHeader, PhotoError> {
    read_head_of(bytes, &DecodeOptions::default(), limits)
}

/// Reads format and size of a page from the header. Checks the size, and the memory that decoding needs, against the
/// limits. Decodes nothing. The rotation has no effect on the header.
///
/// # Errors
/// [`PhotoError::Unsupported`] for an unsupported format, [`PhotoError::TooManyPixels`] above the limits,
/// [`PhotoError::Broken`] for a header that is cut short or damaged, or whose width or height is 0,
/// [`PhotoError::NoSuchPage`] for a page that the file does not have.
pub fn read_head_of(
    bytes: &[u8],
    options: &DecodeOptions,
    limits: &Limits,
) -> Result<ImageHeader, PhotoError> {
    let format = format_of(bytes)?;
    let tiff = (format == InputFormat::Tiff).then(|| ifd::pages(bytes));
    let (page, pages) = (options.page, tiff.as_ref().map_or(1, ifd::Pages::count));
    // A TIFF without a readable page is damaged, whatever page the request names.
    if pages > 0 && !(1..=pages).contains(&page) {
        return Err(PhotoError::NoSuchPage { page, pages });
    }
    let directory = tiff.and_then(|pages| pages.page(page));
    let size = match format {
        InputFormat::Jpeg => jpeg(bytes)?,
        InputFormat::Png => png(bytes),
        InputFormat::WebP => webp(bytes),
        InputFormat::Tiff => directory.and_then(|directory| directory.size()),
        InputFormat::Bmp => bmp(bytes),
        InputFormat::Gif => gif(bytes),
        InputFormat::Jxl => jxl::header(bytes).map(|header| header.size()),
    };
    let Some((width, height)) = size else {
        return Err(PhotoError::Broken(format!("The {format} file's header is damaged or cut short.")));
    };
    check_size(width, height, limits)?;
    let needs = MemoryNeeds::of(bytes, format, directory, (width, height));
    let head = ImageHeader { format, width, height, pages, needs };
    check_memory(&head, bytes.len() as u64, limits)?;
    Ok(head)
}

/// The limit for the memory of one decoder, in bytes: this many per pixel of [`Limits::max_pixels`], and at least
/// [`LEAST_BOUND`]. With the default limits it is 250 MB, so that the whole process can stay below 350 MB.
const MOST_PER_PIXEL: u64 = 5;
const LEAST_BOUND: u64 = 250_000_000;

/// Checks the memory that decoding needs. The bound allows a copy of the file in addition.
fn check_memory(head: &ImageHeader, file: u64, limits: &Limits) -> Result<(), PhotoError> {
    let bound = limits.max_pixels.saturating_mul(MOST_PER_PIXEL).max(LEAST_BOUND).saturating_add(file);
    if head.needs.decoding <= bound {
        return Ok(());
    }
    let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
    Err(PhotoError::TooManyPixels(format!(
        "Decoding this kind of {} takes {} MB, and the limit for one picture is {} MB. Save it as an ordinary \
         (baseline) JPEG or as PNG, or make it smaller, and send it again.",
        head.format,
        megabytes(head.needs.decoding),
        megabytes(bound)
    )))
}

/// Checks the size of an image against the limits.
///
/// # Errors
/// [`PhotoError::TooManyPixels`] above the limits, [`PhotoError::Broken`] for a width or height of 0.
pub fn check_size(width: u32, height: u32, limits: &Limits) -> Result<(), PhotoError> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(PhotoError::Broken(format!(
            "The file says that the picture is {width} x {height} pixels, so there is nothing to colour."
        )));
    }
    if width.max(height) > limits.max_side || pixels > limits.max_pixels {
        return Err(PhotoError::TooManyPixels(format!(
            "The picture is {width} x {height} pixels; the limits are {} pixels in all and {} pixels per side. \
             Make it smaller and send it again.",
            limits.max_pixels, limits.max_side
        )));
    }
    Ok(())
}

/// The format by its signature.
///
/// # Errors
/// [`PhotoError::Unsupported`] for an unsupported format; the message names the kind of file.
pub fn format_of(bytes: &[u8]) -> Result<InputFormat, PhotoError> {
    let format = match bytes {
        // Forms of PNG and TIFF that are not supported.
        [0x89, b'P', _, _, _, _, _, _, _, _, _, _, b'C', b'g', b'B', b'I', ..]
        | [b'I', b'I', 42, 0, _, _, _, _, b'C', b'R', 2, 0, ..] => return Err(kinds::refusal(bytes)),
        [0xFF, 0xD8, 0xFF, ..] => InputFormat::Jpeg,
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => InputFormat::Png,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => InputFormat::WebP,
        // 42 is classic TIFF, 43 BigTIFF.
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => InputFormat::Tiff,
        // "BM" is too short for a signature; the size of the information header confirms it.
        [b'B', b'M', ..] if matches!(le32(bytes, 14), Some(12 | 16 | 40 | 52 | 56 | 64 | 108 | 124)) => {
            InputFormat::Bmp
        }
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => InputFormat::Gif,
        // A bare codestream, or the first box of a container.
        [0xFF, 0x0A, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', b'\r', b'\n', 0x87, b'\n', ..] => {
            InputFormat::Jxl
        }
        _ => return Err(kinds::refusal(bytes)),
    };
    Ok(format)
}

/// The size in the first frame header.
pub(super) fn jpeg(bytes: &[u8]) -> Result<Option<(u32, u32)>, PhotoError> {
    Ok(jpeg_frame(bytes)?.and_then(|at| be16(bytes, at + 7).zip(be16(bytes, at + 5))))
}

/// Walks the segments to the first frame header (ITU T.81, B.2.2); returns the position of its marker.
pub(super) fn jpeg_frame(bytes: &[u8]) -> Result<Option<usize>, PhotoError> {
    let mut at = 2;
    loop {
        let (Some(0xFF), Some(&marker)) = (bytes.get(at).copied(), bytes.get(at + 1)) else {
            return Ok(None);
        };
        match marker {
            // Any number of fill bytes may come before a marker.
            0xFF => at += 1,
            // Markers without a length.
            0x01 | 0xD0..=0xD7 => at += 2,
            // A scan, the end of the image or another start marker before any frame header.
            0xD8..=0xDA => return Ok(None),
            0xC0..=0xC2 => {
                return match bytes.get(at + 4) {
                    Some(8) | None => Ok(Some(at)),
                    Some(bits) => Err(unsupported_jpeg(&format!("with {bits} bits per sample"))),
                };
            }
            0xC3 => return Err(unsupported_jpeg("with lossless coding")),
            0xC5..=0xC7 => return Err(unsupported_jpeg("with hierarchical layers")),
            0xC9..=0xCB | 0xCD..=0xCF => return Err(unsupported_jpeg("with arithmetic coding")),
            // The frame header of another standard (ITU T.87).
            0xF7 => return Err(unsupported_jpeg("in the JPEG-LS format")),
            _ => match be16(bytes, at + 2) {
                Some(length @ 2..) => at += 2 + length as usize,
                _ => return Ok(None),
            },
        }
    }
}

fn unsupported_jpeg(kind: &str) -> PhotoError {
    PhotoError::Unsupported(format!(
        "This is a JPEG {kind}, which PixColor does not read. Save it as an ordinary JPEG or as PNG."
    ))
}

fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    (bytes.get(8..16)? == b"\0\0\0\x0DIHDR").then_some(())?;
    be32(bytes, 16).zip(be32(bytes, 20))
}

/// The size in the first chunk, which is VP8X, VP8 or VP8L (RFC 9649, 2.5 to 2.7).
fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.get(12..16)? != b"VP8X" {
        return webp_frame(bytes, 12);
    }
    let side = |at| Some((le32(bytes, at)? & 0x00FF_FFFF) + 1);
    // The height has three bytes, and the file may end after them, so four bytes cannot be read as for the width.
    let height = bytes.get(27..30)?;
    Some((side(24)?, u32::from_le_bytes([height[0], height[1], height[2], 0]) + 1))
}

/// The size of the image whose chunk starts at `at`; `None` for a chunk that is not an image.
pub(super) fn webp_frame(bytes: &[u8], at: usize) -> Option<(u32, u32)> {
    let bytes = bytes.get(at..)?;
    match bytes.get(..4)? {
        b"VP8 " => {
            (bytes.get(11..14)? == [0x9D, 0x01, 0x2A]).then_some(())?;
            Some((le16(bytes, 14)? & 0x3FFF, le16(bytes, 16)? & 0x3FFF))
        }
        b"VP8L" => {
            (*bytes.get(8)? == 0x2F).then_some(())?;
            let bits = le32(bytes, 9)?;
            Some(((bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1))
        }
        _ => None,
    }
}

/// The information header follows 14 bytes of file header; a negative height means top-down rows.
fn bmp(bytes: &[u8]) -> Option<(u32, u32)> {
    if le32(bytes, 14)? == 12 {
        return le16(bytes, 18).zip(le16(bytes, 20));
    }
    let width = i32::try_from(le32(bytes, 18)?).ok()?;
    let height = i32::from_le_bytes(le32(bytes, 22)?.to_le_bytes());
    Some((width.unsigned_abs(), height.unsigned_abs()))
}

/// The size of the logical screen.
fn gif(bytes: &[u8]) -> Option<(u32, u32)> {
    le16(bytes, 6).zip(le16(bytes, 8))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

pub(super) fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(|b| u16::from_le_bytes(b).into())
}

pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(|b| u16::from_be_bytes(b).into())
}

pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}
