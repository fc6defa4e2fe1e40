//! Copies and sums of maps, and the end of a sum that has no product.

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp};

use super::{Limits, Place};
use crate::graph::Clamp;

/// Copies pixels, or adds them to the output.
pub struct CopyPixels<'a> {
    pub input: &'a [f32],
    /// Floats of a pixel.
    pub pitch: usize,
    pub output: &'a mut [f32],
    pub place: Place,
    pub add: bool,
}

impl SimdOp for CopyPixels<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let ops = isa.f32();
        let lanes = ops.len();
        for (i, input) in self.input.chunks_exact(self.pitch).enumerate() {
            let output = &mut self.output[self.place.at(i)..][..self.pitch];
            if !self.add {
                output.copy_from_slice(input);
                continue;
            }
            for (output, input) in output.chunks_exact_mut(lanes).zip(input.chunks_exact(lanes)) {
                ops.store(ops.add(ops.load(output), ops.load(input)), output);
            }
        }
    }
}

/// Adds a bias to pixels and limits them.
pub struct Finish<'a> {
    pub pixels: usize,
    /// One value for each float of a pixel.
    pub bias: &'a [f32],
    pub output: &'a mut [f32],
    pub place: Place,
    pub clamp: Clamp,
}

impl SimdOp for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let ops = isa.f32();
        let lanes = ops.len();
        let limits = Limits::new(ops, self.clamp);
        for i in 0..self.pixels {
            let output = &mut self.output[self.place.at(i)..][..self.bias.len()];
            for (output, bias) in output.chunks_exact_mut(lanes).zip(self.bias.chunks_exact(lanes)) {
                ops.store(limits.apply(ops, ops.add(ops.load(output), ops.load(bias))), output);
            }
        }
    }
}
