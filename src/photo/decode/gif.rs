//! Decodes the first frame of a GIF.

use std::io::Cursor;
use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, Decoder, Frame, MemoryLimit};
use image::metadata::Orientation;

use super::feed::Channels;
use super::sink::RowPosition;
use super::{DecodeSummary, DecoderInfo, Feed, InputFormat, PhotoError, Sink, broken, partial};
use crate::photo::{Damage, ImageHeader};

pub(super) fn decode(
    bytes: &[u8],
    head: ImageHeader,
    sink: &mut dyn Sink,
) -> Result<DecodeSummary, PhotoError> {
    let damaged = |error| broken(InputFormat::Gif, error);
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.check_frame_consistency(true);
    // A frame is no larger than the screen, whose size was checked against the limits.
    options
        .set_memory_limit(NonZeroU64::new(head.pixels()).map_or(MemoryLimit::Unlimited, MemoryLimit::Bytes));
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(damaged)?;
    let frame = decoder.next_frame_info().map_err(damaged)?;
    let frame = frame.ok_or_else(|| broken(InputFormat::Gif, "it has no frame"))?.clone();
    let (left, top, width) = (usize::from(frame.left), usize::from(frame.top), usize::from(frame.width));
    let GifRows { indices, rows, damage } = read_rows(&mut decoder, &frame)?;
    let palette = decoder.palette().map_err(damaged)?.as_chunks::<3>().0;
    let color = |index: u8| match palette.get(usize::from(index)) {
        Some(&[r, g, b]) if frame.transparent != Some(index) => [r, g, b, 255],
        _ => [0; 4],
    };
    let table: [[u8; 4]; 256] = std::array::from_fn(|index| color(index as u8));
    let source = DecoderInfo {
        width: head.width,
        height: head.height,
        channels: Channels::Rgba,
        icc: decoder.icc_profile().map(<[u8]>::to_vec),
        orientation: Orientation::NoTransforms,
    };
    let mut feed = Feed::new(source, sink);
    // The area that the frame does not cover is transparent.
    let mut row = vec![0; head.width as usize * 4];
    for y in 0..head.height as usize {
        row.fill(0);
        let indices = match y.checked_sub(top).and_then(|y| rows.get(y)) {
            Some(Some(y)) => &indices[y * width..][..width],
            Some(None) => {
                feed.missing_row(y);
                continue;
            }
            None => &[],
        };
        for (pixel, &index) in row.as_chunks_mut().0.iter_mut().skip(left).zip(indices) {
            *pixel = table[usize::from(index)];
        }
        feed.row8(RowPosition::row(y), &row);
    }
    Ok(match damage {
        Some(damage) => feed.finish_damaged(damage),
        None => feed.finish(),
    })
}

/// The rows of a frame that could be read.
struct GifRows {
    /// Palette indices of the whole frame.
    indices: Vec<u8>,
    /// For each row of the frame, the row of `indices` that it shows; `None` if it is missing.
    rows: Vec<Option<usize>>,
    damage: Option<Damage>,
}

/// Reads the rows of a frame until the data ends or is invalid.
fn read_rows(decoder: &mut Decoder<Cursor<&[u8]>>, frame: &Frame<'_>) -> Result<GifRows, PhotoError> {
    let (width, height) = (usize::from(frame.width), usize::from(frame.height));
    let mut indices = vec![0; width * height];
    let mut rows = vec![None; height];
    let mut present = 0;
    let mut reason = "nearly all of its rows are missing".to_owned();
    for y in row_order(height, frame.interlaced) {
        match decoder.fill_buffer(&mut indices[y * width..][..width]) {
            Ok(true) => rows[y] = Some(y),
            Ok(false) => break,
            Err(error) => {
                reason = error.to_string();
                break;
            }
        }
        present += 1;
    }
    if present == height {
        return Ok(GifRows { indices, rows, damage: None });
    }
    let damage = partial::damage(present as u64, height as u64);
    let damage = damage.ok_or_else(|| broken(InputFormat::Gif, reason))?;
    if frame.interlaced {
        fill_between(&mut rows);
    }
    Ok(GifRows { indices, rows, damage: Some(damage) })
}

/// The order of a frame's rows in the file (GIF89a, appendix E).
fn row_order(height: usize, interlaced: bool) -> impl Iterator<Item = usize> {
    let passes: &[(usize, usize)] = if interlaced { &[(0, 8), (4, 8), (2, 4), (1, 2)] } else { &[(0, 1)] };
    passes.iter().flat_map(move |&(first, step)| (first..height).step_by(step))
}

/// Replaces each missing row of an interlaced frame with the nearest row above that was read, at most seven rows away.
fn fill_between(rows: &mut [Option<usize>]) {
    /// Distance between two rows of the coarsest pass.
    const COARSEST: usize = 8;
    let mut last = None;
    for (y, row) in rows.iter_mut().enumerate() {
        match *row {
            Some(_) => last = *row,
            None => *row = last.filter(|last| y - last < COARSEST),
        }
    }
}
