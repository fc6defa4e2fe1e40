//! Conversion between sRGB and CIE L\*a\*b\* (D65).
//!
//! The sRGB curve is IEC 61966-2-1, L\*a\*b\* is CIE 15. XYZ is divided by the white point (0.95047, 1, 1.08883)
//! inside the matrices, so their rows add up to 1 and grey is neutral. Luminance is L\* from 0 to 100 as 0 to 65,535.
//! Integer sample values ("codes" in names) are converted with tables, which are exact except for rounding. All other
//! conversions are arithmetic without branches, so that the compiler can vectorise them.

use std::sync::LazyLock;

use super::simd::vectorized;

/// Linear sRGB to X/Xn, Y/Yn, Z/Zn.
const TO_XYZ: [[f32; 3]; 3] = [
    [0.433_949_98, 0.376_209_75, 0.189_840_27],
    [0.212_672_85, 0.715_152_15, 0.072_175],
    [0.017_756_58, 0.109_467_98, 0.872_775_44],
];

/// X/Xn, Y/Yn, Z/Zn to linear sRGB.
const FROM_XYZ: [[f32; 3]; 3] = [
    [3.079_954_5, -1.537_138_5, -0.542_816],
    [-0.921_258_3, 1.876_010_8, 0.045_247_44],
    [0.052_887_41, -0.204_025_9, 1.151_138_5],
];

/// Up to this t, (6/29)^3, f(t) is a line instead of the cube root; and the value of f there.
const EPSILON: f32 = 216.0 / 24_389.0;
const F_EPSILON: f32 = 6.0 / 29.0;
/// Slope of that line, (29/6)^2 / 3, the inverse of the slope, and the line's value at t = 0.
const SLOPE: f32 = 841.0 / 108.0;
const FLATNESS: f32 = 108.0 / 841.0;
const OFFSET: f32 = 4.0 / 29.0;

/// Steps of 16-bit luminance per unit of L\*.
pub(super) const CODES_PER_L: f32 = 655.35;

/// The sRGB decoding curve: encoded 0..1 to linear light 0..1.
fn linear(encoded: f64) -> f64 {
    if encoded <= 0.040_45 { encoded / 12.92 } else { ((encoded + 0.055) / 1.055).powf(2.4) }
}

/// Linear light of each 8-bit sRGB value.
pub(super) static LINEAR8: LazyLock<[f32; 256]> =
    LazyLock::new(|| std::array::from_fn(|code| linear(code as f64 / 255.0) as f32));

/// Linear light of each 16-bit sRGB value.
pub(super) static LINEAR16: LazyLock<Vec<f32>> =
    LazyLock::new(|| (0..=u16::MAX).map(|code| linear(f64::from(code) / 65_535.0) as f32).collect());

/// Luminance of each 8-bit sRGB grey.
pub(super) static LUMA8: LazyLock<[u16; 256]> =
    LazyLock::new(|| std::array::from_fn(|code| luma_of_y(LINEAR8[code])));

/// Luminance of each 16-bit sRGB grey.
pub(super) static LUMA16: LazyLock<Vec<u16>> =
    LazyLock::new(|| LINEAR16.iter().map(|&light| luma_of_y(light)).collect());

/// Cube root of a number from [`EPSILON`] to 1; only the last bits may differ from the exact root. It first computes
/// the inverse of the root, which needs no division: an estimate that divides the exponent by three, then a correction
/// of fourth order (the series of (1 - h)^(-1/3)) and one of second order.
#[inline(always)]
fn cube_root(x: f32) -> f32 {
    let mut inverse = f32::from_bits(0x54A2_1D2A - x.to_bits() / 3);
    let h = 1.0 - x * inverse * inverse * inverse;
    inverse += inverse * h * (1.0 / 3.0 + h * (2.0 / 9.0 + h * (14.0 / 81.0)));
    let h = 1.0 - x * inverse * inverse * inverse;
    inverse += inverse * h * (1.0 / 3.0);
    x * inverse * inverse
}

/// f of CIE L\*a\*b\*.
#[inline(always)]
fn f(t: f32) -> f32 {
    let root = cube_root(if t > EPSILON { t } else { EPSILON });
    if t > EPSILON { root } else { SLOPE * t + OFFSET }
}

/// The inverse of [`f`].
#[inline(always)]
fn f_inverse(f: f32) -> f32 {
    if f > F_EPSILON { f * f * f } else { (f - OFFSET) * FLATNESS }
}

/// 16-bit luminance of Y/Yn from 0 to 1.
#[inline(always)]
fn luma_of_y(y: f32) -> u16 {
    let y = if y < 1.0 { y } else { 1.0 };
    nearest((116.0 * f(y) - 16.0) * CODES_PER_L) as u16
}

/// Writes the 16-bit luminance of a row of pixels. `light` has the linear light of each sample value.
pub(super) fn luma_of_row<T: Copy + Into<usize>>(row: &[[T; 3]], light: &[f32], out: &mut [u16]) {
    const BLOCK: usize = 256;
    let [wr, wg, wb] = TO_XYZ[1];
    for (pixels, out) in row.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
        // The table lookups are separate from the arithmetic, because only the arithmetic can be vectorised.
        let mut ys = [0.0; BLOCK];
        for (y, &[r, g, b]) in ys.iter_mut().zip(pixels) {
            *y = wr * light[r.into()] + wg * light[g.into()] + wb * light[b.into()];
        }
        vectorized(
            #[inline(always)]
            || out.iter_mut().zip(ys).for_each(|(luma, y)| *luma = luma_of_y(y)),
        );
    }
}

/// Rounds a number from 0 to 8,388,607 to the nearest integer: adding 2^23 leaves the integer in the low bits of the
/// float. An `as` conversion would be ten times slower, because it saturates, for which there is no vector instruction.
#[inline(always)]
fn nearest(value: f32) -> u32 {
    (value + 8_388_608.0).to_bits() & 0x7F_FFFF
}

/// The product of a matrix and a vector. `array::map` would not be vectorised, because the function that it puts around
/// its closure is not inlined.
#[inline(always)]
fn product(matrix: &[[f32; 3]; 3], [x, y, z]: [f32; 3]) -> [f32; 3] {
    let mut out = [0.0; 3];
    for (out, [wx, wy, wz]) in out.iter_mut().zip(matrix) {
        *out = wx * x + wy * y + wz * z;
    }
    out
}

/// L\*, a\*, b\* of linear sRGB.
#[inline(always)]
pub(super) fn lab_of_linear([r, g, b]: [f32; 3]) -> [f32; 3] {
    let [x, y, z] = product(&TO_XYZ, [r, g, b]);
    let (x, y, z) = (f(x), f(y), f(z));
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// Linear sRGB of L\*, a\*, b\*. Values are outside 0..1 if sRGB has no such colour.
#[inline(always)]
pub(super) fn linear_of_lab([l, a, b]: [f32; 3]) -> [f32; 3] {
    let fy = (l + 16.0) * (1.0 / 116.0);
    let (x, y, z) = (f_inverse(fy + a * (1.0 / 500.0)), f_inverse(fy), f_inverse(fy - b * (1.0 / 200.0)));
    product(&FROM_XYZ, [x, y, z])
}

/// Linear light 1 as a 23-bit integer, which is about the precision of a float near 1.
const LIGHT: f32 = 8_388_607.0;
/// The number of low bits of such an integer that lie within a step of the table, and the number of steps.
const FINE: u32 = 11;
const STEPS: usize = 4096;

/// A table that converts linear light to 8-bit sRGB, rounded exactly. Steps are so narrow that at most one sRGB value
/// begins in each. A step's entry is the value at its start times 2,048. If the next value begins inside the step, the
/// distance from there to the end of the step is added. Then adding the low bits of the light and dividing by 2,048
/// gives the value without a branch or comparison.
pub(super) struct Encode([u32; STEPS]);

pub(super) static ENCODE: LazyLock<Encode> = LazyLock::new(|| {
    // For each value from 1 to 255, the smallest light for which it is the nearest: the light of the value minus 1/2.
    let begins: [u32; 255] =
        std::array::from_fn(|code| (linear((code as f64 + 0.5) / 255.0) * f64::from(LIGHT)).ceil() as u32);
    Encode(std::array::from_fn(|step| {
        let (first, end) = ((step as u32) << FINE, (step as u32 + 1) << FINE);
        let code = begins.partition_point(|&begin| begin <= first);
        let missing = begins.get(code).filter(|&&begin| begin < end).map_or(0, |begin| end - begin);
        ((code as u32) << FINE) + missing
    }))
});

impl Encode {
    /// The 8-bit value nearest to a linear light: 0 for light below 0, and 255 for light above 1.
    #[inline(always)]
    pub(super) fn code(&self, light: f32) -> u8 {
        self.code_of(Self::fixed(light))
    }

    /// Converts linear light for [`Encode::code_of`]; this part can be vectorised.
    #[inline(always)]
    pub(super) fn fixed(light: f32) -> u32 {
        nearest(light.clamp(0.0, 1.0) * LIGHT)
    }

    /// The 8-bit value of a number from [`Encode::fixed`].
    #[inline(always)]
    pub(super) fn code_of(&self, light: u32) -> u8 {
        let step = (light >> FINE) as usize % STEPS;
        ((self.0[step] + light % (1 << FINE)) >> FINE) as u8
    }
}

/// The 16-bit sRGB value nearest to a linear light: 0 for light below 0, and 65,535 for light above 1. Light to the
/// power of 5/12 is the product of its cube root and the fourth root of that.
#[inline(always)]
pub(super) fn srgb16_of_linear(light: f32) -> u16 {
    const LINE_UP_TO: f32 = 0.003_130_8;
    let light = light.clamp(0.0, 1.0);
    let root = cube_root(if light > LINE_UP_TO { light } else { LINE_UP_TO });
    let curve = 1.055 * (root * root.sqrt().sqrt()) - 0.055;
    let encoded = if light > LINE_UP_TO { curve } else { 12.92 * light };
    nearest(encoded * 65_535.0) as u16
}

/// The 8-bit sRGB grey of every 16-bit luminance.
pub(super) static GRAY8: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let light = |luma: u16| f_inverse((f32::from(luma) / CODES_PER_L + 16.0) / 116.0);
    (0..=u16::MAX).map(|luma| ENCODE.code(light(luma))).collect()
});

#[cfg(test)]
mod tests {
    use palette::white_point::D65;
    use palette::{FromColor, Lab, Srgb};

    use super::*;

    fn theirs(rgb: [u8; 3]) -> Lab<D65, f64> {
        Lab::from_color(Srgb::<u8>::from(rgb).into_format::<f64>())
    }

    #[test]
    fn every_srgb_color_converts_to_lab_as_in_palette_and_back_unchanged() {
        for code in 0..1_u32 << 24 {
            let [_, rgb @ ..] = code.to_be_bytes();
            let light = rgb.map(|code| LINEAR8[code as usize]);
            let (ours, theirs) = (lab_of_linear(light), theirs(rgb));
            for (ours, theirs) in ours.into_iter().zip([theirs.l, theirs.a, theirs.b]) {
                assert!((f64::from(ours) - theirs).abs() < 1e-3, "{rgb:?}: {ours} is not {theirs}");
            }
            let mut luma = [0];
            luma_of_row(&[rgb], &LINEAR8[..], &mut luma);
            let luma = f64::from(luma[0]) / 655.35;
            assert!((luma - theirs.l).abs() < 0.001_8, "{rgb:?}: luminance {luma} is not {}", theirs.l);
            let back = linear_of_lab(ours).map(|light| ENCODE.code(light));
            assert_eq!(back, rgb, "there and back");
            let wanted = Srgb::<f64>::from_color(theirs).into_format::<u8>();
            assert_eq!([wanted.red, wanted.green, wanted.blue], back);
        }
    }

    #[test]
    fn every_linear_light_gets_the_nearest_8_bit_value() {
        let encode = |light: f64| {
            let encoded =
                if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
            encoded * 255.0
        };
        for step in 0..=1_000_000 {
            let light = step as f32 / 1_000_000.0;
            let wanted = encode(f64::from(light));
            let code = f64::from(ENCODE.code(light));
            assert!((code - wanted).abs() <= 0.5 + 1e-4, "{light}: {code} is not {wanted}");
        }
        assert_eq!((ENCODE.code(-0.1), ENCODE.code(1.1)), (0, 255));
    }

    #[test]
    fn the_16_bit_value_of_any_linear_light_is_less_than_one_step_off() {
        let mut largest: f64 = 0.0;
        for step in 0..=4_000_000 {
            let light = step as f32 / 4_000_000.0;
            let exact = f64::from(light);
            let encoded =
                if exact <= 0.003_130_8 { exact * 12.92 } else { 1.055 * exact.powf(1.0 / 2.4) - 0.055 };
            largest = largest.max((f64::from(srgb16_of_linear(light)) - encoded * 65_535.0).abs());
        }
        assert!(largest < 0.53, "{largest}");
        assert_eq!((srgb16_of_linear(-0.1), srgb16_of_linear(1.1)), (0, 65_535));
        for code in 0..=u16::MAX {
            assert_eq!(srgb16_of_linear(LINEAR16[code as usize]), code);
        }
    }

    #[test]
    fn luminance_of_every_gray_is_exact_and_converts_back_unchanged() {
        for code in 0..=u16::MAX {
            let y = linear(f64::from(code) / 65_535.0);
            let l = if y > 216.0 / 24_389.0 { 116.0 * y.cbrt() - 16.0 } else { y * 24_389.0 / 27.0 };
            let luma = f64::from(LUMA16[code as usize]);
            assert!((luma - l * 655.35).abs() < 0.52, "{code}: {luma} is not {}", l * 655.35);
        }
        for code in 0..=255 {
            assert_eq!(GRAY8[LUMA8[code] as usize] as usize, code);
        }
    }
}
