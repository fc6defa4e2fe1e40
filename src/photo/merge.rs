//! Luma-lock: a provider's chroma on the photo's own luminance, row by row.

use super::guided::{Guide, mix};
use super::lab::{CODES_PER_L, ENCODE, linear_of_lab};
use super::{Chroma, Photo, PhotoError, gamut};

/// Computes rows of a merged picture as an encoder asks for them.
pub(super) struct Merge<'a> {
    photo: &'a Photo,
    guide: Guide,
    columns: Vec<(usize, usize, f32)>,
    row: Vec<[f32; 4]>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(photo: &'a Photo, chroma: &Chroma) -> Result<Self, PhotoError> {
        let guide = Guide::new(&photo.grey, chroma)?;
        let columns = guide.columns(photo.width() as usize);
        Ok(Self { photo, guide, columns, row: Vec::new() })
    }

    /// Writes row `y` as 8-bit sRGB.
    pub(super) fn row(&mut self, y: usize, out: &mut [u8]) {
        self.guide.row(y, self.photo.height() as usize, &mut self.row);
        let width = self.photo.width() as usize;
        let luma = &self.photo.grey.luma[y * width..][..width];
        for ((pixel, &luma), &(first, second, share)) in out.chunks_exact_mut(3).zip(luma).zip(&self.columns)
        {
            let [slope_a, offset_a, slope_b, offset_b] = mix(&self.row[first], &self.row[second], share);
            let l = f32::from(luma) / CODES_PER_L;
            pixel.copy_from_slice(&srgb8([l, slope_a * l + offset_a, slope_b * l + offset_b]));
        }
    }
}

/// 8-bit sRGB of a colour, with as much of its chroma as sRGB can show.
pub(super) fn srgb8(lab: [f32; 3]) -> [u8; 3] {
    let linear = linear_of_lab(lab);
    let linear = if gamut::shows(linear) { linear } else { gamut::fit(lab) };
    linear.map(|channel| ENCODE.code(channel))
}
