//! The 1x1 convolution: a matrix product of pixels and weights.

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp};

use super::{Limits, Place, Shape};
use crate::graph::Clamp;

/// `output = clamp(sum of input x weights + bias)` for `pixels` pixels, with what is in `output` before, if `add`.
pub struct Gemm<'a> {
    pub terms: &'a [Term<'a>],
    pub pixels: usize,
    /// One value for each float of an output pixel, so a whole number of vectors.
    pub bias: &'a [f32],
    pub output: &'a mut [f32],
    pub place: Place,
    pub add: bool,
    pub clamp: Clamp,
    pub shape: Shape,
}

/// One product of the sum.
pub struct Term<'a> {
    pub input: &'a [f32],
    /// Floats from one pixel of the input to the next.
    pub pitch: usize,
    /// Channels of the input.
    pub depth: usize,
    /// From [`pack`].
    pub weights: &'a [f32],
}

/// The number of vectors of output channels that are computed at once, if `left` are left. Three need 24 of 32
/// registers for the sums of eight pixels, two need 12 of 16 for six pixels.
fn panel(left: usize, shape: Shape) -> usize {
    match (left, shape.many_registers) {
        // Two and two are faster than three and one.
        (4, true) => 2,
        (left, true) => left.min(3),
        (left, false) => left.min(2),
    }
}

/// Reorders weights (a row of `depth` values for each output channel) to the order in which [`Gemm`] reads them: panels
/// of output channels, in each panel the weights of one input channel after another.
pub fn pack(weights: &[f32], depth: usize, outputs: usize, shape: Shape) -> Vec<f32> {
    let width = shape.pitch(outputs);
    let mut packed = Vec::with_capacity(width * depth);
    let mut first = 0;
    while first < width {
        let end = first + panel((width - first) / shape.lanes, shape) * shape.lanes;
        for input in 0..depth {
            packed.extend((first..end).map(|output| match output < outputs {
                true => weights[output * depth + input],
                false => 0.0,
            }));
        }
        first = end;
    }
    packed
}

impl SimdOp for Gemm<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(mut self, isa: I) {
        let lanes = isa.f32().len();
        let mut first = 0;
        while first < self.bias.len() {
            let vectors = panel((self.bias.len() - first) / lanes, self.shape);
            match vectors {
                1 => self.panel::<I, 1>(isa, first),
                2 => self.panel::<I, 2>(isa, first),
                _ => self.panel::<I, 3>(isa, first),
            }
            first += vectors * lanes;
        }
    }
}

impl Gemm<'_> {
    #[inline(always)]
    fn panel<I: Isa, const V: usize>(&mut self, isa: I, first: usize) {
        let mut pixel = 0;
        if self.shape.many_registers {
            pixel = self.tiles::<I, 8, V>(isa, first, pixel);
        } else if V < 3 {
            pixel = self.tiles::<I, 6, V>(isa, first, pixel);
        }
        pixel = self.tiles::<I, 4, V>(isa, first, pixel);
        pixel = self.tiles::<I, 2, V>(isa, first, pixel);
        self.tiles::<I, 1, V>(isa, first, pixel);
    }

    /// Computes tiles of `R` pixels from `pixel` on; returns the pixel after the last.
    #[inline(always)]
    fn tiles<I: Isa, const R: usize, const V: usize>(
        &mut self,
        isa: I,
        first: usize,
        mut pixel: usize,
    ) -> usize {
        while pixel + R <= self.pixels {
            self.tile::<I, R, V>(isa, first, pixel);
            pixel += R;
        }
        pixel
    }

    #[inline(always)]
    fn tile<I: Isa, const R: usize, const V: usize>(&mut self, isa: I, first: usize, pixel: usize) {
        let ops = isa.f32();
        let lanes = ops.len();
        let mut sums = [[ops.zero(); V]; R];
        for term in self.terms {
            let depth = term.depth;
            let rows: [&[f32]; R] = std::array::from_fn(|r| &term.input[(pixel + r) * term.pitch..][..depth]);
            let weights = &term.weights[first * depth..][..V * lanes * depth];
            for (i, weights) in weights.chunks_exact(V * lanes).enumerate() {
                let vectors: [_; V] = std::array::from_fn(|v| ops.load(&weights[v * lanes..]));
                for r in 0..R {
                    let value = ops.splat(rows[r][i]);
                    for v in 0..V {
                        sums[r][v] = ops.mul_add(value, vectors[v], sums[r][v]);
                    }
                }
            }
        }
        let bias: [_; V] = std::array::from_fn(|v| ops.load(&self.bias[first + v * lanes..]));
        let limits = Limits::new(ops, self.clamp);
        for r in 0..R {
            let output = &mut self.output[self.place.at(pixel + r) + first..][..V * lanes];
            for v in 0..V {
                let mut value = ops.add(sums[r][v], bias[v]);
                if self.add {
                    value = ops.add(value, ops.load(&output[v * lanes..]));
                }
                ops.store(limits.apply(ops, value), &mut output[v * lanes..]);
            }
        }
    }
}
