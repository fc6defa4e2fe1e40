//! Decodes a page of a TIFF file as libtiff does, row by row from its strips or tiles.
//!
//! This module reads the directories and the order of the pixels; libraries (weezl, flate2, fax, zune-jpeg)
//! decompress the data. The crate `tiff` is not used: it reads strips only as a whole, returns nothing of a damaged
//! strip, and cannot read all layouts that libtiff reads.

mod codec;
mod color;
mod fax;
mod jpeg;
mod layout;
mod missing;
mod rows;

use std::io::Read;

use image::metadata::Orientation;

use super::sink::RowPosition;
use super::{DecodeSummary, DecoderInfo, Feed, InputFormat, PhotoError, Sink, broken};
use crate::photo::ImageHeader;
use crate::photo::ifd::{self, tag};
use color::TiffColor;
use layout::TiffLayout;
use missing::{Area, Missing};
use rows::{Sample, StripRows};

/// Maximum bytes of an ICC profile.
const MAX_PROFILE: usize = 8 << 20;

pub(super) fn decode(
    bytes: &[u8],
    head: ImageHeader,
    page: u32,
    sink: &mut dyn Sink,
) -> Result<DecodeSummary, PhotoError> {
    let directory = ifd::pages(bytes).page(page).ok_or_else(|| damaged("it has no page"))?;
    let layout = TiffLayout::of(directory)?;
    let profile = directory.field(tag::ICC_PROFILE).and_then(|field| field.bytes());
    let profile = profile
        .filter(|profile| profile.len() <= MAX_PROFILE && !matches!(layout.color, TiffColor::Palette(_)));
    let orientation = directory.number(tag::ORIENTATION).and_then(|value| u8::try_from(value).ok());
    let source = DecoderInfo {
        width: head.width,
        height: head.height,
        channels: layout.color.channels(layout.alpha.is_some()),
        icc: profile.map(<[u8]>::to_vec),
        orientation: orientation.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms),
    };
    match layout.bits {
        16 => read::<u16>(&layout, source, sink),
        _ => read::<u8>(&layout, source, sink),
    }
}

/// Reads all strips or tiles and passes their rows to the feed.
fn read<T: Sample>(
    layout: &TiffLayout<'_>,
    source: DecoderInfo,
    sink: &mut dyn Sink,
) -> Result<DecodeSummary, PhotoError> {
    let (across, down) = layout.units();
    let mut feed = Feed::new(source, sink);
    let mut missing = Missing::default();
    let mut rows = StripRows::<T>::new(layout);
    for (row, column) in (0..down).flat_map(|row| (0..across).map(move |column| (row, column))) {
        let (left, top) = (column * layout.unit.0, row * layout.unit.1);
        let (width, height) =
            (layout.unit.0.min(layout.width - left), layout.unit.1.min(layout.height - top));
        let mut area = Area { left, top, width, height };
        let unit = (row as usize * across as usize) + column as usize;
        match streams(layout, unit) {
            Ok(mut streams) => {
                while area.height > 0 && rows.read(&mut streams, width as usize).is_ok() {
                    rows.feed(&mut feed, RowPosition { y: area.top as usize, first: left as usize, step: 1 });
                    (area.top, area.height) = (area.top + 1, area.height - 1);
                }
            }
            Err(error @ PhotoError::Broken(_)) => {
                missing.reason.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
        missing.add(area);
    }
    missing.finish(feed, (layout.width, layout.height))
}

/// Opens a strip or tile; with separate planes, one stream for each plane that is used.
fn streams<'a>(layout: &TiffLayout<'a>, unit: usize) -> Result<Vec<Box<dyn Read + 'a>>, PhotoError> {
    if !layout.planar {
        let stream = codec::open(layout, unit)?;
        return Ok(vec![match &layout.color {
            TiffColor::Ycc(ycc) if ycc.subsampling != (1, 1) => {
                Box::new(codec::Subsampled::new(stream, layout.unit.0, ycc.subsampling))
            }
            _ => stream,
        }]);
    }
    let (across, down) = layout.units();
    let of_plane = across as usize * down as usize;
    layout.wanted().into_iter().map(|plane| codec::open(layout, plane * of_plane + unit)).collect()
}

fn unsupported(what: impl std::fmt::Display) -> PhotoError {
    PhotoError::Unsupported(format!(
        "PixColor does not read this kind of TIFF ({what}). Save it as a TIFF without compression or with LZW or CCITT \
         group 4 compression, or as a PNG."
    ))
}

fn damaged(what: impl std::fmt::Display) -> PhotoError {
    broken(InputFormat::Tiff, what)
}
