//! Gamut mapping: colours that sRGB cannot show lose chroma at constant L\* and hue; channels are never clipped.
//!
//! Clipping a channel would change luminance and hue, and luma-lock promises to keep luminance. On a ray from grey
//! the displayable colours are those up to some chroma, which bisection finds. (In a sliver of yellow at L\* 95 to 98
//! the displayable range has a gap; any of its ends may be found.)

use super::lab::linear_of_lab;

/// How far outside 0..1 a linear channel may be: a twentieth of the smallest distance of 8-bit codes in linear light.
const TOLERANCE: f32 = 1e-5;

/// Bisection steps: chroma is exact to a 4,096th of the requested one.
const HALVINGS: usize = 12;

/// Below the first L\* every 8-bit code is black, above the second white, whatever the chroma. A channel can be above
/// 0 (below 1) only as far as the others compensate its luminance. Blue, which contributes least, reaches the first
/// code that is not 0 at L\* 0.0015, and the last that is not 255 at L\* 99.987.
const BLACK: f32 = 0.001;
const WHITE: f32 = 99.99;

/// Whether a colour of this L\* can differ from grey in 8-bit sRGB. For black and white the search is skipped,
/// because it takes ten times as long as the rest of a pixel.
#[inline]
pub(super) fn has_room_for_chroma(l: f32) -> bool {
    (l > BLACK) & (l < WHITE)
}

/// Whether sRGB can show this linear colour.
#[inline]
pub(super) fn shows([r, g, b]: [f32; 3]) -> bool {
    let within = |channel: f32| (-TOLERANCE..=1.0 + TOLERANCE).contains(&channel);
    within(r) & within(g) & within(b)
}

/// Replaces L\*, a\*, b\* by linear sRGB: the most saturated displayable colours with these L\* and hues, at most as
/// saturated as requested.
pub(super) fn fit(colors: &mut [[f32; 3]]) {
    const LANES: usize = 8;
    for group in colors.chunks_mut(LANES) {
        let mut lab = [[0.0; LANES]; 3];
        for (lane, color) in group.iter().enumerate() {
            (lab[0][lane], lab[1][lane], lab[2][lane]) = (color[0], color[1], color[2]);
        }
        let (mut kept, mut step) = ([0.0_f32; LANES], 0.5);
        for _ in 0..HALVINGS {
            for lane in 0..LANES {
                let share = kept[lane] + step;
                let shown = shows(linear_of_lab([lab[0][lane], lab[1][lane] * share, lab[2][lane] * share]));
                kept[lane] = if shown { share } else { kept[lane] };
            }
            step *= 0.5;
        }
        for (lane, color) in group.iter_mut().enumerate() {
            *color = linear_of_lab([color[0], color[1] * kept[lane], color[2] * kept[lane]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::photo::lab::{LINEAR8, lab_of_linear};

    /// The maximum displayable chroma, found by small steps from grey.
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_cannot_be_shown_keeps_luminance_and_hue_and_loses_no_more_chroma_than_it_must(
            l in 0.0_f32..=100.0, a in -128.0_f32..=128.0, b in -128.0_f32..=128.0,
        ) {
            let asked = [l, a, b];
            prop_assume!(!shows(linear_of_lab(asked)));
            let mut colors = [asked];
            fit(&mut colors);
            prop_assert!(shows(colors[0]), "{:?}", colors[0]);
            let [got_l, got_a, got_b] = lab_of_linear(colors[0]);
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
        let mut colors = [[0.0, 40.0, -60.0], [100.0, 40.0, -60.0]];
        fit(&mut colors);
        for (color, wanted) in colors.into_iter().zip([0.0, 1.0]) {
            assert!(color.iter().all(|channel| (channel - wanted).abs() < 1e-4), "{color:?}");
        }
    }

    #[test]
    fn every_color_of_srgb_is_left_as_it_is() {
        for rgb in
            [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [12, 200, 77]]
        {
            let light = rgb.map(|code: u8| LINEAR8[code as usize]);
            assert!(shows(linear_of_lab(lab_of_linear(light))), "{rgb:?}");
        }
    }
}
