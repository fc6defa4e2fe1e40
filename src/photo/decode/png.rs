//! PNG, row by row.

use std::io::Cursor;

use image::metadata::Orientation;
use png::{BitDepth, ColorType, Transformations};

use super::feed::Channels;
use super::sink::Place;
use super::{DecodeSummary, Feed, InputFormat, PhotoError, Sink, Source, broken};
use crate::photo::Head;
use crate::photo::head::be32;

/// Most bytes for a profile and for what decoding needs besides one row.
const MEMORY: usize = 8 << 20;

pub(super) fn decode(bytes: &[u8], head: Head, sink: &mut dyn Sink) -> Result<DecodeSummary, PhotoError> {
    if !is_whole(bytes) {
        return Err(broken(InputFormat::Png, "it has no end"));
    }
    let broken = |error| broken(InputFormat::Png, error);
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: MEMORY });
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    let mut reader = decoder.read_info().map_err(broken)?;
    let (colour, depth) = reader.output_color_type();
    let channels = match colour {
        ColorType::Grayscale => Channels::Grey,
        ColorType::GrayscaleAlpha => Channels::GreyAlpha,
        ColorType::Rgba => Channels::Rgba,
        _ => Channels::Rgb,
    };
    let info = reader.info();
    let orientation = info.exif_metadata.as_deref().and_then(Orientation::from_exif_chunk);
    let source = Source {
        width: head.width,
        height: head.height,
        channels,
        // An sRGB chunk takes precedence over a profile (PNG, third edition, 4.3).
        icc: info.icc_profile.as_deref().filter(|_| info.srgb.is_none()).map(<[u8]>::to_vec),
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
    };
    let mut feed = Feed::new(source, sink);
    let places: Vec<Place> = if reader.info().interlaced {
        interlaced(head).collect()
    } else {
        (0..head.height as usize).map(Place::row).collect()
    };
    let mut wide = Vec::new();
    for place in places {
        let Some(row) = reader.next_row().map_err(broken)? else { break };
        if depth == BitDepth::Sixteen {
            wide.clear();
            wide.extend(row.data().as_chunks().0.iter().map(|&pair| u16::from_be_bytes(pair)));
            feed.row16(place, &wide);
        } else {
            feed.row8(place, row.data());
        }
    }
    Ok(feed.finish())
}

/// Where the rows of the seven passes go, in their order in the file (PNG, third edition, 8.1);
/// passes without a pixel have no rows.
fn interlaced(head: Head) -> impl Iterator<Item = Place> {
    const PASSES: [(usize, usize, usize, usize); 7] =
        [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)];
    let (width, height) = (head.width as usize, head.height as usize);
    PASSES.into_iter().filter(move |&(x, ..)| x < width).flat_map(move |(first, step, y, every)| {
        (y..height).step_by(every).map(move |y| Place { y, first, step })
    })
}

/// Whether there is a chunk after the other up to the last one; seen before anything is inflated.
fn is_whole(bytes: &[u8]) -> bool {
    let mut at = 8;
    while let Some(length) = be32(bytes, at) {
        if bytes.get(at + 4..at + 8) == Some(b"IEND") {
            return true;
        }
        // Length, name and checksum around the data.
        at = at.saturating_add(length as usize + 12);
    }
    false
}
