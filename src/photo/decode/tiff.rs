//! The first page of a TIFF, strip by strip or tile by tile.

use std::io::Cursor;

use image::metadata::Orientation;
use tiff::decoder::{Decoder, Limits, TiffCodingUnit};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use super::feed::{Channels, give_back};
use super::jpeg::ycc_to_rgb;
use super::sink::Place;
use super::{DecodeSummary, Feed, InputFormat, PhotoError, Sink, Source, broken};
use crate::photo::Head;
use crate::photo::head::{jpeg, tiff_tag};

/// Most bytes of one strip or tile, and of one tag's values.
const MAX_UNIT: usize = 200_000_000;
const MAX_TAG: usize = 8 << 20;

/// Values of the tags Compression, PhotometricInterpretation, ExtraSamples and FillOrder.
const JPEG: u16 = 7;
const PALETTE: u16 = 3;
const BLACK_IS_ZERO: u8 = 1;
const LOW_BIT_FIRST: u16 = 2;

type Reader<'a> = Decoder<Cursor<&'a [u8]>>;

pub(super) fn decode(bytes: &[u8], head: Head, sink: &mut dyn Sink) -> Result<DecodeSummary, PhotoError> {
    // Indices into a palette are read as if they were greys; the reader knows no palettes.
    let mut changed = Vec::new();
    let palette = tiff_tag(bytes, 262).filter(|tag| tag.value == u32::from(PALETTE));
    if let Some(tag) = &palette {
        changed = bytes.to_vec();
        let (low, high) =
            if bytes[0] == b'I' { (tag.place, tag.place + 1) } else { (tag.place + 1, tag.place) };
        (changed[low], changed[high]) = (BLACK_IS_ZERO, 0);
    }
    let mut reader = open(if palette.is_some() { &changed } else { bytes })?;
    let chunks = chunks(&mut reader, bytes.len())?;
    let chunk_size = reader.chunk_dimensions();
    check_jpeg(&mut reader, bytes, &chunks, chunk_size)?;
    // Faxes may count bits from the low end; only whole bytes of bilevel strips are turned over.
    if tag(&mut reader, Tag::FillOrder) == Some(LOW_BIT_FIRST)
        && reader.colortype().is_ok_and(|c| c.bit_depth() == 1)
    {
        drop(reader);
        if changed.is_empty() {
            changed = bytes.to_vec();
        }
        for range in &chunks {
            changed[range.clone()].iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        reader = open(&changed)?;
    }
    let size = reader.dimensions().map_err(failed)?;
    if size != (head.width, head.height) {
        return Err(broken(InputFormat::Tiff, "its size is not clear"));
    }
    let colours =
        if palette.is_some() { Some(reader.get_tag_u16_vec(Tag::ColorMap).map_err(failed)?) } else { None };
    let pixels = Pixels::of(&mut reader, colours)?;
    let orientation =
        tag(&mut reader, Tag::Orientation).and_then(|value| Orientation::from_exif(value.min(255) as u8));
    let icc = reader.find_tag(Tag::IccProfile).ok().flatten().and_then(|value| value.into_u8_vec().ok());
    let source = Source {
        width: head.width,
        height: head.height,
        channels: pixels.channels,
        icc: icc.filter(|_| palette.is_none()),
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
    };
    read(&mut reader, head, &pixels, source, sink)
}

fn open(bytes: &[u8]) -> Result<Reader<'_>, PhotoError> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MAX_UNIT;
    limits.ifd_value_size = MAX_TAG;
    Ok(Decoder::new(Cursor::new(bytes)).map_err(failed)?.with_limits(limits))
}

fn tag(reader: &mut Reader<'_>, tag: Tag) -> Option<u16> {
    reader.find_tag_unsigned(tag).ok().flatten()
}

/// Where the strips or tiles are in the file; none may reach beyond its end.
fn chunks(reader: &mut Reader<'_>, length: usize) -> Result<Vec<std::ops::Range<usize>>, PhotoError> {
    let (offsets, counts) = match reader.get_chunk_type() {
        tiff::decoder::ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts),
        tiff::decoder::ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts),
    };
    let offsets = reader.get_tag_u64_vec(offsets).map_err(failed)?;
    let counts = reader.get_tag_u64_vec(counts).map_err(failed)?;
    let range = |(&offset, &count): (&u64, &u64)| {
        let begin = usize::try_from(offset).ok()?;
        let end = begin.checked_add(usize::try_from(count).ok()?)?;
        (end <= length).then_some(begin..end)
    };
    let ranges = offsets.iter().zip(&counts).map(range).collect::<Option<_>>();
    ranges.ok_or_else(|| broken(InputFormat::Tiff, "a strip is cut off"))
}

/// A strip in JPEG says its own size, and memory is taken for that: it must be the strip's.
fn check_jpeg(
    reader: &mut Reader<'_>,
    bytes: &[u8],
    chunks: &[std::ops::Range<usize>],
    (width, height): (u32, u32),
) -> Result<(), PhotoError> {
    if tag(reader, Tag::Compression) != Some(JPEG) {
        return Ok(());
    }
    for range in chunks {
        match jpeg(&bytes[range.clone()])? {
            Some(size) if size.0 <= width && size.1 <= height => {}
            _ => return Err(broken(InputFormat::Tiff, "a strip is larger than it should be")),
        }
    }
    Ok(())
}

/// What the samples of this file are.
struct Pixels {
    channels: Channels,
    bits: u8,
    /// Samples in the file for each pixel; the first ones are the channels.
    samples: usize,
    /// Red, green and blue of each index, 16 bits each.
    palette: Option<Vec<[u16; 3]>>,
    ycc: bool,
}

impl Pixels {
    fn of(reader: &mut Reader<'_>, colours: Option<Vec<u16>>) -> Result<Self, PhotoError> {
        let kind = reader.colortype().map_err(failed)?;
        let palette = colours.map(|map| {
            let count = map.len() / 3;
            (0..count).map(|i| [map[i], map[count + i], map[2 * count + i]]).collect::<Vec<_>>()
        });
        // Unsigned numbers; the tag has one value for each sample.
        let unsigned = reader.find_tag_unsigned_vec::<u16>(Tag::SampleFormat).map_err(failed)?;
        let unsigned = unsigned.is_none_or(|formats| formats.iter().all(|&format| format == 1));
        let (channels, samples) = match kind {
            ColorType::Gray(1 | 2 | 4 | 8) if palette.is_some() => (Channels::Rgb, 1),
            ColorType::Gray(1 | 2 | 4 | 8 | 16) => (Channels::Grey, 1),
            ColorType::Multiband { bit_depth: 8 | 16, num_samples: 2 } => (Channels::GreyAlpha, 2),
            ColorType::RGB(8 | 16) | ColorType::YCbCr(8) => (Channels::Rgb, 3),
            ColorType::RGBA(8 | 16) => (Channels::Rgba, 4),
            ColorType::CMYK(8 | 16) => (Channels::Cmyk, 4),
            ColorType::CMYKA(8 | 16) => (Channels::Cmyk, 5),
            _ => return Err(unsupported(format!("{kind:?}"))),
        };
        if !unsigned {
            return Err(unsupported("samples that are not whole numbers"));
        }
        let ycc = matches!(kind, ColorType::YCbCr(_));
        Ok(Self { channels, bits: kind.bit_depth(), samples, palette, ycc })
    }

    /// Gives the feed a row of whole bytes as they are in the file.
    fn row(&self, feed: &mut Feed<'_>, place: Place, row: &[u8], width: usize) {
        if let Some(palette) = &self.palette {
            let colour = |index: u8| palette.get(usize::from(index)).copied().unwrap_or_default();
            let colours = unpacked(row, self.bits).take(width).flat_map(colour);
            return feed.row16(place, &colours.collect::<Vec<_>>());
        }
        let kept = self.channels.samples();
        if self.bits == 16 {
            let samples = row.as_chunks().0.iter().map(|&pair| u16::from_ne_bytes(pair));
            let kept = samples.enumerate().filter(|(i, _)| i % self.samples < kept).map(|(_, sample)| sample);
            feed.row16(place, &kept.collect::<Vec<_>>());
        } else if self.bits < 8 {
            // The largest value is white: 1, 3 or 15 become 255.
            let scale = 255 / ((1_u16 << self.bits) - 1) as u8;
            feed.row8(place, &unpacked(row, self.bits).take(width).map(|v| v * scale).collect::<Vec<_>>());
        } else if self.ycc {
            let rgb = |ycc: &[u8; 3]| ycc_to_rgb(ycc.map(f32::from));
            feed.row8(place, &row.as_chunks().0.iter().flat_map(rgb).collect::<Vec<_>>());
        } else if kept == self.samples {
            feed.row8(place, row);
        } else {
            let pixels = row.chunks_exact(self.samples).flat_map(|pixel| &pixel[..kept]);
            feed.row8(place, &pixels.copied().collect::<Vec<_>>());
        }
    }
}

/// The values of 1, 2, 4 or 8 bits packed in bytes, from the high end.
fn unpacked(row: &[u8], bits: u8) -> impl Iterator<Item = u8> {
    let mask = (((1_u16) << bits) - 1) as u8;
    row.iter().flat_map(move |&byte| (0..8 / bits).map(move |i| byte >> (8 - bits * (i + 1)) & mask))
}

/// Reads all strips or tiles and gives their rows to the feed.
fn read(
    reader: &mut Reader<'_>,
    head: Head,
    pixels: &Pixels,
    source: Source,
    sink: &mut dyn Sink,
) -> Result<DecodeSummary, PhotoError> {
    let (unit_width, unit_height) = reader.chunk_dimensions();
    let across = head.width.div_ceil(unit_width);
    let units = across * head.height.div_ceil(unit_height);
    let mut feed = Feed::new(source, sink);
    let mut buffer = Vec::new();
    let mut interleaved = Vec::new();
    for unit in 0..units {
        let layout = reader.image_coding_unit_layout(TiffCodingUnit(unit)).map_err(failed)?;
        if layout.complete_len > MAX_UNIT {
            return Err(PhotoError::TooManyPixels(
                "The TIFF has more in one strip than is taken. Save it with strips or tiles, or with 8 bits \
                 a channel."
                    .to_owned(),
            ));
        }
        buffer.resize(layout.complete_len, 0);
        reader.read_coding_unit_bytes(TiffCodingUnit(unit), &mut buffer).map_err(failed)?;
        let (first, top) = ((unit % across) * unit_width, (unit / across) * unit_height);
        let (width, rows) = (unit_width.min(head.width - first), unit_height.min(head.height - top));
        let stride = layout.row_stride.map_or(buffer.len(), std::num::NonZeroUsize::get);
        // From the bottom up: a strip may be the whole picture, and its memory is given back while the
        // sink's fills.
        for y in (0..rows as usize).rev() {
            let place = Place { y: top as usize + y, first: first as usize, step: 1 };
            if layout.planes == 1 {
                pixels.row(&mut feed, place, &buffer[y * stride..][..stride], width as usize);
                give_back(&mut buffer, y * stride);
                continue;
            }
            let plane = layout.plane_stride.map_or(0, std::num::NonZeroUsize::get);
            let bytes = usize::from(pixels.bits / 8);
            interleaved.clear();
            for x in 0..width as usize {
                for sample in 0..layout.planes {
                    interleaved
                        .extend_from_slice(&buffer[sample * plane + y * stride + x * bytes..][..bytes]);
                }
            }
            pixels.row(&mut feed, place, &interleaved, width as usize);
        }
    }
    Ok(feed.finish())
}

fn unsupported(what: impl std::fmt::Display) -> PhotoError {
    PhotoError::Unsupported(format!(
        "This kind of TIFF is not read here ({what}). Save it uncompressed, with LZW or CCITT group 4, or as PNG."
    ))
}

fn failed(error: TiffError) -> PhotoError {
    match error {
        TiffError::UnsupportedError(error) => unsupported(error),
        error => broken(InputFormat::Tiff, error),
    }
}
