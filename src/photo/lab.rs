//! sRGB and CIE L\*a\*b\* (D65), both ways, for whole rows.
//!
//! The sRGB curve is IEC 61966-2-1, L\*a\*b\* is CIE 15. XYZ is divided by the white point
//! (0.95047, 1, 1.08883) inside the matrices, so that their rows add up to 1 and grey is exactly
//! neutral. Luminance is L\* from 0 to 100 as 0 to 65,535.

use std::sync::LazyLock;

/// Linear sRGB to X/Xn, Y/Yn, Z/Zn.
pub(super) const TO_XYZ: [[f32; 3]; 3] = [
    [0.433_949_98, 0.376_209_75, 0.189_840_27],
    [0.212_672_85, 0.715_152_15, 0.072_175],
    [0.017_756_58, 0.109_467_98, 0.872_775_44],
];

/// X/Xn, Y/Yn, Z/Zn to linear sRGB.
pub(super) const FROM_XYZ: [[f32; 3]; 3] = [
    [3.079_954_5, -1.537_138_5, -0.542_816],
    [-0.921_258_3, 1.876_010_8, 0.045_247_44],
    [0.052_887_41, -0.204_025_9, 1.151_138_5],
];

/// Where the cube root of f(t) gives way to a line: (6/29)^3.
const EPSILON: f32 = 216.0 / 24_389.0;
/// Slope of that line: (29/6)^2 / 3, and where it crosses t = 0.
const SLOPE: f32 = 841.0 / 108.0;
const OFFSET: f32 = 4.0 / 29.0;

/// Luminance codes per unit of L\*.
pub(super) const CODES_PER_L: f32 = 655.35;

/// The sRGB decoding curve: encoded 0..1 to linear light 0..1.
pub(super) fn linear(encoded: f64) -> f64 {
    if encoded <= 0.040_45 { encoded / 12.92 } else { ((encoded + 0.055) / 1.055).powf(2.4) }
}

/// Linear light of each 8-bit code.
pub(super) static LINEAR8: LazyLock<[f32; 256]> =
    LazyLock::new(|| std::array::from_fn(|code| linear(code as f64 / 255.0) as f32));

/// Linear light of each 16-bit code.
pub(super) static LINEAR16: LazyLock<Vec<f32>> =
    LazyLock::new(|| (0..=u16::MAX).map(|code| linear(f64::from(code) / 65_535.0) as f32).collect());

/// Luminance of each grey 8-bit code.
pub(super) static LUMA8: LazyLock<[u16; 256]> =
    LazyLock::new(|| std::array::from_fn(|code| luma_of_y(LINEAR8[code])));

/// Luminance of each grey 16-bit code.
pub(super) static LUMA16: LazyLock<Vec<u16>> =
    LazyLock::new(|| LINEAR16.iter().map(|&y| luma_of_y(y)).collect());

/// f of CIE L\*a\*b\*.
pub(super) fn f(t: f32) -> f32 {
    if t > EPSILON { t.cbrt() } else { SLOPE * t + OFFSET }
}

/// The inverse of [`f`].
#[inline]
pub(super) fn f_inverse(f: f32) -> f32 {
    if f > 6.0 / 29.0 { f * f * f } else { (f - OFFSET) / SLOPE }
}

/// Luminance code of a relative luminance Y/Yn from 0 to 1.
pub(super) fn luma_of_y(y: f32) -> u16 {
    ((116.0 * f(y) - 16.0) * CODES_PER_L + 0.5) as u16
}

/// Luminance code of linear sRGB.
#[inline]
pub(super) fn luma_of_linear([r, g, b]: [f32; 3]) -> u16 {
    let [wr, wg, wb] = TO_XYZ[1];
    luma_of_y((wr * r + wg * g + wb * b).min(1.0))
}

/// L\*, a\*, b\* of linear sRGB.
pub(super) fn lab_of_linear([r, g, b]: [f32; 3]) -> [f32; 3] {
    let [x, y, z] = TO_XYZ.map(|[wr, wg, wb]| f(wr * r + wg * g + wb * b));
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// Linear sRGB of L\*, a\*, b\*; outside 0..1 where sRGB has no such colour.
#[inline]
pub(super) fn linear_of_lab([l, a, b]: [f32; 3]) -> [f32; 3] {
    let fy = (l + 16.0) / 116.0;
    let (x, y, z) = (f_inverse(fy + a / 500.0), f_inverse(fy), f_inverse(fy - b / 200.0));
    FROM_XYZ.map(|[wx, wy, wz]| wx * x + wy * y + wz * z)
}

/// Steps of the first table of [`Encode`]; small enough that no two codes begin within one step.
const STEPS: usize = 4096;

/// Linear light to 8-bit sRGB, rounded exactly: a table finds the code at the start of the step, a
/// comparison with where the next code begins does the rest.
pub(super) struct Encode {
    start: Box<[u8; STEPS + 1]>,
    next: [f32; 256],
}

/// The one encoding table.
pub(super) static ENCODE: LazyLock<Encode> = LazyLock::new(|| {
    // Code n is right from the linear light of n - 1/2 on.
    let begins: [f32; 257] = std::array::from_fn(|code| match code {
        0 => 0.0,
        256 => f32::INFINITY,
        _ => linear((code as f64 - 0.5) / 255.0) as f32,
    });
    let start = Box::new(std::array::from_fn(|step| {
        let light = step as f32 / STEPS as f32;
        (begins.partition_point(|&begin| begin <= light) - 1) as u8
    }));
    Encode { start, next: std::array::from_fn(|code| begins[code + 1]) }
});

impl Encode {
    /// The code nearest to a linear light; below 0 is 0 and above 1 is 255.
    #[inline]
    pub(super) fn code(&self, light: f32) -> u8 {
        let light = light.clamp(0.0, 1.0);
        let code = self.start[(light * STEPS as f32) as usize];
        code + u8::from(light >= self.next[code as usize])
    }
}

/// 8-bit sRGB of a luminance code without colour.
pub(super) fn grey8(luma: u16) -> u8 {
    ENCODE.code(f_inverse((f32::from(luma) / CODES_PER_L + 16.0) / 116.0))
}

/// 8-bit sRGB of every luminance code without colour.
pub(super) static GREY8: LazyLock<Vec<u8>> = LazyLock::new(|| (0..=u16::MAX).map(grey8).collect());
