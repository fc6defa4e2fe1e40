//! The inverse transform of blocks.
//!
//! The factorisation is that of Loeffler, Ligtenberg and Moschytz ("Practical Fast 1-D DCT Algorithms with 11
//! Multiplications", 1989), with one more multiplication, as it is used in libjpeg. Samples are equal to zune-jpeg's,
//! because the constants have as many bits and results are rounded at the same two places.

use std::num::Wrapping;

use crate::photo::simd::{Eight, transposed};

/// Dequantised coefficients, or what the first of two passes makes of them. A file may have coefficients that no
/// picture has, so large that sums wrap around; then the samples are meaningless, as zune-jpeg's are.
pub(super) type Block = Eight<Wrapping<i32>>;

/// Bits of the constants' fractions.
const FRACTION: usize = 12;
/// Bits of fractions that the first pass leaves in its results.
const BETWEEN: usize = 2;
/// The bits that each pass drops. The transform in two dimensions leaves a factor of 8.
const DROPPED: [usize; 2] = [FRACTION - BETWEEN, FRACTION + BETWEEN + 3];

/// The samples of a block.
#[inline(always)]
pub(super) fn samples(block: &Block) -> Eight<u8> {
    const HALF: [i32; 2] = [1 << (DROPPED[0] - 1), 1 << (DROPPED[1] - 1)];
    let columns = pass::<{ DROPPED[0] }>(block, HALF[0]);
    // Samples are around 128. zune-jpeg rounds a little more than halves up: it adds the half of the first pass, too.
    let rows = pass::<{ DROPPED[1] }>(&transposed(&columns), (128 << DROPPED[1]) + HALF[1] + HALF[0]);
    let mut samples = [[0; 8]; 8];
    for (samples, row) in samples.iter_mut().zip(&transposed(&rows)) {
        for x in 0..8 {
            samples[x] = row[x].0.clamp(0, 255) as u8;
        }
    }
    samples
}

/// The sample that all 64 places have if only the first coefficient, DC, is not zero.
#[inline(always)]
pub(super) fn flat(dc: i32) -> u8 {
    (((dc + 4) >> 3) + 128).clamp(0, 255) as u8
}

/// Transforms each column, adds `half`, and drops bits.
#[inline(always)]
fn pass<const DROPPED: usize>(rows: &Block, half: i32) -> Block {
    let mut out = [[Wrapping(0); 8]; 8];
    for x in 0..8 {
        let (sum, difference) =
            ((rows[0][x] + rows[4][x]) << FRACTION, (rows[0][x] - rows[4][x]) << FRACTION);
        let shared = (rows[2][x] + rows[6][x]) * fixed(0.541_196_100);
        let (low, high) =
            (shared + rows[2][x] * fixed(0.765_366_865), shared + rows[6][x] * fixed(-1.847_759_065));
        let even = [sum + low, difference + high, difference - high, sum - low];

        let [i1, i3, i5, i7] = [rows[1][x], rows[3][x], rows[5][x], rows[7][x]];
        let shared = (i1 + i3 + i5 + i7) * fixed(1.175_875_602);
        let outer = (i1 + i7) * fixed(-0.899_976_223);
        let inner = (i3 + i5) * fixed(-2.562_915_447);
        let first = shared + (i3 + i7) * fixed(-1.961_570_560);
        let second = shared + (i1 + i5) * fixed(-0.390_180_644);
        let odd = [
            i1 * fixed(1.501_321_110) + outer + second,
            i3 * fixed(3.072_711_026) + inner + first,
            i5 * fixed(2.053_119_869) + inner + second,
            i7 * fixed(0.298_631_336) + outer + first,
        ];
        let half = Wrapping(half);
        for i in 0..4 {
            out[i][x] = (even[i] + odd[i] + half) >> DROPPED;
            out[7 - i][x] = (even[i] - odd[i] + half) >> DROPPED;
        }
    }
    out
}

/// A constant with [`FRACTION`] bits after the point. Negative ones are rounded up, as in zune-jpeg.
#[inline(always)]
const fn fixed(value: f64) -> Wrapping<i32> {
    Wrapping((value * (1 << FRACTION) as f64 + 0.5) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T.81, A.3.3.
    fn exact(block: &Block, x: usize, y: usize) -> f64 {
        let half = |k: usize| if k == 0 { std::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
        let wave = |x: usize, k: usize| ((2 * x + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0).cos();
        let term = |i: usize| {
            let (u, v) = (i % 8, i / 8);
            f64::from(block[v][u].0) * half(u) * half(v) * wave(x, u) * wave(y, v)
        };
        ((0..64).map(term).sum::<f64>() / 4.0 + 128.0).clamp(0.0, 255.0)
    }

    fn random_block(state: &mut u32, nonzero: u32) -> Block {
        let mut next = || {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *state >> 8
        };
        let mut block = [[Wrapping(0); 8]; 8];
        for _ in 0..nonzero {
            block[next() as usize % 8][next() as usize % 8] = Wrapping(next() as i32 % 401 - 200);
        }
        block
    }

    #[test]
    fn samples_are_the_exact_ones_rounded() {
        let mut state = 1;
        for round in 0..200 {
            let block = random_block(&mut state, round % 20);
            for (y, row) in samples(&block).iter().enumerate() {
                for (x, &sample) in row.iter().enumerate() {
                    let exact = exact(&block, x, y);
                    assert!((f64::from(sample) - exact).abs() < 0.6, "{sample} is not {exact} rounded");
                }
            }
        }
    }

    #[test]
    fn a_block_with_only_dc_is_flat() {
        for dc in -1200..1200 {
            let mut block = [[Wrapping(0); 8]; 8];
            block[0][0] = Wrapping(dc);
            assert_eq!(samples(&block), [[flat(dc); 8]; 8]);
        }
    }

    #[test]
    fn coefficients_that_no_picture_has_do_not_panic() {
        for extreme in [i32::MIN, i32::MAX, -67_000_000, 67_000_000] {
            samples(&[[Wrapping(extreme); 8]; 8]);
        }
    }
}
