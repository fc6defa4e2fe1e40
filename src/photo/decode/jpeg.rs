//! JPEG, with zune-jpeg.

use image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::feed::Channels;
use super::{Feed, InputFormat, PhotoError, Sink, Source, broken};
use crate::photo::Head;

pub(super) fn decode(bytes: &[u8], head: Head, sink: &mut dyn Sink) -> Result<Orientation, PhotoError> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(head.width as usize)
        .set_max_height(head.height as usize);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| broken(InputFormat::Jpeg, error))?;
    let channels = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => Channels::Grey,
        _ => Channels::Rgb,
    };
    let out = if channels == Channels::Grey { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(out));
    let pixels = decoder.decode().map_err(|error| broken(InputFormat::Jpeg, error))?;
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    let source = Source {
        width: head.width,
        height: head.height,
        channels,
        icc: decoder.icc_profile(),
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
    };
    drop(decoder);
    let mut feed = Feed::new(source, sink);
    feed.all8(&pixels);
    Ok(feed.orientation())
}
