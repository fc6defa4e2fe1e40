//! Colours sRGB cannot show lose chroma at constant L\* and hue; channels are never clipped.
//!
//! Clipping a channel changes luminance and hue, and luminance is what luma-lock promises to keep.

use super::lab::linear_of_lab;

/// How far outside 0..1 a linear channel may be by rounding alone.
const TOLERANCE: f32 = 1e-5;

/// Whether linear sRGB can be shown.
#[inline]
pub(super) fn shows(linear: [f32; 3]) -> bool {
    linear.iter().all(|&channel| (-TOLERANCE..=1.0 + TOLERANCE).contains(&channel))
}

/// Linear sRGB of the most saturated colour that can be shown with this L\* and hue, at most as
/// saturated as asked.
pub(super) fn fit([l, a, b]: [f32; 3]) -> [f32; 3] {
    let mut kept = 0.0;
    let mut lost = 1.0;
    // Grey is always in the gamut and the gamut is star-shaped around it for practical purposes.
    for _ in 0..16 {
        let share = (kept + lost) / 2.0;
        if shows(linear_of_lab([l, a * share, b * share])) {
            kept = share;
        } else {
            lost = share;
        }
    }
    linear_of_lab([l, a * kept, b * kept])
}
