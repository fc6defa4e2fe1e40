//! The forward transform of blocks, and quantisation.
//!
//! The transform is that of Arai, Agui and Nakajima ("A Fast DCT-SQ Scheme for Images", 1988). It leaves each
//! coefficient multiplied by a constant, which costs nothing to undo, because quantisation multiplies by a constant
//! anyway. All steps are loops over eight numbers, which the compiler vectorises.

use std::array;
use std::f32::consts::{FRAC_1_SQRT_2, PI, SQRT_2};

use crate::photo::jpeg::ZIGZAG;
use crate::photo::simd::{Eight, ROUND, transposed};

/// Quantised coefficients in zigzag order. Samples are at least -128 and at most 127, so the first coefficient, DC, is
/// from -1024 to 1016, and the magnitude of all others is at most 1020.
pub(super) type Coefficients = [i16; 64];

/// [`ZIGZAG`] for a block whose rows and columns are swapped.
const ZIGZAG_SWAPPED: [u8; 64] = {
    let mut swapped = ZIGZAG;
    let mut i = 0;
    while i < 64 {
        swapped[i] = ZIGZAG[i] % 8 * 8 + ZIGZAG[i] / 8;
        i += 1;
    }
    swapped
};

/// The divisors for quality 50 (T.81, table K.1).
#[rustfmt::skip]
pub(super) const LUMA: [u8; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61,
    12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77,
    24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
];

/// The divisors for quality 50 (T.81, table K.2).
#[rustfmt::skip]
pub(super) const CHROMA: [u8; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99,
    18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
];

/// The divisors for one kind of component.
pub(super) struct Quantization {
    /// In zigzag order, as the file has them.
    pub(super) divisors: [u8; 64],
    /// What the transform's results are multiplied by; rows and columns are swapped.
    factors: Eight<f32>,
}

impl Quantization {
    /// Scales the divisors for quality 50 as libjpeg does.
    pub(super) fn new(table: [u8; 64], quality: u8) -> Self {
        let quality = u32::from(quality.clamp(1, 100));
        let scale = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
        let table = table.map(|divisor| ((u32::from(divisor) * scale + 50) / 100).clamp(1, 255) as u8);
        // The constants that the transform leaves in its results, for one direction.
        let left: [f32; 8] =
            array::from_fn(|k| if k == 0 { 1.0 } else { (PI * k as f32 / 16.0).cos() * SQRT_2 });
        let factors = array::from_fn(|x| {
            array::from_fn(|y| 1.0 / (f32::from(table[y * 8 + x]) * left[x] * left[y] * 8.0))
        });
        Self { divisors: ZIGZAG.map(|place| table[usize::from(place)]), factors }
    }

    /// Transforms and quantises samples around zero.
    #[inline(always)]
    pub(super) fn coefficients(&self, samples: &Eight<f32>) -> Coefficients {
        let transformed = transform(&transposed(&transform(samples)));
        let mut rounded = [0_i16; 64];
        let rows = transformed.iter().zip(&self.factors).zip(rounded.as_chunks_mut::<8>().0);
        for ((values, factors), rounded) in rows {
            for i in 0..8 {
                rounded[i] = (values[i] * factors[i] + ROUND).to_bits() as i16;
            }
        }
        array::from_fn(|i| rounded[usize::from(ZIGZAG_SWAPPED[i])])
    }
}

/// Transforms each column.
#[inline(always)]
fn transform(rows: &Eight<f32>) -> Eight<f32> {
    const COS_6: f32 = 0.382_683_43; // cos(6 pi / 16)
    const COS_2_LESS: f32 = 0.541_196_1; // cos(2 pi / 16) - cos(6 pi / 16)
    const COS_2_MORE: f32 = 1.306_563; // cos(2 pi / 16) + cos(6 pi / 16)
    let mut out = [[0.0; 8]; 8];
    for x in 0..8 {
        let (sum_0, difference_0) = (rows[0][x] + rows[7][x], rows[0][x] - rows[7][x]);
        let (sum_1, difference_1) = (rows[1][x] + rows[6][x], rows[1][x] - rows[6][x]);
        let (sum_2, difference_2) = (rows[2][x] + rows[5][x], rows[2][x] - rows[5][x]);
        let (sum_3, difference_3) = (rows[3][x] + rows[4][x], rows[3][x] - rows[4][x]);

        let (outer, inner) = (sum_0 + sum_3, sum_1 + sum_2);
        out[0][x] = outer + inner;
        out[4][x] = outer - inner;
        let (outer, inner) = (sum_0 - sum_3, sum_1 - sum_2);
        let turned = (outer + inner) * FRAC_1_SQRT_2;
        out[2][x] = outer + turned;
        out[6][x] = outer - turned;

        let (low, middle, high) =
            (difference_3 + difference_2, difference_2 + difference_1, difference_1 + difference_0);
        let shared = (low - high) * COS_6;
        let (low, high) = (COS_2_LESS * low + shared, COS_2_MORE * high + shared);
        let middle = middle * FRAC_1_SQRT_2;
        let (plus, minus) = (difference_0 + middle, difference_0 - middle);
        out[5][x] = minus + low;
        out[3][x] = minus - low;
        out[1][x] = plus + high;
        out[7][x] = plus - high;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T.81, A.3.3.
    fn exact(samples: &Eight<f32>, u: usize, v: usize) -> f64 {
        let half = |k: usize| if k == 0 { std::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
        let wave = |x: usize, k: usize| ((2 * x + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0).cos();
        let term = |i: usize| f64::from(samples[i / 8][i % 8]) * wave(i % 8, u) * wave(i / 8, v);
        half(u) * half(v) / 4.0 * (0..64).map(term).sum::<f64>()
    }

    #[test]
    fn coefficients_are_the_exact_ones_rounded() {
        let mut state = 1_u32;
        for quality in [1, 50, 90, 100] {
            let quantization = Quantization::new(LUMA, quality);
            let samples: Eight<f32> = array::from_fn(|_| {
                array::from_fn(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as f32 - 128.0
                })
            });
            let coefficients = quantization.coefficients(&samples);
            for ((got, place), divisor) in coefficients.iter().zip(ZIGZAG).zip(quantization.divisors) {
                let exact =
                    exact(&samples, usize::from(place % 8), usize::from(place / 8)) / f64::from(divisor);
                assert!((f64::from(*got) - exact).abs() < 0.501, "{got} is not {exact} rounded");
            }
        }
    }

    #[test]
    fn no_coefficient_is_larger_than_promised() {
        let quantization = Quantization::new([1; 64], 100);
        for place in 0..64 {
            // The signs of a wave give the largest coefficient of its frequency.
            let mut unit = [[0.0; 8]; 8];
            for (i, value) in unit.as_flattened_mut().iter_mut().enumerate() {
                let mut sample = [[0.0; 8]; 8];
                sample[i / 8][i % 8] = 1.0;
                *value = if exact(&sample, place % 8, place / 8) < 0.0 { -128.0 } else { 127.0 };
            }
            let opposite = unit.map(|row| row.map(|value| -1.0 - value));
            for samples in [unit, opposite] {
                let coefficients = quantization.coefficients(&samples);
                assert!((-1024..=1016).contains(&coefficients[0]), "{}", coefficients[0]);
                assert!(coefficients[1..].iter().all(|value| value.abs() <= 1020), "{coefficients:?}");
            }
        }
    }
}
