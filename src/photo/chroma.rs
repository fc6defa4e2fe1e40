//! Chroma planes: creation, measurement and the format in which they are cached.
//!
//! Values are quantized once, to a quarter of a unit; people notice differences of about two units or more. So cached
//! chroma and new chroma give the same rendition, byte for byte.

use std::io::Cursor;
use std::ops::RangeInclusive;

use png::{BitDepth, ColorType, Compression};

use super::gray::fit;
use super::lab::CODES_PER_L;
use super::simd::{ROUND, vectorized};
use super::{Chroma, Gray, PhotoError, resample};

/// Steps per unit of a\* or b\*.
const STEPS: f32 = 4.0;
/// Maximum magnitude; sRGB reaches 107.9.
const LARGEST: f32 = 128.0;
/// Start of a file of planes: a signature and the version of the format.
const MAGIC: &[u8; 5] = b"PXCH\x01";
/// The stored number for the value 0.
const ZERO: i32 = 32_768;

impl Chroma {
    /// Maximum number of values in a plane; larger planes are averaged down to it.
    pub const MAX_PIXELS: u64 = 1_000_000;

    /// Takes planes of `width * height` values, averages them down to [`Chroma::MAX_PIXELS`], rounds them to a
    /// quarter of a unit and limits them to -128 to 128.
    ///
    /// # Errors
    /// [`PhotoError::Broken`] if the length of a plane does not match the size, or a value is not a number.
    pub fn new(width: u32, height: u32, a: Vec<f32>, b: Vec<f32>) -> Result<Self, PhotoError> {
        let given = Self { width, height, a, b };
        given.checked()?;
        let (width, height) = fit((given.width, given.height), Self::MAX_PIXELS);
        let rounded = |plane: Vec<f32>| {
            let mut plane = if (width, height) == (given.width, given.height) {
                plane
            } else {
                resample::plane(&plane, (given.width, given.height), (width, height))
            };
            vectorized(
                #[inline(always)]
                || plane.iter_mut().for_each(|value| *value = quantized(*value)),
            );
            plane
        };
        Ok(Self { width, height, a: rounded(given.a), b: rounded(given.b) })
    }

    /// Fails if the length of a plane does not match the size, or a value is not a number.
    pub(super) fn checked(&self) -> Result<(), PhotoError> {
        let count = self.width as usize * self.height as usize;
        if count == 0 || self.a.len() != count || self.b.len() != count {
            return Err(PhotoError::Broken(format!(
                "Chroma planes of {} and {} values are not {} x {}.",
                self.a.len(),
                self.b.len(),
                self.width,
                self.height
            )));
        }
        // All values are looked at, because a loop that may end early is not vectorised.
        let finite = |plane: &[f32]| plane.iter().fold(true, |all, value| all & value.is_finite());
        if !finite(&self.a) || !finite(&self.b) {
            return Err(PhotoError::Broken("A chroma plane has values that are not numbers.".to_owned()));
        }
        Ok(())
    }

    /// Mean of sqrt(a\*^2 + b\*^2); 0 is grey, colour photographs have about 15 to 25.
    pub fn mean_chroma(&self) -> f64 {
        let sum: f64 = self.a.iter().zip(&self.b).map(|(a, b)| f64::from((a * a + b * b).sqrt())).sum();
        sum / (self.a.len().max(1)) as f64
    }

    /// The share of pixels whose L\* in `gray`, a picture of the same size, is in the range, and their mean of
    /// sqrt(a\*^2 + b\*^2); 0 if there are none.
    pub fn mean_chroma_where(&self, gray: &Gray, lightness: RangeInclusive<f32>) -> (f64, f64) {
        // Several sums, because the compiler may not change the order of additions to vectorise them.
        const SUMS: usize = 16;
        let (mut counts, mut sums) = ([0_u32; SUMS], [0.0_f64; SUMS]);
        let (low, high) = (lightness.start() * CODES_PER_L, lightness.end() * CODES_PER_L);
        vectorized(
            #[inline(always)]
            || {
                let planes = gray.luma.chunks(SUMS).zip(self.a.chunks(SUMS).zip(self.b.chunks(SUMS)));
                for (luma, (a, b)) in planes {
                    let values = luma.iter().zip(a.iter().zip(b));
                    for ((&luma, (a, b)), (count, sum)) in values.zip(counts.iter_mut().zip(&mut sums)) {
                        let luma = f32::from(luma);
                        let within = (luma >= low) & (luma <= high);
                        *count += u32::from(within);
                        *sum += f64::from(if within { (a * a + b * b).sqrt() } else { 0.0 });
                    }
                }
            },
        );
        let count = f64::from(counts.iter().sum::<u32>());
        (count / self.a.len().max(1) as f64, sums.iter().sum::<f64>() / count.max(1.0))
    }

    /// Encodes the planes: a versioned signature and a 16-bit grey PNG with a\* above b\*. The PNG's checksums detect
    /// damage.
    ///
    /// # Errors
    /// [`PhotoError::Broken`] if the length of a plane does not match the size.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PhotoError> {
        self.checked()?;
        let mut samples = vec![0; 4 * self.a.len()];
        vectorized(
            #[inline(always)]
            || {
                let values = self.a.iter().chain(&self.b);
                samples.as_chunks_mut().0.iter_mut().zip(values).for_each(
                    #[inline(always)]
                    |(sample, &value)| *sample = code(value).to_be_bytes(),
                );
            },
        );
        let mut bytes = MAGIC.to_vec();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height.saturating_mul(2));
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::Sixteen);
        encoder.set_compression(Compression::Fast);
        let mut writer = encoder.write_header().map_err(unwritable)?;
        writer.write_image_data(&samples).map_err(unwritable)?;
        writer.finish().map_err(unwritable)?;
        Ok(bytes)
    }

    /// Decodes the output of [`Chroma::to_bytes`].
    ///
    /// # Errors
    /// [`PhotoError::Broken`] for another version, damaged data, or a size that `to_bytes` never writes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PhotoError> {
        let broken = || PhotoError::Broken("Stored chroma is damaged or of another version.".to_owned());
        let file = bytes.strip_prefix(MAGIC).ok_or_else(broken)?;
        let mut reader = png::Decoder::new(Cursor::new(file)).read_info().map_err(|_| broken())?;
        let (width, rows) = reader.info().size();
        let count = u64::from(width) * u64::from(rows);
        let kind = reader.output_color_type();
        if kind != (ColorType::Grayscale, BitDepth::Sixteen)
            || !rows.is_multiple_of(2)
            || !(1..=2 * Self::MAX_PIXELS).contains(&count)
        {
            return Err(broken());
        }
        let mut samples = vec![0; reader.output_buffer_size().ok_or_else(broken)?];
        reader.next_frame(&mut samples).map_err(|_| broken())?;
        let mut a: Vec<f32> =
            samples.as_chunks().0.iter().map(|&pair| value(u16::from_be_bytes(pair))).collect();
        let b = a.split_off(a.len() / 2);
        Self::new(width, rows / 2, a, b)
    }
}

fn unwritable(error: png::EncodingError) -> PhotoError {
    PhotoError::Unwritable(format!("The chroma cannot be stored ({error})."))
}

/// The number of steps nearest to a value, plus [`ROUND`].
#[inline(always)]
fn steps(value: f32) -> f32 {
    value.clamp(-LARGEST, LARGEST) * STEPS + ROUND
}

/// Rounds a value to the nearest step that can be stored.
#[inline(always)]
pub(super) fn quantized(value: f32) -> f32 {
    (steps(value) - ROUND) / STEPS
}

/// The number that is stored for a value.
#[inline(always)]
fn code(value: f32) -> u16 {
    (steps(value).to_bits() as u16).wrapping_add(ZERO as u16)
}

fn value(code: u16) -> f32 {
    (i32::from(code) - ZERO) as f32 / STEPS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Chroma {
        let (width, height) = (37, 23);
        let plane = |k: f32| (0..width * height).map(|i| (i as f32 * k).sin() * 90.0).collect();
        Chroma::new(width, height, plane(0.01), plane(0.017)).unwrap()
    }

    #[test]
    fn chroma_is_unchanged_after_encoding_and_decoding() {
        let chroma = some();
        let bytes = chroma.to_bytes().unwrap();
        assert_eq!(Chroma::from_bytes(&bytes).unwrap(), chroma);
        assert!(bytes.len() < chroma.a.len() * 4, "{} bytes for {} values", bytes.len(), chroma.a.len());
    }

    #[test]
    fn damaged_and_truncated_bytes_are_refused() {
        let bytes = some().to_bytes().unwrap();
        for cut in [0, 4, 5, 30, bytes.len() / 2] {
            assert!(Chroma::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for at in [0, 4, 20, 60, bytes.len() / 2] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(Chroma::from_bytes(&damaged).is_err(), "damaged at {at}");
        }
    }

    #[test]
    fn planes_of_a_wrong_length_or_with_nan_are_refused() {
        assert!(Chroma::new(2, 2, vec![0.0; 4], vec![0.0; 3]).is_err());
        assert!(Chroma::new(0, 2, vec![], vec![]).is_err());
        assert!(Chroma::new(1, 1, vec![f32::NAN], vec![0.0]).is_err());
        let largest = Chroma::new(1, 1, vec![1e9], vec![-1e9]).unwrap();
        assert_eq!((largest.a[0], largest.b[0]), (128.0, -128.0));
    }

    #[test]
    fn large_planes_are_averaged_down_and_can_be_stored() {
        let (width, height) = (1500, 1000);
        let plane = vec![7.5; width as usize * height as usize];
        let chroma = Chroma::new(width, height, plane.clone(), plane).unwrap();
        assert!(u64::from(chroma.width) * u64::from(chroma.height) <= Chroma::MAX_PIXELS);
        assert!(chroma.a.iter().all(|&a| (a - 7.5).abs() < 0.01));
        assert_eq!(Chroma::from_bytes(&chroma.to_bytes().unwrap()).unwrap(), chroma);
    }

    #[test]
    fn mean_chroma_is_the_distance_from_gray() {
        let chroma = Chroma::new(2, 1, vec![3.0, 0.0], vec![4.0, 0.0]).unwrap();
        assert!((chroma.mean_chroma() - 2.5).abs() < 1e-9);
    }

    #[test]
    fn the_mean_chroma_of_a_range_counts_only_pixels_in_it() {
        let chroma = Chroma::new(40, 1, vec![3.0; 40], vec![4.0; 40]).unwrap();
        let luma = |l: f32| (l * CODES_PER_L) as u16;
        let gray = Gray { width: 40, height: 1, luma: [vec![luma(50.0); 30], vec![luma(2.0); 10]].concat() };
        assert_eq!(chroma.mean_chroma_where(&gray, 10.0..=95.0), (0.75, 5.0));
        assert_eq!(chroma.mean_chroma_where(&gray, 60.0..=95.0), (0.0, 0.0));
    }
}
