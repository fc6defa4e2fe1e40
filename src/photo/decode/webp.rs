//! Decodes WebP files; of an animation, the first frame.

use std::io::Cursor;

use image::metadata::Orientation;
use image_webp::WebPDecoder;

use super::feed::Channels;
use super::{DecodeSummary, DecoderInfo, Feed, InputFormat, PhotoError, Sink, broken, exif};
use crate::photo::ImageHeader;
use crate::photo::head::{le32, webp_frame};

/// Maximum bytes of an ICC profile or of EXIF data.
const METADATA: usize = 8 << 20;

pub(super) fn decode(
    bytes: &[u8],
    head: ImageHeader,
    sink: &mut dyn Sink,
) -> Result<DecodeSummary, PhotoError> {
    let picture = check(bytes, head)?;
    // The decoder always decodes lossless pictures with opacity. If the header says that there is no opacity, the
    // decoder then makes a copy without opacity. Setting the opacity flag in the header avoids the copy; the opacity is
    // ignored below.
    let mut patched = Vec::new();
    let opaque = picture.filter(|&at| bytes[at..].starts_with(b"VP8L") && bytes[at + 12] & ALPHA == 0);
    if let Some(at) = opaque {
        patched = bytes.to_vec();
        patched[at + 12] |= ALPHA;
        if at > 12 {
            patched[EXTENDED_FLAGS] |= ALPHA;
        }
    }
    let file = if opaque.is_some() { &patched } else { bytes };
    let damaged = |error| broken(InputFormat::WebP, error);
    let mut decoder = WebPDecoder::new(Cursor::new(file)).map_err(damaged)?;
    decoder.set_memory_limit(METADATA);
    if decoder.dimensions() != (head.width, head.height) {
        return Err(broken(InputFormat::WebP, "its size is contradictory"));
    }
    let metadata = decoder.exif_metadata().ok().flatten();
    let orientation = metadata.as_deref().and_then(exif::orientation);
    let alpha = decoder.has_alpha();
    let source = DecoderInfo {
        width: head.width,
        height: head.height,
        channels: match (alpha, opaque) {
            (false, _) => Channels::Rgb,
            (true, None) => Channels::Rgba,
            (true, Some(_)) => Channels::Rgbx,
        },
        icc: decoder.icc_profile().ok().flatten(),
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
    };
    let mut pixels = vec![0; decoder.output_buffer_size().unwrap_or(usize::MAX)];
    decoder.read_image(&mut pixels).map_err(damaged)?;
    drop(decoder);
    drop(patched);
    let mut feed = Feed::new(source, sink);
    feed.whole8(pixels);
    Ok(feed.finish())
}

/// The opacity flag in the extended header and in the header of a lossless picture (RFC 9649, 2.7.1 and 3.4).
const ALPHA: u8 = 0b0001_0000;
const EXTENDED_FLAGS: usize = 20;

/// Checks that the file is complete and that its picture has the size in the header, because the decoder allocates
/// memory for a frame before it compares the two sizes. Returns the position of the picture's chunk if the picture is
/// not animated.
fn check(bytes: &[u8], head: ImageHeader) -> Result<Option<usize>, PhotoError> {
    let damaged = |what: &str| broken(InputFormat::WebP, what);
    let size = le32(bytes, 4).map_or(usize::MAX, |size| size as usize);
    let file =
        bytes.get(..size.saturating_add(8)).ok_or_else(|| damaged("it is shorter than its header says"))?;
    let mut at = 12;
    while let Some(length) = le32(file, at + 4) {
        let name = &file[at..at + 4];
        let body = at + 8;
        let end = body + length as usize;
        let chunk = file.get(body..end).ok_or_else(|| damaged("a chunk is cut off"))?;
        if matches!(name, b"VP8 " | b"VP8L") {
            return match webp_frame(file, at) {
                Some(size) if size == (head.width, head.height) => Ok(Some(at)),
                _ => Err(damaged("its picture is invalid or does not have the size in its header")),
            };
        }
        if name == b"ANMF" {
            // A frame header of sixteen bytes, an optional opacity chunk, and the picture.
            let mut inside = 16;
            while let Some(length) = le32(chunk, inside + 4) {
                if matches!(&chunk[inside..inside + 4], b"VP8 " | b"VP8L") {
                    break;
                }
                inside += 8 + length as usize + length as usize % 2;
            }
            return match webp_frame(chunk, inside) {
                Some((width, height)) if width <= head.width && height <= head.height => Ok(None),
                _ => Err(damaged("its first frame is invalid or larger than the size in its header")),
            };
        }
        // Chunks start at even positions.
        at = end + length as usize % 2;
    }
    Err(damaged("it has no picture"))
}
