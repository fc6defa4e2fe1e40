//! Resamples planes: area average to shrink, Catmull-Rom to enlarge, each axis separately.
//!
//! Luminance is averaged as L\*, and chroma as a\* and b\*, without conversion to linear light. L\* is close to the
//! space in which image viewers, and the tools that prepare training data, average pixels.

use super::simd::vectorized;

/// The resampling of an axis: for each position in the result, the first source position and the weights from there on.
pub(super) struct Axis {
    taps: Vec<Tap>,
    weights: Vec<f32>,
}

struct Tap {
    first: usize,
    weights: std::ops::Range<usize>,
}

impl Axis {
    pub(super) fn new(from: u32, to: u32) -> Self {
        let scale = f64::from(from) / f64::from(to);
        let mut axis = Self { taps: Vec::with_capacity(to as usize), weights: Vec::new() };
        for place in 0..to {
            if to < from {
                axis.push_area(f64::from(place) * scale, f64::from(place + 1) * scale, from);
            } else if to == from {
                axis.push(place as usize, [1.0]);
            } else {
                axis.push_cubic((f64::from(place) + 0.5) * scale - 0.5, from);
            }
        }
        axis
    }

    /// Each source is weighted by its overlap with `begin` to `end`.
    fn push_area(&mut self, begin: f64, end: f64, from: u32) {
        let first = begin.floor();
        let last = (end.ceil() as u32).min(from);
        let covered = |source: u32| {
            let source = f64::from(source);
            ((end.min(source + 1.0) - begin.max(source)).max(0.0) / (end - begin)) as f32
        };
        self.push(first as usize, (first as u32..last).map(covered));
    }

    /// Catmull-Rom (Keys 1981, a = -1/2) around a position; beyond the border the last source is repeated.
    fn push_cubic(&mut self, place: f64, from: u32) {
        let base = place.floor();
        let t = place - base;
        let kernel = [
            -0.5 * t * t * t + t * t - 0.5 * t,
            1.5 * t * t * t - 2.5 * t * t + 1.0,
            -1.5 * t * t * t + 2.0 * t * t + 0.5 * t,
            0.5 * t * t * t - 0.5 * t * t,
        ];
        let last = i64::from(from) - 1;
        let first = (base as i64 - 1).clamp(0, last);
        let mut weights = [0.0; 4];
        for (offset, weight) in kernel.into_iter().enumerate() {
            let source = (base as i64 - 1 + offset as i64).clamp(0, last);
            weights[(source - first) as usize] += weight as f32;
        }
        let count = (last - first + 1).min(4) as usize;
        self.push(first as usize, weights.into_iter().take(count));
    }

    fn push(&mut self, first: usize, weights: impl IntoIterator<Item = f32>) {
        let begin = self.weights.len();
        self.weights.extend(weights);
        self.taps.push(Tap { first, weights: begin..self.weights.len() });
    }

    #[inline(always)]
    fn sources(&self, place: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let tap = &self.taps[place];
        (tap.first..).zip(self.weights[tap.weights.clone()].iter().copied())
    }
}

/// Resamples rows of `CHANNELS` interleaved channels, one row of the result at a time.
pub(super) struct Resample<const CHANNELS: usize> {
    x: Axis,
    y: Axis,
    /// A row of the result at the source's width.
    column: Vec<f32>,
    same_width: bool,
}

impl<const CHANNELS: usize> Resample<CHANNELS> {
    /// Sizes are width and height, at least 1.
    pub(super) fn new(from: (u32, u32), to: (u32, u32)) -> Self {
        Self {
            x: Axis::new(from.0, to.0),
            y: Axis::new(from.1, to.1),
            column: vec![0.0; from.0 as usize * CHANNELS],
            same_width: from.0 == to.0,
        }
    }

    /// Computes row `y` of the result. `add(source_row, weight, sum)` adds a weighted source row; it is compiled as
    /// [`vectorized`] says.
    pub(super) fn row(&mut self, y: usize, mut add: impl FnMut(usize, f32, &mut [f32]), out: &mut [f32]) {
        vectorized(
            #[inline(always)]
            || {
                self.column.fill(0.0);
                for (source, weight) in self.y.sources(y) {
                    add(source, weight, &mut self.column);
                }
            },
        );
        if self.same_width {
            return out.copy_from_slice(&self.column);
        }
        for (x, pixel) in out.chunks_exact_mut(CHANNELS).enumerate() {
            let mut sum = [0.0; CHANNELS];
            for (source, weight) in self.x.sources(x) {
                let from = &self.column[source * CHANNELS..(source + 1) * CHANNELS];
                for (channel, value) in sum.iter_mut().zip(from) {
                    *channel += weight * value;
                }
            }
            pixel.copy_from_slice(&sum);
        }
    }
}

/// Resamples a plane from size `from` to `to` (width, height).
pub(super) fn plane<T: Copy + Into<f32>>(plane: &[T], from: (u32, u32), to: (u32, u32)) -> Vec<f32> {
    let width = from.0 as usize;
    let mut resample = Resample::<1>::new(from, to);
    let mut out = vec![0.0; to.0 as usize * to.1 as usize];
    for (y, row) in out.chunks_exact_mut(to.0 as usize).enumerate() {
        resample.row(
            y,
            #[inline(always)]
            |source, weight, sum| add(&plane[source * width..][..width], weight, sum),
            row,
        );
    }
    out
}

/// Adds a weighted row to `sum`.
#[inline(always)]
pub(super) fn add<T: Copy + Into<f32>>(row: &[T], weight: f32, sum: &mut [f32]) {
    for (sum, &value) in sum.iter_mut().zip(row) {
        *sum += weight * value.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_averages_by_area_with_parts_of_pixels() {
        // 5 to 2: each result covers two and a half sources.
        let row = [10_u16, 20, 30, 40, 50];
        assert_eq!(plane(&row, (5, 1), (2, 1)), [18.0, 42.0]);
    }

    #[test]
    fn the_mean_is_kept_when_shrinking() {
        let picture: Vec<u16> = (0..77 * 53).map(|i| (i * 7919 % 65_521) as u16).collect();
        let mean = |values: &[f32]| values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
        let whole = picture.iter().map(|&v| f64::from(v)).sum::<f64>() / picture.len() as f64;
        for to in [(1, 1), (10, 7), (76, 52), (3, 53)] {
            assert!((mean(&plane(&picture, (77, 53), to)) - whole).abs() < 0.5, "{to:?}");
        }
    }

    #[test]
    fn a_ramp_stays_a_ramp_when_enlarged_and_flat_stays_flat() {
        let flat = plane(&[7.0_f32; 6], (3, 2), (50, 41));
        assert!(flat.iter().all(|v| (v - 7.0).abs() < 1e-5));
        let ramp: Vec<f32> = (0..20).map(|x| x as f32).collect();
        let enlarged = plane(&ramp, (20, 1), (60, 1));
        for (x, value) in enlarged.iter().enumerate().skip(6).take(48) {
            let wanted = (x as f32 + 0.5) / 3.0 - 0.5;
            assert!((value - wanted).abs() < 1e-4, "{x}: {value} instead of {wanted}");
        }
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let picture = [1.0_f32, 5.0, 2.0, 8.0, 0.0, 3.0];
        assert_eq!(plane(&picture, (3, 2), (3, 2)), picture);
    }

    #[test]
    fn one_pixel_can_become_any_size() {
        assert!(plane(&[9_u16], (1, 1), (4, 3)).iter().all(|v| (v - 9.0).abs() < 1e-5));
    }
}
