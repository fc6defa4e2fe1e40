//! A provider's image in 8-bit sRGB, at the size that the provider returned.

use super::lab::{LINEAR8, lab_of_linear, luma_of_row};
use super::resample::{self, Resample};
use super::{Chroma, Gray, Limits, PhotoError, decode};

/// A decoded image of a provider, upright, in sRGB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height` pixels of red, green, blue.
    pub pixels: Vec<u8>,
}

impl Rgb {
    /// Decodes a provider's image with the same checks as an upload, because it is not trusted either.
    ///
    /// # Errors
    /// As [`super::Photo::decode`].
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, PhotoError> {
        decode::rgb(bytes, limits)
    }

    /// Encodes the pixels as a PNG for the cache. The checksums in the PNG detect damage.
    ///
    /// # Errors
    /// [`PhotoError::Broken`] if the length of `pixels` does not match the size.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PhotoError> {
        let pixels = self.checked()?.as_flattened();
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::Fast);
        let written = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(pixels)?;
            writer.finish()
        });
        written.map_err(|error| PhotoError::Unwritable(format!("The pixels cannot be stored ({error}).")))?;
        Ok(bytes)
    }

    /// Decodes the result of [`Rgb::to_bytes`].
    ///
    /// # Errors
    /// As [`super::Photo::decode`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PhotoError> {
        Self::decode(bytes, &Limits::NONE)
    }

    /// Its chroma, averaged down to at most [`Chroma::MAX_PIXELS`].
    ///
    /// # Errors
    /// [`PhotoError::Broken`] if the length of `pixels` does not match the size.
    pub fn chroma(&self) -> Result<Chroma, PhotoError> {
        let pixels = self.checked()?;
        let from = (self.width, self.height);
        let to = super::gray::fit(from, Chroma::MAX_PIXELS);
        let mut resample = Resample::<2>::new(from, to);
        let mut row = vec![0.0; to.0 as usize * 2];
        let count = to.0 as usize * to.1 as usize;
        let (mut a, mut b) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for y in 0..to.1 as usize {
            resample.row(
                y,
                #[inline(always)]
                |source, weight, sum| {
                    let row = &pixels[source * self.width as usize..][..self.width as usize];
                    add_chroma(row, weight, sum.as_chunks_mut().0);
                },
                &mut row,
            );
            a.extend(row.iter().step_by(2));
            b.extend(row.iter().skip(1).step_by(2));
        }
        Chroma::new(to.0, to.1, a, b)
    }

    /// The image at another size, without keeping the aspect ratio: area average when smaller, Catmull-Rom when larger.
    /// A side of 0 becomes 1.
    ///
    /// # Errors
    /// [`PhotoError::Broken`] if the length of `pixels` does not match the size.
    pub fn resize(&self, width: u32, height: u32) -> Result<Self, PhotoError> {
        let pixels = self.checked()?.as_flattened();
        let (width, height) = (width.max(1), height.max(1));
        let (samples, length) = (self.width as usize * 3, width as usize * 3);
        let mut resample = Resample::<3>::new((self.width, self.height), (width, height));
        let mut row = vec![0.0; length];
        let mut resized = Vec::with_capacity(length * height as usize);
        for y in 0..height as usize {
            resample.row(
                y,
                #[inline(always)]
                |source, weight, sum| resample::add(&pixels[source * samples..][..samples], weight, sum),
                &mut row,
            );
            resized.extend(row.iter().map(|value| (value + 0.5) as u8));
        }
        Ok(Self { width, height, pixels: resized })
    }

    /// Its luminance, to compare it with the photo.
    pub fn gray(&self) -> Gray {
        let pixels: &[[u8; 3]] = self.pixels.as_chunks().0;
        let mut luma = vec![0; pixels.len()];
        luma_of_row(pixels, &LINEAR8[..], &mut luma);
        Gray { width: self.width, height: self.height, luma }
    }

    /// Its pixels, if their number matches the size.
    pub(super) fn checked(&self) -> Result<&[[u8; 3]], PhotoError> {
        let pixels = self.pixels.as_chunks().0;
        if pixels.is_empty() || pixels.len() != self.width as usize * self.height as usize {
            return Err(PhotoError::Broken(format!(
                "{} bytes are not {} x {} pixels of RGB.",
                self.pixels.len(),
                self.width,
                self.height
            )));
        }
        Ok(pixels)
    }
}

/// Adds the weighted a\* and b\* of a row of pixels to `sums`.
#[inline(always)]
fn add_chroma(row: &[[u8; 3]], weight: f32, sums: &mut [[f32; 2]]) {
    const BLOCK: usize = 256;
    let linear = &*LINEAR8;
    for (pixels, sums) in row.chunks(BLOCK).zip(sums.chunks_mut(BLOCK)) {
        // The table lookups are separate from the arithmetic, because only the arithmetic can be vectorised.
        let mut light = [[0.0; BLOCK]; 3];
        for (i, pixel) in pixels.iter().enumerate() {
            let [r, g, b] = *pixel;
            for (light, code) in light.iter_mut().zip([r, g, b]) {
                light[i] = linear[code as usize];
            }
        }
        let (mut a, mut b) = ([0.0; BLOCK], [0.0; BLOCK]);
        for i in 0..BLOCK {
            [_, a[i], b[i]] = lab_of_linear([light[0][i], light[1][i], light[2][i]]);
        }
        for (sum, (a, b)) in sums.iter_mut().zip(a.into_iter().zip(b)) {
            *sum = [sum[0] + weight * a, sum[1] + weight * b];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_srgb_primaries_have_their_known_chroma() {
        let rgb = Rgb { width: 3, height: 1, pixels: vec![255, 0, 0, 0, 255, 0, 0, 0, 255] };
        let chroma = rgb.chroma().unwrap();
        for (got, wanted) in chroma.a.iter().zip([80.1, -86.2, 79.2]) {
            assert!((got - wanted).abs() < 0.2, "a* {got} instead of {wanted}");
        }
        for (got, wanted) in chroma.b.iter().zip([67.2, 83.2, -107.9]) {
            assert!((got - wanted).abs() < 0.2, "b* {got} instead of {wanted}");
        }
    }

    #[test]
    fn pixels_are_unchanged_after_encoding_and_decoding() {
        let pixels = (0..37 * 23 * 3_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let rgb = Rgb { width: 37, height: 23, pixels };
        assert_eq!(Rgb::from_bytes(&rgb.to_bytes().unwrap()).unwrap(), rgb);
        assert!(Rgb { width: 38, ..rgb }.to_bytes().is_err());
    }

    #[test]
    fn the_chroma_of_a_large_image_is_averaged_down() {
        let rgb = Rgb { width: 2000, height: 1500, pixels: [200, 40, 40].repeat(3_000_000) };
        let chroma = rgb.chroma().unwrap();
        assert!(u64::from(chroma.width) * u64::from(chroma.height) <= Chroma::MAX_PIXELS);
        assert!(chroma.a.iter().all(|&a| (a - chroma.a[0]).abs() < 1e-6));
    }

    #[test]
    fn a_resized_image_has_the_mean_of_its_pixels() {
        let rgb =
            Rgb { width: 4, height: 1, pixels: [[10, 0, 255], [20, 0, 0], [30, 9, 0], [40, 0, 0]].concat() };
        let half = rgb.resize(2, 1).unwrap();
        assert_eq!((half.width, half.height), (2, 1));
        assert_eq!(half.pixels, [15, 0, 128, 35, 5, 0]);
        assert_eq!(rgb.resize(4, 1).unwrap(), rgb);
        assert_eq!(rgb.resize(9, 5).unwrap().pixels.len(), 135);
    }

    #[test]
    fn pixels_that_do_not_fit_the_size_are_refused() {
        let wrong = Rgb { width: 2, height: 2, pixels: vec![0; 11] };
        assert!(wrong.chroma().is_err() && wrong.resize(1, 1).is_err());
    }
}
