//! Noticing that an upload is coloured already. One tint over the whole picture is not colour:
//! sepia, yellowed paper and toned prints have one hue for each luminance, and photographs in
//! colour have many.

/// Bins of luminance; within one a toned print has one chroma.
const BINS: usize = 16;

/// Chroma of a sample of an upload's pixels, gathered while it is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ColourStatistics {
    bins: [Bin; BINS],
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bin {
    count: f64,
    a: f64,
    b: f64,
    squares: f64,
}

/// Root mean square distance of a\* and b\* from the tint above which a picture is coloured.
const COLOURED: f64 = 5.0;

impl ColourStatistics {
    /// Counts one pixel.
    pub(super) fn add(&mut self, [l, a, b]: [f32; 3]) {
        let bin = &mut self.bins[((l / 100.0 * BINS as f32) as usize).min(BINS - 1)];
        let (a, b) = (f64::from(a), f64::from(b));
        bin.count += 1.0;
        bin.a += a;
        bin.b += b;
        bin.squares += a * a + b * b;
    }

    /// Mean chroma, sqrt(a*^2 + b*^2), tint included.
    pub fn mean_chroma(&self) -> f64 {
        let count: f64 = self.bins.iter().map(|bin| bin.count).sum();
        let squares: f64 = self.bins.iter().map(|bin| bin.squares).sum();
        if count > 0.0 { (squares / count).sqrt() } else { 0.0 }
    }

    /// How far colours lie from the picture's own tint: the root mean square distance of (a\*, b\*)
    /// from the mean of pixels of similar luminance.
    pub fn spread(&self) -> f64 {
        let count: f64 = self.bins.iter().map(|bin| bin.count).sum();
        let around: f64 = self
            .bins
            .iter()
            .filter(|bin| bin.count > 0.0)
            .map(|bin| bin.squares - (bin.a * bin.a + bin.b * bin.b) / bin.count)
            .sum();
        if count > 0.0 { (around.max(0.0) / count).sqrt() } else { 0.0 }
    }

    /// Whether the spread is more than toning, paper and JPEG make.
    pub fn is_coloured(&self) -> bool {
        self.spread() > COLOURED
    }
}
