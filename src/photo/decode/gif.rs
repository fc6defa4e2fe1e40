//! The first frame of a GIF.

use std::io::Cursor;
use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, MemoryLimit};
use image::metadata::Orientation;

use super::feed::Channels;
use super::sink::Place;
use super::{DecodeSummary, Feed, InputFormat, PhotoError, Sink, Source, broken};
use crate::photo::Head;

pub(super) fn decode(bytes: &[u8], head: Head, sink: &mut dyn Sink) -> Result<DecodeSummary, PhotoError> {
    let damaged = |error| broken(InputFormat::Gif, error);
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.check_frame_consistency(true);
    // A frame is no larger than the screen, and the screen is within the limits.
    options
        .set_memory_limit(NonZeroU64::new(head.pixels()).map_or(MemoryLimit::Unlimited, MemoryLimit::Bytes));
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(damaged)?;
    let frame = decoder.next_frame_info().map_err(damaged)?;
    let frame = frame.ok_or_else(|| broken(InputFormat::Gif, "it has no frame"))?.clone();
    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices).map_err(damaged)?;
    let palette = decoder.palette().map_err(damaged)?.as_chunks::<3>().0;
    let colour = |index: u8| match palette.get(usize::from(index)) {
        Some(&[r, g, b]) if frame.transparent != Some(index) => [r, g, b, 255],
        _ => [0; 4],
    };
    let table: [[u8; 4]; 256] = std::array::from_fn(|index| colour(index as u8));
    let source = Source {
        width: head.width,
        height: head.height,
        channels: Channels::Rgba,
        icc: decoder.icc_profile().map(<[u8]>::to_vec),
        orientation: Orientation::NoTransforms,
    };
    let mut feed = Feed::new(source, sink);
    let (left, top, width) = (usize::from(frame.left), usize::from(frame.top), usize::from(frame.width));
    // What the frame leaves uncovered is transparent.
    let mut row = vec![0; head.width as usize * 4];
    for y in 0..head.height as usize {
        row.fill(0);
        let indices = y.checked_sub(top).and_then(|y| indices.get(y * width..(y + 1) * width));
        for (pixel, &index) in row.as_chunks_mut().0.iter_mut().skip(left).zip(indices.unwrap_or_default()) {
            *pixel = table[usize::from(index)];
        }
        feed.row8(Place::row(y), &row);
    }
    Ok(feed.finish())
}
