//! Stretches the contrast of faded prints before a network colours them, because networks are trained on photographs
//! with full contrast. Only the network's input changes; the photo keeps its own luminance.

use crate::photo::Gray;

/// The fraction of pixels that is ignored at each end of the luminance range.
const TAIL: f64 = 0.01;
/// The largest factor. A larger one would turn the grain of a flat picture into colour.
const MAX_FACTOR: f32 = 4.0;

/// Stretches a luminance range that is smaller than `span` (in L\*, 0 to 100) to `span`, by at most `MAX_FACTOR` and
/// with the least possible shift.
pub fn stretched(gray: Gray, span: f32) -> Gray {
    let unit = f32::from(u16::MAX) / 100.0;
    let (low, high) = range(&gray.luma);
    let factor = (span * unit / (high - low).max(1.0)).min(MAX_FACTOR);
    if factor <= 1.0 {
        return gray;
    }
    let (middle, half) = ((low + high) / 2.0, (high - low) * factor / 2.0);
    let center = middle.max(half).min(f32::from(u16::MAX) - half);
    let code = |luma: &u16| ((f32::from(*luma) - middle) * factor + center + 0.5).clamp(0.0, 65_535.0) as u16;
    Gray { luma: gray.luma.iter().map(code).collect(), ..gray }
}

/// The lowest and the highest luminance, without the fraction `TAIL` of pixels at each end.
fn range(luma: &[u16]) -> (f32, f32) {
    let mut sorted = luma.to_vec();
    let tail = (sorted.len() as f64 * TAIL) as usize;
    let Some(last) = sorted.len().checked_sub(1 + tail) else { return (0.0, f32::from(u16::MAX)) };
    let low = *sorted.select_nth_unstable(tail).1;
    let high = *sorted.select_nth_unstable(last).1;
    (f32::from(low), f32::from(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ramp from one lightness (0 to 100) to another.
    fn ramp(from: f32, to: f32) -> Gray {
        let luma = (0..1000).map(|i| ((from + (to - from) * i as f32 / 999.0) * 655.35) as u16).collect();
        Gray { width: 100, height: 10, luma }
    }

    #[track_caller]
    fn spans(gray: &Gray, low: f32, high: f32) {
        let (found_low, found_high) = range(&gray.luma);
        let found = (found_low / 655.35, found_high / 655.35);
        assert!((found.0 - low).abs() < 0.7 && (found.1 - high).abs() < 0.7, "{found:?}");
    }

    #[test]
    fn a_faded_picture_is_stretched_around_its_own_middle() {
        spans(&stretched(ramp(40.0, 70.0), 60.0), 25.0, 85.0);
    }

    #[test]
    fn a_picture_with_enough_contrast_is_unchanged() {
        let gray = ramp(10.0, 90.0);
        assert_eq!(stretched(gray.clone(), 60.0).luma, gray.luma);
    }

    #[test]
    fn a_light_picture_stays_light() {
        spans(&stretched(ramp(75.0, 95.0), 60.0), 40.0, 100.0);
    }

    #[test]
    fn the_stretch_of_grain_is_bounded() {
        spans(&stretched(ramp(49.0, 51.0), 60.0), 46.0, 54.0);
        let flat = Gray { width: 2, height: 2, luma: vec![30_000; 4] };
        assert_eq!(stretched(flat, 60.0).luma, [30_000; 4]);
        assert!(stretched(Gray { width: 0, height: 0, luma: Vec::new() }, 60.0).luma.is_empty());
    }
}
