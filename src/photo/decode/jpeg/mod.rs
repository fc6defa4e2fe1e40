//! Decodes JPEG files.
//!
//! [`baseline`] decodes ordinary files. zune-jpeg decodes progressive files and files with four components.
//! jpeg-decoder decodes files with an unusual layout, and files that zune-jpeg refuses. A damaged file is first repaired by [`mend`]
//! and then decoded by one of the three. benches/README.md compares the decoders.

mod baseline;
mod bits;
mod colors;
mod mend;
mod restarts;
mod scan;
mod split;
mod walk;

use image::metadata::Orientation;
use jpeg_decoder::Decoder as UnusualDecoder;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::feed::{Channels, give_back};
use super::sink::RowPosition;
use super::{DecodeSummary, DecoderInfo, Feed, InputFormat, PhotoError, Sink, broken};
use crate::photo::needs::SPLIT_ABOVE;
use crate::photo::resample::{self, Resample};
use crate::photo::{Damage, ImageHeader};
use baseline::Baseline;
use colors::Colors;
use walk::JpegLayout;

/// Maximum scans, and maximum product of scans and pixels. A progressive file has ten to twenty scans, and each costs
/// a pass over all coefficients.
const MAX_SCANS: usize = 100;
const MAX_WORK: u64 = 1_200_000_000;

pub(super) fn decode(
    bytes: &[u8],
    head: ImageHeader,
    sink: &mut dyn Sink,
) -> Result<DecodeSummary, PhotoError> {
    let size = (head.width, head.height);
    let layout = JpegLayout::of(bytes)?;
    let scans = layout.scans().count();
    if scans > MAX_SCANS || scans as u64 * head.pixels() > MAX_WORK {
        return Err(broken(
            InputFormat::Jpeg,
            format!("it has {scans} scans, more than a picture of this size needs"),
        ));
    }
    let file = IntactJpeg::of(bytes, layout, size)?;
    if let Some(summary) = file.baseline(sink) {
        return Ok(summary);
    }
    let damage = mend::check(bytes, &file.layout, size)?;
    if damage.is_none() && file.layout.is_sound(bytes, size) {
        return file.decode(sink);
    }
    let bytes = mend::mend(bytes, &file.layout, size)?;
    let file = IntactJpeg::of(&bytes, JpegLayout::of(&bytes)?, size)?;
    let summary = match file.baseline(sink) {
        Some(summary) => summary,
        None => file.decode(sink)?,
    };
    Ok(DecodeSummary { damage, ..summary })
}

/// A file that is undamaged or was repaired.
struct IntactJpeg<'a> {
    bytes: &'a [u8],
    layout: JpegLayout,
    size: (u32, u32),
    colors: Colors,
}

impl<'a> IntactJpeg<'a> {
    fn of(bytes: &'a [u8], layout: JpegLayout, size: (u32, u32)) -> Result<Self, PhotoError> {
        let count = layout.frame.components.len();
        let colors = Colors::of(bytes, &layout).ok_or_else(|| {
            PhotoError::Unsupported(format!(
                "PixColor does not read a JPEG with {count} components. Save it as an ordinary JPEG or as PNG."
            ))
        })?;
        Ok(Self { bytes, layout, size, colors })
    }

    /// Decodes ordinary baseline files row by row; `None` if the file is of another kind or damaged. Files that
    /// zune-jpeg refuses or sees with other colours are of another kind, too: their pixels must stay those of the other
    /// decoders.
    fn baseline(&self, sink: &mut dyn Sink) -> Option<DecodeSummary> {
        let file = Baseline::of(self.bytes, &self.layout, self.size, self.colors)?;
        self.layout.is_ordinary().then_some(())?;
        let mut headers = decoder(self.bytes);
        headers.decode_headers().ok()?;
        self.colors.are(headers.input_colorspace()).then_some(())?;
        let mut feed = Feed::new(self.source(self.channels()), sink);
        file.decode(&mut feed)?;
        Some(feed.finish())
    }

    /// The channels of files that are decoded row by row.
    fn channels(&self) -> Channels {
        if self.colors == Colors::Gray { Channels::Gray } else { Channels::Rgb }
    }

    /// Decodes other files: all samples before passing the first pixel to the sink.
    fn decode(&self, sink: &mut dyn Sink) -> Result<DecodeSummary, PhotoError> {
        let (width, height) = self.size;
        let large = u64::from(width) * u64::from(height) > SPLIT_ABOVE;
        let (pixels, channels) = match self.layout.is_ordinary() {
            true if large && self.layout.frame.progressive && self.layout.frame.components.len() == 3 => {
                return self.by_component(sink);
            }
            true => match self.ordinary() {
                Err(_) => self.unusual()?,
                pixels => pixels?,
            },
            false => self.unusual()?,
        };
        let mut feed = Feed::new(self.source(channels), sink);
        feed.whole8(pixels);
        Ok(feed.finish())
    }

    fn source(&self, channels: Channels) -> DecoderInfo {
        let exif = colors::first_exif(self.bytes, &self.layout);
        let orientation = exif.and_then(super::exif::orientation);
        let icc = colors::icc_profile(self.bytes, &self.layout);
        let (width, height) = self.size;
        DecoderInfo {
            width,
            height,
            channels,
            icc,
            orientation: orientation.unwrap_or(Orientation::NoTransforms),
        }
    }

    /// Decodes with zune-jpeg.
    fn ordinary(&self) -> Result<(Vec<u8>, Channels), PhotoError> {
        let damaged = |error| broken(InputFormat::Jpeg, error);
        let mut decoder = decoder(self.bytes);
        decoder.decode_headers().map_err(damaged)?;
        let seen = decoder.input_colorspace();
        let (channels, out) = match self.colors {
            // If JFIF says Y, Cb, Cr and Adobe's segment says RGB, JFIF is right. zune-jpeg must then not convert the
            // samples.
            Colors::Ycc if seen == Some(ColorSpace::CMYK) => (Channels::Ycc, ColorSpace::RGB),
            _ if !self.colors.are(seen) => {
                return Err(broken(InputFormat::Jpeg, "its colour space is contradictory"));
            }
            Colors::Gray => (Channels::Gray, ColorSpace::Luma),
            Colors::Ycc | Colors::Rgb => (Channels::Rgb, ColorSpace::RGB),
            Colors::Ycck => (Channels::Ycck, ColorSpace::YCCK),
            Colors::Cmyk => (Channels::Cmyk, ColorSpace::CMYK),
            Colors::CmykInverted => (Channels::CmykInverted, ColorSpace::CMYK),
        };
        decoder.set_options(decoder.options().jpeg_set_out_colorspace(out));
        Ok((decoder.decode().map_err(damaged)?, channels))
    }

    /// Decodes with jpeg-decoder.
    fn unusual(&self) -> Result<(Vec<u8>, Channels), PhotoError> {
        let (transform, channels) = self.colors.transform();
        let mut decoder = UnusualDecoder::new(self.bytes);
        decoder.set_color_transform(transform);
        let pixels = decoder.decode().map_err(|error| match error {
            jpeg_decoder::Error::Unsupported(_) => PhotoError::Unsupported(format!(
                "PixColor does not read this kind of JPEG ({error}). Save it as an ordinary JPEG or as PNG."
            )),
            error => broken(InputFormat::Jpeg, error),
        })?;
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        if pixels.len() != width * height * channels.samples() {
            return Err(broken(InputFormat::Jpeg, "its size is contradictory"));
        }
        Ok((pixels, channels))
    }
}

/// Describes what is missing from a file's picture. See [`super::fuzzing`].
pub(super) fn damage(bytes: &[u8], head: ImageHeader) -> Result<Option<Damage>, PhotoError> {
    mend::check(bytes, &JpegLayout::of(bytes)?, (head.width, head.height))
}

/// The files that may be made from an upload before decoding: first the repaired file, then, if the upload is
/// progressive, one file for each component that can be extracted. See [`super::fuzzing`].
pub(super) fn parts(bytes: &[u8], head: ImageHeader) -> Result<Vec<Vec<u8>>, PhotoError> {
    let layout = JpegLayout::of(bytes)?;
    let size = (head.width, head.height);
    let mut files = vec![mend::mend(bytes, &layout, size)?];
    if layout.frame.progressive && layout.scans().count() <= MAX_SCANS {
        let components = 0..layout.frame.components.len();
        files.extend(components.filter_map(|place| split::component(bytes, &layout, size, place).ok()));
    }
    Ok(files)
}

fn decoder(bytes: &[u8]) -> JpegDecoder<ZCursor<&[u8]>> {
    let side = usize::from(u16::MAX);
    let options = DecoderOptions::default().set_strict_mode(true).set_max_width(side).set_max_height(side);
    JpegDecoder::new_with_options(ZCursor::new(bytes), options)
}

impl IntactJpeg<'_> {
    /// Decodes three components one after the other, each from its own grey JPEG.
    fn by_component(&self, sink: &mut dyn Sink) -> Result<DecodeSummary, PhotoError> {
        let Self { bytes, layout, size, .. } = self;
        let damaged = |error| broken(InputFormat::Jpeg, error);
        let plane = |place: usize| {
            let file = split::component(bytes, layout, *size, place)?;
            let mut decoder = decoder(&file);
            decoder.decode_headers().map_err(damaged)?;
            decoder.set_options(decoder.options().jpeg_set_out_colorspace(ColorSpace::Luma));
            let plane = decoder.decode().map_err(damaged)?;
            Ok((plane, layout.frame.size_of(layout.frame.components[place], *size)))
        };
        let mut planes: [(Vec<u8>, (u32, u32)); 3] = [plane(0)?, plane(1)?, plane(2)?];
        let (width, height) = (size.0 as usize, size.1 as usize);
        let mut feed = Feed::new(self.source(Channels::Rgb), sink);
        let mut enlarge = planes.each_ref().map(|(_, from)| Resample::<1>::new(*from, *size));
        let mut rows = [const { Vec::new() }; 3].map(|_: Vec<f32>| vec![0.0; width]);
        let mut rgb = vec![0; width * 3];
        // Works from the bottom up, so that the planes' memory can be freed while the sink's grows.
        for y in (0..height).rev() {
            for (((plane, from), enlarge), row) in planes.iter_mut().zip(&mut enlarge).zip(&mut rows) {
                let across = from.0 as usize;
                let mut needed = 0;
                let add = |source: usize, weight: f32, sum: &mut [f32]| {
                    needed = needed.max(source + 1);
                    resample::add(&plane[source * across..][..across], weight, sum);
                };
                enlarge.row(y, add, row);
                // Rows further up need no source rows below the last one that this row needs.
                give_back(plane, needed * across);
            }
            for (x, pixel) in rgb.as_chunks_mut().0.iter_mut().enumerate() {
                let samples = [rows[0][x], rows[1][x], rows[2][x]];
                *pixel = match self.colors {
                    Colors::Ycc => ycc_to_rgb(samples),
                    _ => samples.map(|value| (value + 0.5) as u8),
                };
            }
            feed.row8(RowPosition::row(y), &rgb);
        }
        Ok(feed.finish())
    }
}

/// Converts Y, Cb, Cr (each from 0 to 255) to RGB with the equations of JFIF (ITU T.871, 7).
pub(super) fn ycc_to_rgb([y, cb, cr]: [f32; 3]) -> [u8; 3] {
    let (cb, cr) = (cb - 128.0, cr - 128.0);
    let code = |value: f32| (value + 0.5).clamp(0.0, 255.0) as u8;
    [code(y + 1.402 * cr), code(y - 0.344_136 * cb - 0.714_136 * cr), code(y + 1.772 * cb)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::decode::sink::LumaSink;
    use crate::photo::{Limits, Photo, read_head};

    const FILES: [&[u8]; 3] = [
        include_bytes!("../../../../tests/data/progressive-420.jpg"),
        include_bytes!("../../../../tests/data/progressive-444.jpg"),
        include_bytes!("../../../../tests/data/progressive-422-restarts.jpg"),
    ];

    #[test]
    fn decoding_one_component_after_the_other_gives_the_same_photo() {
        for bytes in FILES {
            let head = read_head(bytes, &Limits::default()).unwrap();
            let layout = JpegLayout::of(bytes).unwrap();
            assert!(layout.frame.progressive);
            let mut sink = LumaSink::default();
            IntactJpeg::of(bytes, layout, (head.width, head.height))
                .unwrap()
                .by_component(&mut sink)
                .unwrap();
            let parts = sink.finish(Orientation::NoTransforms).gray.luma;
            let whole = Photo::decode(bytes, &Limits::default()).unwrap().gray.luma;
            // Only the colour differences are enlarged by another method; the luma samples are the same.
            let sum: u32 = parts.iter().zip(&whole).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            let mean = f64::from(sum) / whole.len() as f64 / 655.35;
            assert!(mean < 0.3, "mean difference of {mean} L*");
        }
    }

    #[test]
    fn the_gray_jpeg_of_luminance_is_exactly_the_luminance() {
        for bytes in FILES {
            let head = read_head(bytes, &Limits::default()).unwrap();
            let layout = JpegLayout::of(bytes).unwrap();
            let luma = |bytes: &[u8]| {
                let mut decoder = decoder(bytes);
                decoder.decode_headers().unwrap();
                decoder.set_options(decoder.options().jpeg_set_out_colorspace(ColorSpace::Luma));
                decoder.decode().unwrap()
            };
            let split = split::component(bytes, &layout, (head.width, head.height), 0).unwrap();
            assert!(luma(&split) == luma(bytes));
        }
    }

    #[test]
    fn extracting_a_component_from_a_damaged_file_never_panics() {
        for bytes in FILES {
            for at in (200..bytes.len() - 2).step_by(7) {
                let mut damaged = bytes.to_vec();
                damaged[at] ^= 0x55;
                let Ok(layout) = JpegLayout::of(&damaged) else { continue };
                let size = (123, 77);
                for place in 0..layout.frame.components.len() {
                    let _ = split::component(&damaged, &layout, size, place);
                }
            }
        }
    }
}
