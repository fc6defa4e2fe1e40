//! Scales a provider's own pixels to the photo's size, row by row.

use crate::photo::resample::{self, Resample};
use crate::photo::rows::{RowFn, RowSource};
use crate::photo::{Photo, PhotoError, Rgb};

/// A provider's picture at a photo's size.
pub(super) struct ProviderRows<'a> {
    rgb: &'a Rgb,
    /// Width and height of the photo.
    size: (u32, u32),
}

impl<'a> ProviderRows<'a> {
    pub(super) fn new(photo: &Photo, rgb: &'a Rgb) -> Result<Self, PhotoError> {
        rgb.checked()?;
        Ok(Self { rgb, size: (photo.width(), photo.height()) })
    }
}

impl RowSource for ProviderRows<'_> {
    fn rows(&self) -> RowFn<'_> {
        let mut resample = Resample::<3>::new((self.rgb.width, self.rgb.height), self.size);
        let mut row = vec![0.0; self.size.0 as usize * 3];
        let samples = self.rgb.width as usize * 3;
        let pixels = &self.rgb.pixels;
        Box::new(move |y, out| {
            resample.row(
                y,
                #[inline(always)]
                |source, weight, sum| resample::add(&pixels[source * samples..][..samples], weight, sum),
                &mut row,
            );
            out.iter_mut().zip(&row).for_each(|(code, value)| *code = (value + 0.5) as u8);
        })
    }
}
