//! Decodes Windows bitmaps with the image crate.

use std::borrow::Cow;
use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError};

use super::feed::Channels;
use super::{DecodeSummary, DecoderInfo, Feed, InputFormat, PhotoError, Sink, broken, partial};
use crate::photo::ImageHeader;
use crate::photo::head::{le16, le32};

/// Values of the compression field for uncompressed pixels, without and with channel masks. Of the other values, only
/// run-length encodings are decoded.
const PLAIN: [u32; 2] = [0, 3];
const ALPHA_BITFIELDS: u32 = 6;

pub(super) fn decode(
    bytes: &[u8],
    head: ImageHeader,
    sink: &mut dyn Sink,
) -> Result<DecodeSummary, PhotoError> {
    refuse_unread_kinds(bytes)?;
    let rows = u64::from(head.height);
    let (present, padding) =
        rows_present(bytes, head).ok_or_else(|| broken(InputFormat::Bmp, "it ends in its header"))?;
    let damage = (present < rows).then(|| partial::damage(present, rows));
    if damage == Some(None) {
        return Err(broken(InputFormat::Bmp, "nearly all of its rows are missing"));
    }
    // The decoder requires the padding of the last row, which some programs omit.
    let bytes = match padding {
        0 => Cow::Borrowed(bytes),
        _ => Cow::Owned([bytes, &[0; 3][..padding]].concat()),
    };
    let (pixels, channels) = pixels(&bytes, head, damage.is_some())?;
    let orientation = Orientation::NoTransforms;
    let source = DecoderInfo { width: head.width, height: head.height, channels, icc: None, orientation };
    let mut feed = Feed::new(source, sink);
    feed.whole8(pixels);
    let Some(damage) = damage.flatten() else { return Ok(feed.finish()) };
    let (present, height) = (present as usize, head.height as usize);
    let missing = if is_top_down(&bytes) { present..height } else { 0..height - present };
    missing.for_each(|y| feed.missing_row(y));
    Ok(feed.finish_damaged(damage))
}

fn refuse_unread_kinds(bytes: &[u8]) -> Result<(), PhotoError> {
    let kind = match (le32(bytes, 14), le32(bytes, 30)) {
        (Some(16 | 64), _) => "in the OS/2 format",
        (Some(40..), Some(ALPHA_BITFIELDS)) => "with Windows CE channel masks",
        _ => return Ok(()),
    };
    Err(PhotoError::Unsupported(format!("PixColor does not read a BMP {kind}. Save it as PNG.")))
}

/// Decodes all pixels, or, of a truncated file, the rows that are present.
fn pixels(bytes: &[u8], head: ImageHeader, is_cut: bool) -> Result<(Vec<u8>, Channels), PhotoError> {
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(failed)?;
    if decoder.dimensions() != (head.width, head.height) {
        return Err(broken(InputFormat::Bmp, "its size is contradictory"));
    }
    let channels = match decoder.color_type() {
        ColorType::L8 => Channels::Gray,
        ColorType::Rgb8 => Channels::Rgb,
        ColorType::Rgba8 => Channels::Rgba,
        other => {
            return Err(PhotoError::Unsupported(format!(
                "PixColor does not read a BMP with {other:?} pixels. Save it as PNG."
            )));
        }
    };
    let mut pixels = vec![0; usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX)];
    match decoder.read_image(&mut pixels) {
        Err(error) if !is_cut => return Err(failed(error)),
        _ => {}
    }
    // Some programs write zero as the opacity of every pixel. Windows and browsers show such pictures as opaque.
    let opaque = channels == Channels::Rgba && pixels.iter().skip(3).step_by(4).all(|&alpha| alpha == 0);
    Ok((pixels, if opaque { Channels::Rgbx } else { channels }))
}

/// Before memory is allocated, counts the rows that an uncompressed bitmap contains, and the bytes of padding that are
/// missing at its end. A compressed bitmap counts as complete here, because its decoder detects missing rows. `None`
/// for a truncated header.
fn rows_present(bytes: &[u8], head: ImageHeader) -> Option<(u64, usize)> {
    // The oldest header (12 bytes) has narrower fields, and its pixels are never compressed.
    let old = le32(bytes, 14) == Some(12);
    let (bits_at, compression) = if old { (24, Some(0)) } else { (28, le32(bytes, 30)) };
    let (start, bits) = (le32(bytes, 10)?, le16(bytes, bits_at)?);
    let needed = (u64::from(head.width) * u64::from(bits)).div_ceil(8);
    let row = needed.next_multiple_of(4);
    let rows = u64::from(head.height);
    if !PLAIN.contains(&compression?) || row == 0 {
        return Some((rows, 0));
    }
    let there = (bytes.len() as u64).saturating_sub(u64::from(start));
    let missing = (row * rows).saturating_sub(there);
    if missing <= row - needed {
        return Some((rows, missing as usize));
    }
    Some((there / row, 0))
}

/// Whether the top row is stored first, which a negative height indicates. Usually the bottom row is stored first.
fn is_top_down(bytes: &[u8]) -> bool {
    le32(bytes, 14) != Some(12) && le32(bytes, 22).is_some_and(|height| height >> 31 == 1)
}

fn failed(error: ImageError) -> PhotoError {
    match error {
        ImageError::Unsupported(error) => PhotoError::Unsupported(format!(
            "PixColor does not read this kind of BMP ({error}). Save it as PNG."
        )),
        error => broken(InputFormat::Bmp, error),
    }
}
