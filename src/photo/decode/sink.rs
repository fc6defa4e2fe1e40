//! Stores decoded rows: as luminance for a photo, as RGB for a provider's picture or an upload's own colours.

use image::metadata::Orientation;

use super::feed::eight_bits;
use super::{Photo, Rgb, orient};
use crate::photo::color::ColorSampler;
use crate::photo::lab::{self, LINEAR8, LINEAR16, LUMA8, LUMA16};
use crate::photo::{Gray, bilevel};

/// The position of decoded pixels in the picture: in row `y`, every `step`-th pixel from column `first` on. Tiles are
/// narrower than the picture; interlaced passes skip pixels.
#[derive(Clone, Copy)]
pub(super) struct RowPosition {
    pub(super) y: usize,
    pub(super) first: usize,
    pub(super) step: usize,
}

impl RowPosition {
    pub(super) fn row(y: usize) -> Self {
        Self { y, first: 0, step: 1 }
    }

    /// Copies a row's items to their positions in the full row.
    fn put<T: Copy>(self, items: &[T], full: &mut [T]) {
        if self.step == 1 && items.len() == full.len() {
            full.copy_from_slice(items);
        } else {
            full.iter_mut().skip(self.first).step_by(self.step).zip(items).for_each(|(to, &item)| *to = item);
        }
    }
}

/// A row of sRGB values (encoded, not linear).
#[derive(Clone, Copy)]
pub(super) enum Row<'a> {
    Gray8(&'a [u8]),
    Gray16(&'a [u16]),
    Rgb8(&'a [u8]),
    Rgb16(&'a [u16]),
}

impl Row<'_> {
    fn pixels(&self) -> usize {
        match self {
            Self::Gray8(codes) => codes.len(),
            Self::Gray16(codes) => codes.len(),
            Self::Rgb8(codes) => codes.len() / 3,
            Self::Rgb16(codes) => codes.len() / 3,
        }
    }
}

/// Receives rows of sRGB.
pub(super) trait Sink {
    /// Called before the first row, and again if another decoder starts from the beginning.
    fn begin(&mut self, width: u32, height: u32);
    fn row(&mut self, place: RowPosition, row: Row<'_>, alpha: Option<&[u8]>);
}

/// Stores luminance and opacity.
#[derive(Default)]
pub(super) struct LumaSink {
    width: u32,
    height: u32,
    luma: Vec<u16>,
    alpha: Vec<u8>,
    color: ColorSampler,
    /// The luminance of pixels that are not a whole row.
    row: Vec<u16>,
}

impl LumaSink {
    pub(super) fn finish(self, orientation: Orientation) -> Photo {
        let (width, height) = if orient::swaps_sides(orientation) {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        };
        let mut luma = orient::turn(self.luma, self.width, self.height, orientation);
        bilevel::soften(&mut luma, width as usize);
        let opaque = self.alpha.iter().all(|&alpha| alpha == 255);
        let alpha = (!opaque).then(|| orient::turn(self.alpha, self.width, self.height, orientation));
        Photo { gray: Gray { width, height, luma }, alpha, color: self.color.finish(), damage: None }
    }

    /// Passes the colours of some pixels to the sampler.
    fn sample<T: Copy + Into<usize>>(
        &mut self,
        place: RowPosition,
        pixels: &[[T; 3]],
        light: &[f32],
        alpha: Option<&[u8]>,
    ) {
        if !self.color.wants_row(place.y) {
            return;
        }
        for (index, x) in self.color.wanted(place.first, place.step, pixels.len()) {
            // The colour of transparent pixels is arbitrary.
            if alpha.is_none_or(|alpha| alpha[index] >= 128) {
                self.color.add(x, place.y, lab::lab_of_linear(pixels[index].map(|code| light[code.into()])));
            }
        }
    }
}

impl Sink for LumaSink {
    fn begin(&mut self, width: u32, height: u32) {
        (self.width, self.height) = (width, height);
        self.color = ColorSampler::new(width, height);
        self.luma = vec![0; width as usize * height as usize];
    }

    fn row(&mut self, place: RowPosition, row: Row<'_>, alpha: Option<&[u8]>) {
        let width = self.width as usize;
        let stored = &mut self.luma[place.y * width..][..width];
        let whole = place.step == 1 && row.pixels() == width;
        let luma = if whole {
            &mut *stored
        } else {
            self.row.resize(row.pixels(), 0);
            &mut self.row[..]
        };
        match row {
            Row::Gray8(codes) => {
                let table = &*LUMA8;
                luma.iter_mut().zip(codes).for_each(|(luma, &code)| *luma = table[code as usize]);
            }
            Row::Gray16(codes) => {
                let table = &*LUMA16;
                luma.iter_mut().zip(codes).for_each(|(luma, &code)| *luma = table[code as usize]);
            }
            Row::Rgb8(codes) => lab::luma_of_row(codes.as_chunks().0, &LINEAR8[..], luma),
            Row::Rgb16(codes) => lab::luma_of_row(codes.as_chunks().0, &LINEAR16, luma),
        }
        if !whole {
            place.put(&self.row, stored);
        }
        match row {
            Row::Rgb8(codes) => self.sample(place, codes.as_chunks().0, &LINEAR8[..], alpha),
            Row::Rgb16(codes) => self.sample(place, codes.as_chunks().0, &LINEAR16, alpha),
            Row::Gray8(_) | Row::Gray16(_) => {}
        }
        if let Some(alpha) = alpha {
            if self.alpha.is_empty() {
                self.alpha = vec![255; self.luma.len()];
            }
            place.put(alpha, &mut self.alpha[place.y * width..][..width]);
        }
    }
}

/// Stores 8-bit RGB.
pub(super) struct RgbSink {
    /// Whether transparent pixels are mixed with white.
    on_paper: bool,
    width: u32,
    height: u32,
    pixels: Vec<[u8; 3]>,
}

impl RgbSink {
    pub(super) fn new(on_paper: bool) -> Self {
        Self { on_paper, width: 0, height: 0, pixels: Vec::new() }
    }

    pub(super) fn finish(self, orientation: Orientation) -> Rgb {
        let (width, height) = if orient::swaps_sides(orientation) {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        };
        let pixels = orient::turn(self.pixels, self.width, self.height, orientation);
        Rgb { width, height, pixels: pixels.into_flattened() }
    }

    pub(super) fn stored(self, orientation: Orientation) -> RgbLayout {
        let Self { width, height, pixels, .. } = self;
        RgbLayout { width, height, pixels, orientation }
    }
}

/// RGB as stored in a file, and the orientation that makes it upright.
pub(crate) struct RgbLayout {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) pixels: Vec<[u8; 3]>,
    pub(crate) orientation: Orientation,
}

impl Sink for RgbSink {
    fn begin(&mut self, width: u32, height: u32) {
        (self.width, self.height) = (width, height);
        self.pixels = vec![[0; 3]; width as usize * height as usize];
    }

    fn row(&mut self, place: RowPosition, row: Row<'_>, alpha: Option<&[u8]>) {
        let width = self.width as usize;
        let out = self.pixels[place.y * width..][..width].iter_mut().skip(place.first).step_by(place.step);
        for (x, pixel) in out.take(row.pixels()).enumerate() {
            *pixel = match row {
                Row::Gray8(codes) => [codes[x]; 3],
                Row::Gray16(codes) => [eight_bits(codes[x]); 3],
                Row::Rgb8(codes) => [codes[3 * x], codes[3 * x + 1], codes[3 * x + 2]],
                Row::Rgb16(codes) => [codes[3 * x], codes[3 * x + 1], codes[3 * x + 2]].map(eight_bits),
            };
            if let Some(alpha) = alpha.filter(|_| self.on_paper) {
                *pixel = pixel.map(|code| on_white(code, alpha[x]));
            }
        }
    }
}

/// Mixes an 8-bit sRGB value with a white background, as browsers do.
pub(crate) fn on_white(code: u8, alpha: u8) -> u8 {
    let (code, alpha) = (u32::from(code), u32::from(alpha));
    ((code * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}
