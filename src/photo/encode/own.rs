//! Scales a provider's own pixels to the photo's size, row by row.

use crate::photo::resample::{self, Resample};
use crate::photo::{Photo, PhotoError, Rgb};

/// Computes rows of a provider's picture when an encoder asks for them.
pub(super) struct ProviderRows<'a> {
    rgb: &'a Rgb,
    resample: Resample<3>,
    row: Vec<f32>,
}

impl<'a> ProviderRows<'a> {
    pub(super) fn new(photo: &Photo, rgb: &'a Rgb) -> Result<Self, PhotoError> {
        rgb.checked()?;
        let to = (photo.width(), photo.height());
        Ok(Self {
            rgb,
            resample: Resample::new((rgb.width, rgb.height), to),
            row: vec![0.0; to.0 as usize * 3],
        })
    }

    /// Computes row `y` as 8-bit sRGB.
    pub(super) fn row(&mut self, y: usize, out: &mut [u8]) {
        let samples = self.rgb.width as usize * 3;
        let pixels = &self.rgb.pixels;
        let add = |source: usize, weight: f32, sum: &mut [f32]| {
            resample::add(&pixels[source * samples..][..samples], weight, sum);
        };
        self.resample.row(y, add, &mut self.row);
        out.iter_mut().zip(&self.row).for_each(|(code, value)| *code = (value + 0.5) as u8);
    }
}
