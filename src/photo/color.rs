//! Detects uploads that are in colour already. One tint over the whole picture does not count as colour.
//!
//! A toned print (sepia, two-toned) has one colour (a\*, b\*) at each luminance; the colours of yellowed paper and of
//! stains share one hue. A colour photograph has many hues at the same luminance. So the detection measures the
//! distance of each cell's a\* and b\* from the mean of the cells with similar luminance. Two numbers decide: the root
//! mean square of these distances, and the root mean square of their parts across the main direction, which is the
//! direction in which a\* and b\* vary most.
//!
//! The detection measures cells of a coarse grid instead of pixels. Sensor noise and the colour fringes of a scanner
//! with slightly misaligned channels give every pixel a colour, but average out within a cell.
//!
//! Measured on 360 colour photographs and 4,320 pictures made from them (grey, sepia, cyanotype, selenium, two-toned,
//! yellowed, photographed under two lights, with sensor noise, most of them also as small JPEG files): 82 % of the
//! colour photographs are detected; the others are pale or nearly of one hue. None of the 4,320 pictures is taken for a
//! colour photograph. The thresholds have a wide margin, because a mistake would leave a black-and-white photograph
//! uncoloured. Only widely misaligned colour channels cause mistakes: with a shift of 1/800 of the width, 3 of 100
//! black-and-white pictures are taken for colour photographs; with a shift of 1/264, most of them.

/// Number of bins of luminance. Within one bin, a toned print has about one colour.
const BINS: usize = 16;

/// Number of cells along the longer side.
const GRID: usize = 48;

/// Approximate number of pixels that are sampled along the longer side.
const SAMPLES: u32 = 512;

/// Root mean square distance from the picture's own tint, in units of a\* and b\*, above which the picture is
/// coloured.
const COLORED: f64 = 8.0;

/// Root mean square distance across the main direction above which the picture has more than one hue, and is coloured.
const COLORED_ACROSS: f64 = 1.75;

/// Samples an upload's pixels while it is decoded.
#[derive(Debug, Default)]
pub(super) struct ColorSampler {
    longest: usize,
    look: usize,
    cells: Vec<ColorCell>,
}

/// Sums over the sampled pixels of a cell.
#[derive(Clone, Copy, Debug, Default)]
struct ColorCell {
    count: f32,
    lab: [f32; 3],
}

impl ColorSampler {
    pub(super) fn new(width: u32, height: u32) -> Self {
        let longest = width.max(height).max(1);
        let look = longest.div_ceil(SAMPLES) as usize;
        Self { longest: longest as usize, look, cells: vec![ColorCell::default(); GRID * GRID] }
    }

    /// Whether this row is sampled.
    pub(super) fn wants_row(&self, y: usize) -> bool {
        y.is_multiple_of(self.look)
    }

    /// Selects the pixels to sample from a row of `count` pixels. For each selected pixel, returns its index in the row
    /// and its column in the picture. The row may contain only every `step`-th pixel of the picture, from column
    /// `first` on.
    pub(super) fn wanted(
        &self,
        first: usize,
        step: usize,
        count: usize,
    ) -> impl Iterator<Item = (usize, usize)> + use<> {
        let look = self.look;
        let columns = (first..).step_by(step).take(count).enumerate();
        // In a whole row the sampled columns are evenly spaced, so no search is needed.
        let stride = if (first, step) == (0, 1) { look } else { 1 };
        columns.step_by(stride).filter(move |(_, x)| stride > 1 || x.is_multiple_of(look))
    }

    pub(super) fn add(&mut self, x: usize, y: usize, lab: [f32; 3]) {
        let [column, row] = [x, y].map(|at| at * GRID / self.longest);
        if let Some(cell) = self.cells.get_mut(row * GRID + column) {
            cell.count += 1.0;
            cell.lab.iter_mut().zip(lab).for_each(|(sum, value)| *sum += value);
        }
    }

    pub(super) fn finish(self) -> ColorStatistics {
        let mut statistics = ColorStatistics::default();
        for cell in self.cells.iter().filter(|cell| cell.count > 0.0) {
            statistics.add(cell.lab.map(|sum| sum / cell.count));
        }
        statistics
    }
}

/// Statistics of the colours (a\* and b\*) of an upload's cells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ColorStatistics {
    bins: [Moments; BINS],
}

/// Sums over cells of similar luminance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Moments {
    count: f64,
    a: f64,
    b: f64,
    a_a: f64,
    b_b: f64,
    a_b: f64,
}

impl ColorStatistics {
    /// Adds one cell.
    fn add(&mut self, [l, a, b]: [f32; 3]) {
        let bin = &mut self.bins[((l / 100.0 * BINS as f32) as usize).min(BINS - 1)];
        let (a, b) = (f64::from(a), f64::from(b));
        bin.count += 1.0;
        bin.a += a;
        bin.b += b;
        bin.a_a += a * a;
        bin.b_b += b * b;
        bin.a_b += a * b;
    }

    fn count(&self) -> f64 {
        self.bins.iter().map(|bin| bin.count).sum::<f64>().max(1.0)
    }

    /// Root mean square distance of the colours from grey, including the tint.
    pub fn mean_chroma(&self) -> f64 {
        let squares: f64 = self.bins.iter().map(|bin| bin.a_a + bin.b_b).sum();
        (squares / self.count()).sqrt()
    }

    /// Variances of a\* and b\* around the tint, and their covariance.
    fn around_tint(&self) -> [f64; 3] {
        let used = self.bins.iter().filter(|bin| bin.count > 0.0);
        let sums = used.fold([0.0; 3], |[a_a, b_b, a_b], bin| {
            [
                a_a + bin.a_a - bin.a * bin.a / bin.count,
                b_b + bin.b_b - bin.b * bin.b / bin.count,
                a_b + bin.a_b - bin.a * bin.b / bin.count,
            ]
        });
        sums.map(|sum| sum / self.count())
    }

    /// Root mean square distance of the colours from the picture's own tint.
    pub fn spread(&self) -> f64 {
        let [a_a, b_b, _] = self.around_tint();
        (a_a + b_b).max(0.0).sqrt()
    }

    /// Root mean square distance across the main direction: the square root of the smaller eigenvalue of the
    /// covariance matrix.
    pub fn spread_across(&self) -> f64 {
        let [a_a, b_b, a_b] = self.around_tint();
        let (middle, half) = ((a_a + b_b) / 2.0, (a_a - b_b) / 2.0);
        (middle - half.hypot(a_b)).max(0.0).sqrt()
    }

    /// Whether the colours vary more than toning, paper, stains and compression can cause.
    pub fn is_colored(&self) -> bool {
        self.spread() > COLORED || self.spread_across() > COLORED_ACROSS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Statistics of cells at every luminance, with the colour that `color` returns.
    fn of(color: impl Fn(f32, u32) -> [f32; 2]) -> ColorStatistics {
        let mut statistics = ColorStatistics::default();
        for i in 0..10_000_u32 {
            let l = (i % 100) as f32;
            let [a, b] = color(l, i.wrapping_mul(2_654_435_761) >> 8);
            statistics.add([l, a, b]);
        }
        statistics
    }

    /// A value from -1 to 1.
    fn noise(random: u32, shift: u32) -> f32 {
        (random >> shift & 0xFF) as f32 / 127.5 - 1.0
    }

    #[test]
    fn a_tint_is_not_color_however_strong() {
        for (name, statistics) in [
            ("grey", of(|_, _| [0.0, 0.0])),
            ("sepia", of(|l, _| [8.0 + l / 20.0, 25.0 - l / 10.0])),
            ("blue shadows, yellow lights", of(|l, _| [2.0, (l - 50.0) / 3.0])),
            ("cyanotype", of(|l, _| [-5.0, -50.0 + l / 3.0])),
            ("compressed sepia", of(|_, r| [10.0 + noise(r, 0) * 2.0, 20.0 + noise(r, 8) * 2.0])),
            (
                "stains of one hue",
                of(|_, r| [3.0 + noise(r, 0).max(0.0) * 6.0, 10.0 + noise(r, 0).max(0.0) * 16.0]),
            ),
        ] {
            assert!(
                !statistics.is_colored(),
                "{name}: {} {}",
                statistics.spread(),
                statistics.spread_across()
            );
        }
    }

    #[test]
    fn many_hues_are_color_even_when_they_are_pale() {
        let pale = of(|_, r| [noise(r, 0) * 6.0, noise(r, 8) * 6.0]);
        assert!(pale.is_colored() && pale.mean_chroma() < 8.0);
        // Sky and sand: two colours on one axis, but far apart.
        assert!(of(|_, r| if r & 1 == 0 { [0.0, -25.0] } else { [5.0, 20.0] }).is_colored());
    }

    #[test]
    fn grain_is_not_color_although_it_gives_every_pixel_a_color() {
        let mut sampler = ColorSampler::new(600, 400);
        for y in (0..400).filter(|y| y % 2 == 0) {
            assert!(sampler.wants_row(y));
            for (index, x) in sampler.wanted(0, 1, 600) {
                assert!(index == x && x % 2 == 0);
                let random = (y as u32 * 600 + x as u32).wrapping_mul(2_654_435_761) >> 8;
                sampler.add(x, y, [(x % 100) as f32, noise(random, 0) * 20.0, noise(random, 8) * 20.0]);
            }
        }
        assert!(!sampler.wants_row(1));
        let seen = sampler.finish();
        assert!(!seen.is_colored(), "{} {}", seen.spread(), seen.spread_across());
    }

    #[test]
    fn an_interlaced_row_is_sampled_at_the_same_columns_as_a_whole_row() {
        let sampler = ColorSampler::new(2000, 10);
        let whole: Vec<usize> = sampler.wanted(0, 1, 2000).map(|(_, x)| x).collect();
        assert_eq!(whole, (0..2000).step_by(4).collect::<Vec<_>>());
        for step in [2, 4, 8] {
            let mut parts: Vec<usize> = (0..step)
                .flat_map(|first| sampler.wanted(first, step, (2000 - first).div_ceil(step)))
                .map(|(_, x)| x)
                .collect();
            parts.sort_unstable();
            assert_eq!(parts, whole, "every {step}th");
        }
    }

    #[test]
    fn a_picture_without_samples_is_not_in_color() {
        let nothing = ColorStatistics::default();
        assert!(!nothing.is_colored() && nothing.mean_chroma().abs() < 1e-9);
    }
}
