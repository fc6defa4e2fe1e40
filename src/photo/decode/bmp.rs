//! Windows bitmaps, by the image crate.

use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError};

use super::feed::Channels;
use super::{DecodeSummary, Feed, InputFormat, PhotoError, Sink, Source, broken};
use crate::photo::Head;
use crate::photo::head::le32;

/// Pixels as they are, with or without masks for the channels; the others are run lengths.
const PLAIN: [u32; 3] = [0, 3, 6];

pub(super) fn decode(bytes: &[u8], head: Head, sink: &mut dyn Sink) -> Result<DecodeSummary, PhotoError> {
    if is_cut(bytes, head) {
        return Err(broken(InputFormat::Bmp, "it ends before its last row"));
    }
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(failed)?;
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
    decoder.read_image(&mut pixels).map_err(failed)?;
    let orientation = Orientation::NoTransforms;
    let source = Source { width: head.width, height: head.height, channels, icc: None, orientation };
    let mut feed = Feed::new(source, sink);
    feed.whole8(pixels);
    Ok(feed.finish())
}

/// Whether a bitmap that is not compressed ends too early; seen before memory is taken for it.
fn is_cut(bytes: &[u8], head: Head) -> bool {
    // The oldest header has narrower fields and is never compressed.
    let old = le32(bytes, 14) == Some(12);
    let (bits_at, compression) = if old { (24, Some(0)) } else { (28, le32(bytes, 30)) };
    let fields = (le32(bytes, 10), bytes.get(bits_at), compression);
    let (Some(start), Some(&bits), Some(compression)) = fields else { return true };
    let row = (u64::from(head.width) * u64::from(bits)).div_ceil(32) * 4;
    PLAIN.contains(&compression) && u64::from(start) + row * u64::from(head.height) > bytes.len() as u64
}

fn failed(error: ImageError) -> PhotoError {
    match error {
        ImageError::Unsupported(error) => {
            PhotoError::Unsupported(format!("This kind of BMP is not read here ({error}). Save it as PNG."))
        }
        error => broken(InputFormat::Bmp, error),
    }
}
