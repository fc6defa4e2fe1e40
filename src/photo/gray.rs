//! Luminance images: the small grey image for a provider, and the comparison of two images.

use super::encode::{self, EncodeOptions};
use super::lab::{CODES_PER_L, GRAY8};
use super::resample::{self, Resample};
use super::simd::vectorized;
use super::{Gray, OutputFormat, Photo, PhotoError};

impl Gray {
    /// The image at another size, without keeping the aspect ratio: area average when smaller, Catmull-Rom when
    /// larger. A side of 0 becomes 1.
    #[must_use]
    pub fn resize(&self, width: u32, height: u32) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        let luma = resample::plane(&self.luma, (self.width, self.height), (width, height));
        Self { width, height, luma: luma.into_iter().map(code).collect() }
    }

    /// The image as 8-bit sRGB grey, row by row.
    pub fn to_srgb8(&self) -> Vec<u8> {
        let table = &*GRAY8;
        self.luma.iter().map(|&luma| table[luma as usize]).collect()
    }

    /// An 8-bit grey file without metadata, for a provider. `quality` is 1 to 100 for JPEG and WebP.
    ///
    /// # Errors
    /// [`PhotoError::Unwritable`] for a size the format cannot hold.
    pub fn encode(&self, format: OutputFormat, quality: u8) -> Result<Vec<u8>, PhotoError> {
        encode::gray(self, &EncodeOptions::plain(format, quality))
    }
}

/// Rounds an average to a 16-bit luminance.
fn code(value: f32) -> u16 {
    (value + 0.5).clamp(0.0, 65_535.0) as u16
}

/// See [`Photo::gray_for`].
pub(super) fn for_provider(photo: &Photo, max_pixels: u64) -> Gray {
    let from = (photo.width(), photo.height());
    let (width, height) = fit(from, max_pixels);
    if photo.alpha.is_none() {
        return photo.gray.resize(width, height);
    }
    let mut resample = Resample::<1>::new(from, (width, height));
    let (mut row, mut luma) =
        (vec![0.0; width as usize], Vec::with_capacity(width as usize * height as usize));
    for y in 0..height as usize {
        resample.row(
            y,
            #[inline(always)]
            |source, weight, sum| add_on_white(photo, source, weight, sum),
            &mut row,
        );
        luma.extend(row.iter().copied().map(code));
    }
    Gray { width, height, luma }
}

/// Adds a weighted row of the photo, mixed with white where it is transparent, to `sum`.
#[inline(always)]
fn add_on_white(photo: &Photo, y: usize, weight: f32, sum: &mut [f32]) {
    let at = y * sum.len()..(y + 1) * sum.len();
    let Some(alpha) = &photo.alpha else { return resample::add(&photo.gray.luma[at], weight, sum) };
    for ((sum, &luma), &alpha) in sum.iter_mut().zip(&photo.gray.luma[at.clone()]).zip(&alpha[at]) {
        let opacity = f32::from(alpha) / 255.0;
        *sum += weight * (65_535.0 + opacity * (f32::from(luma) - 65_535.0));
    }
}

/// The largest size with the same aspect ratio and at most `max_pixels`; no side becomes 0 or grows.
pub(super) fn fit((width, height): (u32, u32), max_pixels: u64) -> (u32, u32) {
    let max_pixels = max_pixels.max(1);
    let pixels = u64::from(width) * u64::from(height);
    if pixels <= max_pixels {
        return (width, height);
    }
    let scale = (max_pixels as f64 / pixels as f64).sqrt();
    let side = |side: u32| ((f64::from(side) * scale) as u32).max(1);
    let (width, height) = (side(width), side(height));
    // If one side was rounded up to 1, the other may still be too long.
    let most = |other: u32| u32::try_from(max_pixels / u64::from(other)).unwrap_or(u32::MAX).max(1);
    if width > height { (width.min(most(height)), height) } else { (width, height.min(most(width))) }
}

/// The similarity of two images in luminance, regardless of size, brightness and contrast: the normalised
/// cross-correlation from -1 (negative) through 0 (unrelated) to 1 (equal), computed at the smaller width and height.
/// Two featureless images count as equal; a featureless image and any other count as unrelated.
pub fn luma_correlation(one: &Gray, other: &Gray) -> f64 {
    let to = (one.width.min(other.width), one.height.min(other.height));
    let centered = |gray: &Gray| {
        let mut plane = resample::plane(&gray.luma, (gray.width, gray.height), to);
        let mean = (sum_of_products(&plane, None) / plane.len() as f64) as f32;
        plane.iter_mut().for_each(|value| *value -= mean);
        plane
    };
    let (one, other) = (centered(one), centered(other));
    let pixels = one.len() as f64;
    let [within_one, within_other] = [&one, &other].map(|plane| sum_of_products(plane, Some(plane)));
    // An image with a standard deviation below 1 is featureless: rounding alone causes such differences.
    match (within_one < pixels, within_other < pixels) {
        (true, true) => 1.0,
        (false, false) => sum_of_products(&one, Some(&other)) / (within_one * within_other).sqrt(),
        _ => 0.0,
    }
}

/// The sum of the products of two planes' values, or of one plane's values.
fn sum_of_products(one: &[f32], other: Option<&[f32]>) -> f64 {
    // Several sums, because the compiler may not change the order of additions to vectorise them.
    const SUMS: usize = 16;
    let mut sums = [0.0_f64; SUMS];
    vectorized(
        #[inline(always)]
        || {
            let ones = [1.0; SUMS];
            let others = other.map(|other| other.chunks(SUMS));
            let mut others = others.into_iter().flatten();
            for one in one.chunks(SUMS) {
                let other = others.next().unwrap_or(&ones);
                for ((sum, &one), &other) in sums.iter_mut().zip(one).zip(other) {
                    *sum += f64::from(one) * f64::from(other);
                }
            }
        },
    );
    sums.into_iter().sum()
}

/// The standard deviation of an image's luminance, in units of L\*.
pub fn contrast(gray: &Gray) -> f64 {
    // Whole numbers, whose sums are exact.
    let (mut sum, mut squares) = (0_u64, 0_u64);
    vectorized(
        #[inline(always)]
        || {
            for &code in &gray.luma {
                sum += u64::from(code);
                squares += u64::from(u32::from(code) * u32::from(code));
            }
        },
    );
    let count = gray.luma.len().max(1) as f64;
    let mean = sum as f64 / count;
    (squares as f64 / count - mean * mean).max(0.0).sqrt() / f64::from(CODES_PER_L)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waves(width: u32, height: u32) -> Gray {
        let luma = (0..width * height)
            .map(|i| {
                let (x, y) = ((i % width) as f32 / width as f32, (i / width) as f32 / height as f32);
                (32_000.0 + 20_000.0 * (9.0 * x).sin() * (5.0 * y).cos()) as u16
            })
            .collect();
        Gray { width, height, luma }
    }

    #[test]
    fn the_size_for_a_provider_has_at_most_max_pixels_and_is_never_enlarged() {
        for (from, most, to) in [
            ((4000, 3000), 500_000, (816, 612)),
            ((100, 50), 500_000, (100, 50)),
            ((16_384, 1), 100, (100, 1)),
            ((1, 16_384), 100, (1, 100)),
            ((3, 3), 0, (1, 1)),
        ] {
            assert_eq!(fit(from, most), to, "{from:?} in {most}");
        }
    }

    #[test]
    fn transparent_parts_are_white_for_the_provider() {
        let mut photo = Photo::from_gray(Gray { width: 2, height: 1, luma: vec![0, 1000] });
        photo.alpha = Some(vec![0, 255]);
        assert_eq!(photo.gray_for(2).luma, [65_535, 1000]);
        assert_eq!(photo.gray_for(1).luma, [33_268]);
    }

    #[test]
    fn the_same_picture_correlates_at_any_size_and_contrast_and_its_negative_does_not() {
        let picture = waves(120, 90);
        let mut faded = waves(64, 64);
        faded.luma.iter_mut().for_each(|v| *v = *v / 3 + 20_000);
        assert!(luma_correlation(&picture, &faded) > 0.999);
        let mut negative = picture.clone();
        negative.luma.iter_mut().for_each(|v| *v = 65_535 - *v);
        assert!(luma_correlation(&picture, &negative) < -0.999);
        let mut mirrored = picture.clone();
        mirrored.luma.chunks_exact_mut(120).for_each(<[u16]>::reverse);
        assert!(luma_correlation(&picture, &mirrored).abs() < 0.9);
    }

    #[test]
    fn a_featureless_picture_equals_only_featureless_pictures() {
        let even = Gray { width: 5, height: 5, luma: vec![30_000; 25] };
        assert!((luma_correlation(&even, &Gray { width: 1, height: 1, luma: vec![1] }) - 1.0).abs() < 1e-9);
        assert!(luma_correlation(&even, &waves(5, 5)).abs() < 1e-9);
    }

    #[test]
    fn gray_values_are_those_of_srgb() {
        let gray = Gray { width: 4, height: 1, luma: vec![0, 65_535, 35_092, 6_160] };
        // L* 53.55 is sRGB 128 (rounded), L* 9.4 is sRGB 26.
        assert_eq!(gray.to_srgb8(), [0, 255, 128, 26]);
    }
}
