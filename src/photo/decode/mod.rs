//! Decodes a file's bytes to rows of sRGB, and stores these rows as a photo or as 8-bit RGB.
//!
//! A format's decoder passes the picture to a [`Feed`] in the smallest parts that the format allows, usually rows. The
//! feed applies the ICC profile and passes the rows to a [`Sink`], which stores only luminance and opacity, or only
//! 8-bit RGB. So a photo never exists as full-size 16-bit RGBA.

mod bmp;
mod exif;
mod feed;
pub mod fuzzing;
mod gif;
mod jpeg;
mod jxl;
mod partial;
mod png;
mod profile;
mod sink;
mod tiff;
mod webp;

use image::metadata::Orientation;

use super::{
    CodecStep, Damage, DecodeOptions, InputFormat, Limits, Photo, PhotoError, Rgb, caught, orient,
    read_head_of,
};
use feed::{DecoderInfo, Feed};
use sink::{LumaSink, RgbSink, Sink};

pub(super) use sink::{RgbLayout, on_white};

/// The result of a decoder after it has passed all readable rows to the sink.
pub(super) struct DecodeSummary {
    /// The rotation or reflection that makes the picture upright.
    orientation: Orientation,
    /// The missing part; `None` for a complete picture.
    damage: Option<Damage>,
}

/// See [`Photo::decode`].
pub(super) fn photo(bytes: &[u8], options: &DecodeOptions, limits: &Limits) -> Result<Photo, PhotoError> {
    let mut sink = LumaSink::default();
    let DecodeSummary { orientation, damage } = decode(bytes, options, limits, &mut sink)?;
    Ok(Photo { damage, ..sink.finish(orient::and_then(orientation, options.rotation)) })
}

/// See [`Rgb::decode`].
pub(super) fn rgb(bytes: &[u8], limits: &Limits) -> Result<Rgb, PhotoError> {
    let mut sink = RgbSink::new(true);
    let DecodeSummary { orientation, damage } = decode(bytes, &DecodeOptions::default(), limits, &mut sink)?;
    match damage {
        Some(damage) => Err(PhotoError::Broken(format!("The picture is damaged: {damage}"))),
        None => Ok(sink.finish(orientation)),
    }
}

/// Decodes an upload's own pixels to sRGB as they are stored, and returns the turn that `options` ask for with them.
/// Transparent pixels keep their hidden colour and are not mixed with white.
pub(super) fn stored(
    bytes: &[u8],
    options: &DecodeOptions,
    limits: &Limits,
) -> Result<RgbLayout, PhotoError> {
    let mut sink = RgbSink::new(false);
    let DecodeSummary { orientation, .. } = decode(bytes, options, limits, &mut sink)?;
    Ok(sink.stored(orient::and_then(orientation, options.rotation)))
}

fn decode(
    bytes: &[u8],
    options: &DecodeOptions,
    limits: &Limits,
    sink: &mut dyn Sink,
) -> Result<DecodeSummary, PhotoError> {
    let head = read_head_of(bytes, options, limits)?;
    caught(CodecStep::Decode, head.format, || match head.format {
        InputFormat::Jpeg => jpeg::decode(bytes, head, sink),
        InputFormat::Png => png::decode(bytes, head, sink),
        InputFormat::WebP => webp::decode(bytes, head, sink),
        InputFormat::Tiff => tiff::decode(bytes, head, options.page, sink),
        InputFormat::Bmp => bmp::decode(bytes, head, sink),
        InputFormat::Gif => gif::decode(bytes, head, sink),
        InputFormat::Jxl => jxl::decode(bytes, head, sink),
    })
}

/// The error for a damaged file, with the decoder's message.
fn broken(format: InputFormat, error: impl std::fmt::Display) -> PhotoError {
    PhotoError::Broken(format!("The {format} file is damaged or cut short ({error})."))
}
