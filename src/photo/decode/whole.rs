//! Formats whose decoders only give the whole picture at once.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageFormat};

use super::feed::Channels;
use super::{Feed, InputFormat, PhotoError, Sink, Source, broken};
use crate::photo::Head;

pub(super) fn decode(bytes: &[u8], head: Head, sink: &mut dyn Sink) -> Result<Orientation, PhotoError> {
    let format = match head.format {
        InputFormat::Jpeg => ImageFormat::Jpeg,
        InputFormat::Png => ImageFormat::Png,
        InputFormat::WebP => ImageFormat::WebP,
        InputFormat::Tiff => ImageFormat::Tiff,
        InputFormat::Bmp => ImageFormat::Bmp,
        InputFormat::Gif => ImageFormat::Gif,
    };
    let broken = |error| broken(head.format, error);
    let mut decoder =
        image::ImageReader::with_format(Cursor::new(bytes), format).into_decoder().map_err(broken)?;
    if decoder.dimensions() != (head.width, head.height) {
        return Err(broken(image::ImageError::Limits(image::error::LimitError::from_kind(
            image::error::LimitErrorKind::DimensionError,
        ))));
    }
    let (channels, deep) = match decoder.color_type() {
        ColorType::L8 => (Channels::Grey, false),
        ColorType::La8 => (Channels::GreyAlpha, false),
        ColorType::Rgb8 => (Channels::Rgb, false),
        ColorType::Rgba8 => (Channels::Rgba, false),
        ColorType::L16 => (Channels::Grey, true),
        ColorType::La16 => (Channels::GreyAlpha, true),
        ColorType::Rgb16 => (Channels::Rgb, true),
        ColorType::Rgba16 => (Channels::Rgba, true),
        other => {
            return Err(PhotoError::Unsupported(format!(
                "{other:?} samples in a {} file are not read here. Save it with 8 or 16 bits a channel.",
                head.format
            )));
        }
    };
    let source = Source {
        width: head.width,
        height: head.height,
        channels,
        icc: decoder.icc_profile().ok().flatten(),
        orientation: decoder.orientation().unwrap_or(Orientation::NoTransforms),
    };
    let mut pixels = vec![0; usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX)];
    decoder.read_image(&mut pixels).map_err(broken)?;
    let mut feed = Feed::new(source, sink);
    if deep {
        let wide: Vec<u16> = pixels.as_chunks().0.iter().map(|&pair| u16::from_ne_bytes(pair)).collect();
        feed.all16(&wide);
    } else {
        feed.all8(&pixels);
    }
    Ok(feed.orientation())
}
