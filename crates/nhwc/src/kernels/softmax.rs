//! Softmax over the channels of each pixel.

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, Simd, SimdOp, SimdUnaryOp};
use rten_vecmath::Exp;

/// Replaces pixels of `pitch` floats, of which the first `channels` count.
pub struct Softmax<'a> {
    pub pixels: &'a mut [f32],
    pub pitch: usize,
    pub channels: usize,
}

impl SimdOp for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        for pixel in self.pixels.chunks_exact_mut(self.pitch) {
            softmax(isa, pixel, self.channels);
        }
    }
}

#[inline(always)]
fn softmax<I: Isa>(isa: I, pixel: &mut [f32], channels: usize) {
    let ops = isa.f32();
    let lanes = ops.len();
    let lowest = ops.splat(f32::NEG_INFINITY);
    // The part of a vector that holds channels; the rest becomes `other`.
    let used = |value, other, first: usize| match channels - first {
        left if left >= lanes => value,
        left => ops.select(value, other, ops.first_n_mask(left)),
    };
    let mut most = lowest;
    for first in (0..channels).step_by(lanes) {
        most = ops.max(most, used(ops.load(&pixel[first..]), lowest, first));
    }
    let most = ops.fold_splat(most, f32::NEG_INFINITY, f32::max);
    let mut sum = ops.zero();
    for first in (0..channels).step_by(lanes) {
        let power = Exp {}.eval(isa, ops.sub(ops.load(&pixel[first..]), most));
        let power = used(power, ops.zero(), first);
        sum = ops.add(sum, power);
        ops.store(power, &mut pixel[first..]);
    }
    let sum: f32 = sum.to_array().as_ref().iter().sum();
    let factor = ops.splat(1.0 / sum);
    for values in pixel.chunks_exact_mut(lanes) {
        ops.store(ops.mul(ops.load(values), factor), values);
    }
}
