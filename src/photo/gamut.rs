//! Gamut mapping: colours that sRGB cannot show lose chroma at constant L\* and hue; channels are never clipped.
//!
//! Clipping a channel would change luminance and hue, and luma-lock promises to keep luminance. For each L\* and hue,
//! sRGB can show colours from grey up to a maximum chroma, which bisection finds. (For a few yellows at L\* 95 to 98
//! this range has a gap; bisection then finds the end of the part below the gap or of the part above it.)

use super::lab::linear_of_lab;
use super::simd::{LANES, Lanes};

/// How far outside 0..1 a linear channel may be: a thirtieth of the smallest step between 8-bit values in linear light.
const TOLERANCE: f32 = 1e-5;

/// Bisection steps: chroma is exact to a 4,096th of the requested one.
const HALVINGS: usize = 12;

/// Every 8-bit pixel is black at an L\* below the first and white above the second, whatever the chroma. A channel can
/// be above 0 (or below 1) only as far as the other channels compensate its luminance. Blue contributes least to
/// luminance: the lowest L\* at which it can be 1 of 255 is 0.0015, and the highest at which it can be 254 is 99.987.
const BLACK: f32 = 0.001;
pub(super) const WHITE: f32 = 99.99;

/// [`WHITE`] for 16-bit sRGB, in which only the largest luminance is white. ([`BLACK`] is below the smallest luminance
/// that is not black, so it is the same for 16 bits.)
pub(super) const WIDE_WHITE: f32 = 99.999;

/// Whether a colour of this L\* can differ from grey in sRGB, where `white` is [`WHITE`] or [`WIDE_WHITE`]. For black and
/// white the gamut search is skipped, because it takes ten times as long as all other work on a pixel.
#[inline(always)]
pub(super) fn has_room_for_chroma(l: f32, white: f32) -> bool {
    (l > BLACK) & (l < white)
}

/// Whether sRGB can show this linear colour.
#[inline(always)]
pub(super) fn shows([r, g, b]: [f32; 3]) -> bool {
    let within = |channel: f32| (-TOLERANCE..=1.0 + TOLERANCE).contains(&channel);
    within(r) & within(g) & within(b)
}

/// Linear sRGB of L\*, a\*, b\*: of the most saturated displayable colours with these L\* and hues, at most as
/// saturated as requested.
#[inline(always)]
pub(super) fn fit([l, a, b]: [Lanes; 3]) -> [Lanes; 3] {
    let light = |i: usize, share: f32| linear_of_lab([l[i], a[i] * share, b[i] * share]);
    let (mut kept, mut step) = ([0.0; LANES], 0.5);
    for _ in 0..HALVINGS {
        for (i, kept) in kept.iter_mut().enumerate() {
            let share = *kept + step;
            *kept = if shows(light(i, share)) { share } else { *kept };
        }
        step *= 0.5;
    }
    let mut fitted = [[0.0; LANES]; 3];
    for i in 0..LANES {
        let share = if shows(light(i, 1.0)) { 1.0 } else { kept[i] };
        [fitted[0][i], fitted[1][i], fitted[2][i]] = light(i, share);
    }
    fitted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::photo::lab::{LINEAR8, lab_of_linear};

    /// The share of a colour's chroma that sRGB can show, found by small steps from grey.
    fn most([l, a, b]: [f32; 3]) -> f32 {
        let steps = 4000;
        let shown = |step: &i32| shows(linear_of_lab([l, a, b].map_with(*step as f32 / steps as f32)));
        (0..=steps).take_while(shown).last().unwrap_or(0) as f32 / steps as f32
    }

    trait MapWith {
        fn map_with(self, share: f32) -> Self;
    }

    impl MapWith for [f32; 3] {
        fn map_with(self, share: f32) -> Self {
            [self[0], self[1] * share, self[2] * share]
        }
    }

    /// The linear sRGB of one colour.
    fn fitted(lab: [f32; 3]) -> [f32; 3] {
        fit(lab.map(|value| [value; LANES])).map(|channel| channel[0])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn colors_outside_srgb_keep_luminance_hue_and_as_much_chroma_as_possible(
            l in 0.0_f32..=100.0, a in -128.0_f32..=128.0, b in -128.0_f32..=128.0,
        ) {
            let asked = [l, a, b];
            prop_assume!(!shows(linear_of_lab(asked)));
            let color = fitted(asked);
            prop_assert!(shows(color), "{color:?}");
            let [got_l, got_a, got_b] = lab_of_linear(color);
            prop_assert!((got_l - l).abs() < 0.02, "L* {got_l} instead of {l}");
            // The same direction from grey: no component across it.
            let across = (got_a * b - got_b * a) / a.hypot(b);
            prop_assert!(across.abs() < 0.1, "hue moved by {across}");
            let (got, wanted) = (got_a.hypot(got_b), most(asked) * a.hypot(b));
            prop_assert!(got > wanted - 0.15, "chroma {got} where {wanted} can be shown");
        }
    }

    #[test]
    fn black_and_white_have_no_color() {
        for (l, wanted) in [(0.0, 0.0), (100.0, 1.0)] {
            let color = fitted([l, 40.0, -60.0]);
            assert!(color.iter().all(|channel| (channel - wanted).abs() < 1e-4), "{color:?}");
        }
    }

    #[test]
    fn srgb_colors_are_in_gamut() {
        for rgb in
            [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [12, 200, 77]]
        {
            let light = rgb.map(|code: u8| LINEAR8[code as usize]);
            let lab = lab_of_linear(light);
            assert!(shows(linear_of_lab(lab)), "{rgb:?}");
            let same =
                fitted(lab).iter().zip(linear_of_lab(lab)).all(|(one, other)| (one - other).abs() < 1e-6);
            assert!(same, "{rgb:?}");
        }
    }
}
