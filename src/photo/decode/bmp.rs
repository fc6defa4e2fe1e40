//! Windows bitmaps, by the image crate.

use std::borrow::Cow;
use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError};

use super::feed::Channels;
use super::{DecodeSummary, Feed, InputFormat, PhotoError, Sink, Source, broken, partial};
use crate::photo::Head;
use crate::photo::head::{le16, le32};

/// Pixels as they are, with or without masks for the channels; the others are run lengths.
const PLAIN: [u32; 2] = [0, 3];
const ALPHA_BITFIELDS: u32 = 6;

pub(super) fn decode(bytes: &[u8], head: Head, sink: &mut dyn Sink) -> Result<DecodeSummary, PhotoError> {
    if le32(bytes, 14) != Some(12) && le32(bytes, 30) == Some(ALPHA_BITFIELDS) {
        let words = "This kind of BMP (with masks of Windows CE) is not read here. Save it as PNG.";
        return Err(PhotoError::Unsupported(words.to_owned()));
    }
    let rows = u64::from(head.height);
    let (present, padding) =
        rows_present(bytes, head).ok_or_else(|| broken(InputFormat::Bmp, "it ends in its header"))?;
    let damage = if present < rows { partial::damage(present, rows) } else { None };
    if present < rows && damage.is_none() {
        return Err(broken(InputFormat::Bmp, "nearly all of its rows are missing"));
    }
    // The decoder asks for the padding of the last row, which some programs leave out.
    let bytes = match padding {
        0 => Cow::Borrowed(bytes),
        _ => Cow::Owned([bytes, &[0; 3][..padding]].concat()),
    };
    let decoder = BmpDecoder::new(Cursor::new(&bytes)).map_err(failed)?;
    if decoder.dimensions() != (head.width, head.height) {
        return Err(broken(InputFormat::Bmp, "its size is not clear"));
    }
    let channels = match decoder.color_type() {
        ColorType::L8 => Channels::Grey,
        ColorType::Rgb8 => Channels::Rgb,
        ColorType::Rgba8 => Channels::Rgba,
        other => {
            return Err(PhotoError::Unsupported(format!(
                "A BMP of {other:?} is not read here. Save it as PNG."
            )));
        }
    };
    let mut pixels = vec![0; usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX)];
    let read = decoder.read_image(&mut pixels);
    // Of a file that is cut the decoder leaves the rows that are there.
    if damage.is_none() {
        read.map_err(failed)?;
    }
    // An alpha channel that is zero everywhere was never filled in: Windows and browsers show such pictures.
    let transparent = channels == Channels::Rgba && pixels.iter().skip(3).step_by(4).all(|&alpha| alpha == 0);
    let channels = if transparent { Channels::Rgbx } else { channels };
    let orientation = Orientation::NoTransforms;
    let source = Source { width: head.width, height: head.height, channels, icc: None, orientation };
    let mut feed = Feed::new(source, sink);
    feed.whole8(pixels);
    let Some(damage) = damage else { return Ok(feed.finish()) };
    // A negative height says that the first row comes first; usually the last one does.
    let (present, height) = (present as usize, head.height as usize);
    let missing = if top_down(&bytes) { present..height } else { 0..height - present };
    missing.for_each(|y| feed.missing_row(y));
    Ok(feed.finish_damaged(damage))
}

/// How many rows there are of a bitmap that is not compressed, seen before memory is taken for it, and how many
/// bytes of padding are missing at its end. Of one that is compressed all are said to be there, and its decoder
/// sees the truth. `None` for a header that is cut.
fn rows_present(bytes: &[u8], head: Head) -> Option<(u64, usize)> {
    // The oldest header has narrower fields and is never compressed.
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

fn top_down(bytes: &[u8]) -> bool {
    le32(bytes, 14) != Some(12) && le32(bytes, 22).is_some_and(|height| height >> 31 == 1)
}

fn failed(error: ImageError) -> PhotoError {
    match error {
        ImageError::Unsupported(error) => {
            PhotoError::Unsupported(format!("This kind of BMP is not read here ({error}). Save it as PNG."))
        }
        error => broken(InputFormat::Bmp, error),
    }
}
