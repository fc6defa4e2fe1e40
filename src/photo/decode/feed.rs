//! Converts the rows of a decoder to sRGB and passes them to a sink.

use image::metadata::Orientation;

use super::DecodeSummary;
use super::jpeg::ycc_to_rgb;
use super::profile::ToSrgb;
use super::sink::{Row, RowPosition, Sink};
use crate::photo::Damage;

/// The meaning of the interleaved samples in a decoder's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channels {
    Gray,
    GrayAlpha,
    Rgb,
    /// Y, Cb, Cr (ITU T.871).
    Ycc,
    Rgba,
    /// RGB and an unused sample.
    Rgbx,
    /// Inks; 0 is no ink.
    Cmyk,
    /// Inks; the largest value is no ink. Photoshop writes this into JPEG files.
    CmykInverted,
    /// Y, Cb, Cr of the inks cyan, magenta and yellow, and inverted black. Photoshop writes this into compressed JPEG
    /// files.
    Ycck,
}

impl Channels {
    /// Samples per pixel without opacity.
    fn colors(self) -> usize {
        match self {
            Self::Gray | Self::GrayAlpha => 1,
            Self::Rgb | Self::Ycc | Self::Rgba | Self::Rgbx => 3,
            Self::Cmyk | Self::CmykInverted | Self::Ycck => 4,
        }
    }

    /// Whether one more sample follows the colours.
    fn alpha(self) -> bool {
        matches!(self, Self::GrayAlpha | Self::Rgba | Self::Rgbx)
    }

    /// Samples per pixel, including opacity.
    pub(super) fn samples(self) -> usize {
        self.colors() + usize::from(self.alpha())
    }
}

/// The properties of a picture that its decoder knows before the first row.
pub(super) struct DecoderInfo {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) channels: Channels,
    pub(super) icc: Option<Vec<u8>>,
    pub(super) orientation: Orientation,
}

/// Receives a decoder's rows.
pub(super) struct Feed<'a> {
    sink: &'a mut dyn Sink,
    channels: Channels,
    to_srgb: ToSrgb,
    orientation: Orientation,
    width: usize,
}

impl<'a> Feed<'a> {
    pub(super) fn new(source: DecoderInfo, sink: &'a mut dyn Sink) -> Self {
        sink.begin(source.width, source.height);
        Self {
            sink,
            channels: source.channels,
            to_srgb: ToSrgb::new(source.icc.as_deref(), source.channels.colors()),
            orientation: source.orientation,
            width: source.width as usize,
        }
    }

    /// Finishes a picture whose rows were all decoded.
    pub(super) fn finish(self) -> DecodeSummary {
        DecodeSummary { orientation: self.orientation, damage: None }
    }

    /// Finishes a picture of which only a part was decoded.
    pub(super) fn finish_damaged(self, damage: Damage) -> DecodeSummary {
        DecodeSummary { orientation: self.orientation, damage: Some(damage) }
    }

    /// Fills `width` pixels that are missing from the file with opaque mid-grey in sRGB.
    pub(super) fn missing(&mut self, place: RowPosition, width: usize) {
        let opaque = self.channels.alpha().then(|| vec![255; width]);
        self.sink.row(place, Row::Gray8(&vec![128; width]), opaque.as_deref());
    }

    /// Fills a row that is missing from the file.
    pub(super) fn missing_row(&mut self, y: usize) {
        self.missing(RowPosition::row(y), self.width);
    }

    /// Takes a whole picture with 8 bits per sample. Works from the bottom up and frees the decoder's memory while the
    /// sink's memory grows, so that of a large picture the decoder's and the sink's copies are never both complete in
    /// memory.
    pub(super) fn whole8(&mut self, mut pixels: Vec<u8>) {
        let row = self.width * self.channels.samples();
        for y in (0..pixels.len() / row).rev() {
            self.row8(RowPosition::row(y), &pixels[y * row..][..row]);
            give_back(&mut pixels, y * row);
        }
    }

    /// Takes a row with 8 bits per sample.
    pub(super) fn row8(&mut self, place: RowPosition, samples: &[u8]) {
        match self.channels {
            Channels::Gray | Channels::Rgb => self.colors8(place, samples, None),
            Channels::GrayAlpha | Channels::Rgba => {
                let (colors, alpha) = split(samples, self.channels.colors());
                self.colors8(place, &colors, Some(&alpha));
            }
            Channels::Rgbx => {
                let (colors, _) = split(samples, 3);
                self.colors8(place, &colors, None);
            }
            Channels::Ycc => {
                let rgb = |ycc: &[u8; 3]| ycc_to_rgb(ycc.map(f32::from));
                let rgb: Vec<u8> = samples.as_chunks().0.iter().flat_map(rgb).collect();
                self.colors8(place, &rgb, None);
            }
            Channels::Cmyk => self.inks(place, samples.to_vec()),
            Channels::CmykInverted => self.inks(place, samples.iter().map(|value| 255 - value).collect()),
            Channels::Ycck => {
                let ink = |&[y, cb, cr, k]: &[u8; 4]| {
                    let [c, m, y] = ycc_to_rgb([y, cb, cr].map(f32::from));
                    [c, m, y, 255 - k]
                };
                self.inks(place, samples.as_chunks().0.iter().flat_map(ink).collect());
            }
        }
    }

    /// Takes a row with 16 bits per sample.
    pub(super) fn row16(&mut self, place: RowPosition, samples: &[u16]) {
        match self.channels {
            Channels::Gray | Channels::Rgb => self.colors16(place, samples, None),
            Channels::GrayAlpha | Channels::Rgba => {
                let (colors, alpha) = split(samples, self.channels.colors());
                let alpha: Vec<u8> = alpha.into_iter().map(eight_bits).collect();
                self.colors16(place, &colors, Some(&alpha));
            }
            // These channels are converted with 8 bits of precision.
            Channels::Ycc | Channels::Rgbx | Channels::Cmyk | Channels::CmykInverted | Channels::Ycck => {
                self.row8(place, &samples.iter().copied().map(eight_bits).collect::<Vec<_>>());
            }
        }
    }

    fn colors8(&mut self, place: RowPosition, samples: &[u8], alpha: Option<&[u8]>) {
        let gray = self.channels.colors() == 1;
        let row = match self.to_srgb.row8(samples) {
            Some(codes) if gray => Row::Gray16(codes),
            Some(codes) => Row::Rgb16(codes),
            None if gray => Row::Gray8(samples),
            None => Row::Rgb8(samples),
        };
        self.sink.row(place, row, alpha);
    }

    fn colors16(&mut self, place: RowPosition, samples: &[u16], alpha: Option<&[u8]>) {
        let codes = self.to_srgb.row16(samples).unwrap_or(samples);
        let row = if self.channels.colors() == 1 { Row::Gray16(codes) } else { Row::Rgb16(codes) };
        self.sink.row(place, row, alpha);
    }

    /// Takes a row of cyan, magenta, yellow and black; 0 is no ink.
    fn inks(&mut self, place: RowPosition, mut inks: Vec<u8>) {
        let row = match self.to_srgb.row8(&inks) {
            Some(codes) => Row::Rgb16(codes),
            None => {
                // Without a profile, paper is white, each coloured ink absorbs one primary colour, and black ink
                // absorbs all.
                let pixels = inks.as_chunks_mut::<4>().0;
                for pixel in pixels.iter_mut() {
                    let [c, m, y, k] = pixel.map(|ink| 255 - u32::from(ink));
                    *pixel = [c * k, m * k, y * k, 0].map(|code| ((code + 127) / 255) as u8);
                }
                let rgb: Vec<u8> = pixels.iter().flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
                return self.sink.row(place, Row::Rgb8(&rgb), None);
            }
        };
        self.sink.row(place, row, None);
    }
}

/// Shrinks the buffer to `needed` bytes if that frees more than 16 MiB.
pub(super) fn give_back(bytes: &mut Vec<u8>, needed: usize) {
    const WORTH: usize = 16 << 20;
    if bytes.len() - needed > WORTH {
        bytes.truncate(needed);
        bytes.shrink_to_fit();
    }
}

/// Separates opacity from interleaved samples.
fn split<T: Copy>(samples: &[T], colors: usize) -> (Vec<T>, Vec<T>) {
    let pixels = samples.chunks_exact(colors + 1);
    let alpha = pixels.clone().map(|pixel| pixel[colors]).collect();
    (pixels.flat_map(|pixel| pixel[..colors].iter().copied()).collect(), alpha)
}

/// Rounds a 16-bit value to 8 bits.
pub(super) fn eight_bits(value: u16) -> u8 {
    ((u32::from(value) * 255 + 32_767) / 65_535) as u8
}
