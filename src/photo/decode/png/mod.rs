//! Decodes PNG files row by row.

mod chunks;
mod space;

use image::metadata::Orientation;
use png::{BitDepth, ColorType, Transformations};

use super::feed::Channels;
use super::sink::RowPosition;
use super::{DecodeSummary, DecoderInfo, Feed, InputFormat, PhotoError, Sink, broken, exif, partial};
use crate::photo::{Damage, ImageHeader};
use chunks::{Chunks, Parts};

/// Maximum bytes that the decoder may use besides one row.
const MEMORY: usize = 8 << 20;

/// Maximum output bytes for one byte of deflate (RFC 1951: 258 bytes in two bits).
const DEFLATE: u64 = 1032;

pub(super) fn decode(
    bytes: &[u8],
    head: ImageHeader,
    sink: &mut dyn Sink,
) -> Result<DecodeSummary, PhotoError> {
    let chunks = Chunks::find(bytes)?;
    let reader = reader(chunks.picture(usize::MAX)).map_err(|error| broken(InputFormat::Png, error))?;
    let passes = if reader.info().interlaced { &INTERLACED[..] } else { &PLAIN };
    // A file with too little image data is rejected before memory for the picture is allocated.
    let raw_bytes = reader.info().raw_bytes();
    if partial::damage(chunks.data.len() as u64 * DEFLATE, raw_bytes as u64).is_none() {
        return Err(broken(InputFormat::Png, "nearly all of its image data is missing"));
    }
    let (color, _) = reader.output_color_type();
    let channels = match color {
        ColorType::Grayscale => Channels::Gray,
        ColorType::GrayscaleAlpha => Channels::GrayAlpha,
        ColorType::Rgba => Channels::Rgba,
        _ => Channels::Rgb,
    };
    let source = DecoderInfo {
        width: head.width,
        height: head.height,
        channels,
        icc: space::profile(&chunks, if channels.samples() < 3 { 1 } else { 3 })?,
        orientation: chunks.exif.and_then(exif::orientation).unwrap_or(Orientation::NoTransforms),
    };
    let mut feed = Feed::new(source, sink);
    let picture = PngLayout { head, passes };
    match picture.read(reader, &mut feed, false) {
        Ok(()) => Ok(complete(&chunks, feed)),
        Err(_) => picture.salvage(&chunks, raw_bytes, feed),
    }
}

/// Finishes a picture whose rows were all read.
fn complete(chunks: &Chunks<'_>, feed: Feed<'_>) -> DecodeSummary {
    if !chunks.corrupt {
        return feed.finish();
    }
    let words = "A checksum of the file's image data is wrong: parts of the picture may be wrong.";
    feed.finish_damaged(Damage(words.to_owned()))
}

/// Reads the chunks before the image data. Their checksums have already been checked.
fn reader(file: Parts<'_>) -> Result<png::Reader<Parts<'_>>, png::DecodingError> {
    let mut decoder = png::Decoder::new_with_limits(file, png::Limits { bytes: MEMORY });
    decoder.set_transformations(Transformations::EXPAND);
    decoder.ignore_checksums(true);
    decoder.read_info()
}

/// The positions of a pass's pixels: first column and row, the distances between pixels, and the size of the block
/// that a pixel fills until finer passes are read.
struct InterlacePass {
    x: usize,
    step: usize,
    y: usize,
    every: usize,
    block: (usize, usize),
}

const fn pass(x: usize, step: usize, y: usize, every: usize, block: (usize, usize)) -> InterlacePass {
    InterlacePass { x, step, y, every, block }
}

const PLAIN: [InterlacePass; 1] = [pass(0, 1, 0, 1, (1, 1))];

/// The seven passes in file order (PNG, third edition, 8.1).
const INTERLACED: [InterlacePass; 7] = [
    pass(0, 8, 0, 8, (8, 8)),
    pass(4, 8, 0, 8, (4, 8)),
    pass(0, 4, 4, 8, (4, 4)),
    pass(2, 4, 0, 4, (2, 4)),
    pass(0, 2, 2, 4, (2, 2)),
    pass(1, 2, 0, 2, (1, 2)),
    pass(0, 1, 1, 2, (1, 1)),
];

/// The arrangement of a picture's pixels in its file.
struct PngLayout {
    head: ImageHeader,
    passes: &'static [InterlacePass],
}

/// The position at which reading ended.
struct TruncatedAt {
    pixels: u64,
    /// The first missing row of a picture that is not interlaced.
    row: usize,
    error: Option<png::DecodingError>,
}

impl PngLayout {
    /// Passes all rows to the feed. If the data ends too early, returns an error with the position. With `blocks`, each
    /// pixel of a coarse pass fills its whole block.
    fn read(
        &self,
        mut reader: png::Reader<Parts<'_>>,
        feed: &mut Feed<'_>,
        blocks: bool,
    ) -> Result<(), TruncatedAt> {
        let (width, height) = (self.head.width as usize, self.head.height as usize);
        let wide = reader.output_color_type().1 == BitDepth::Sixteen;
        let mut pixels = 0;
        let mut samples = Vec::new();
        // A pass without pixels has no rows.
        for pass in self.passes.iter().filter(|pass| pass.x < width) {
            for y in (pass.y..height).step_by(pass.every) {
                let ended = |error| TruncatedAt { pixels, row: y, error };
                let row =
                    reader.next_row().map_err(|error| ended(Some(error)))?.ok_or_else(|| ended(None))?;
                let size = if blocks { pass.block } else { (1, 1) };
                let places = places(pass, y, size, (width, height));
                let count = (width - pass.x).div_ceil(pass.step);
                if wide {
                    samples.clear();
                    samples.extend(row.data().as_chunks().0.iter().map(|&pair| u16::from_be_bytes(pair)));
                    let each = samples.len() / count;
                    places.for_each(|(place, count)| feed.row16(place, &samples[..each * count]));
                } else {
                    let each = row.data().len() / count;
                    places.for_each(|(place, count)| feed.row8(place, &row.data()[..each * count]));
                }
                pixels += count as u64;
            }
        }
        Ok(())
    }

    /// Reads the picture again, up to the first invalid data. The missing rows become grey; in an interlaced picture,
    /// the coarse passes fill them.
    fn salvage(
        &self,
        chunks: &Chunks<'_>,
        raw_bytes: usize,
        mut feed: Feed<'_>,
    ) -> Result<DecodeSummary, PhotoError> {
        let broken = |error: &dyn std::fmt::Display| broken(InputFormat::Png, error);
        let reader =
            reader(chunks.picture(chunks.sound_length(raw_bytes))).map_err(|error| broken(&error))?;
        let Err(TruncatedAt { pixels, row, error }) = self.read(reader, &mut feed, true) else {
            return Ok(complete(chunks, feed));
        };
        let Some(damage) = partial::damage(pixels, self.head.pixels()) else {
            return Err(match error {
                Some(error) => broken(&error),
                None => broken(&"nearly all of its image data is missing"),
            });
        };
        // The coarse passes of an interlaced picture cover the pixels that are missing.
        if self.passes.len() > 1 {
            let words = "Detail is missing: the picture is coarse in places.";
            return Ok(feed.finish_damaged(Damage(words.to_owned())));
        }
        (row..self.head.height as usize).for_each(|y| feed.missing_row(y));
        Ok(feed.finish_damaged(damage))
    }
}

/// The positions in the picture that a row of a pass fills, and the number of pixels at each of them.
fn places(
    pass: &InterlacePass,
    y: usize,
    (across, down): (usize, usize),
    (width, height): (usize, usize),
) -> impl Iterator<Item = (RowPosition, usize)> {
    let (x, step) = (pass.x, pass.step);
    (y..(y + down).min(height)).flat_map(move |y| {
        (x..(x + across).min(width))
            .map(move |first| (RowPosition { y, first, step }, (width - first).div_ceil(step)))
    })
}
