//! The full convolution of the network's input, which is the only one that reads planes and not pixels.

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp};

use super::{Limits, Shape, Target};
use crate::graph::Clamp;

/// Weights, one value for each float of an output pixel, for each plane, row and column of the kernel.
pub struct Stem {
    pub kernel: usize,
    pub stride: usize,
    pub clamp: Clamp,
    planes: usize,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Stem {
    /// `weights` has a row of `planes * kernel * kernel` values for each output channel.
    pub fn new(
        kernel: usize,
        stride: usize,
        weights: &[f32],
        bias: &[f32],
        clamp: Clamp,
        shape: Shape,
    ) -> Self {
        let (pitch, taps) = (shape.pitch(bias.len()), weights.len() / bias.len().max(1));
        let mut packed = vec![0.0; taps * pitch];
        for (channel, row) in weights.chunks_exact(taps.max(1)).enumerate() {
            for (tap, weight) in row.iter().enumerate() {
                packed[tap * pitch + channel] = *weight;
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(pitch, 0.0);
        Self { kernel, stride, clamp, planes: taps / (kernel * kernel), weights: packed, bias }
    }

    /// `input` has padded planes of `padded_height` rows of `padded_width` values; `output` has rows of `width` pixels.
    pub fn run(
        &self,
        target: Target,
        input: &[f32],
        [padded_height, padded_width]: [usize; 2],
        output: &mut [f32],
        width: usize,
    ) {
        let plane = padded_height * padded_width;
        macro_rules! run {
            ($kernel:literal, $stride:literal) => {
                target.run(StemOp::<$kernel, $stride> {
                    parts: self,
                    input,
                    plane,
                    padded_width,
                    output,
                    width,
                })
            };
        }
        match (self.kernel, self.stride) {
            (3, 1) => run!(3, 1),
            (3, 2) => run!(3, 2),
            (5, 1) => run!(5, 1),
            _ => run!(5, 2),
        }
    }
}

pub struct StemOp<'a, const K: usize, const S: usize> {
    parts: &'a Stem,
    input: &'a [f32],
    /// Values of one padded plane.
    plane: usize,
    padded_width: usize,
    output: &'a mut [f32],
    width: usize,
}

/// Pixels that are computed at once.
const TILE: usize = 4;

impl<const K: usize, const S: usize> SimdOp for StemOp<'_, K, S> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(mut self, isa: I) {
        let lanes = isa.f32().len();
        let pitch = self.parts.bias.len();
        let rows = self.output.len() / (self.width * pitch);
        for y in 0..rows {
            for channel in (0..pitch).step_by(lanes) {
                let mut x = 0;
                while x + TILE <= self.width {
                    self.tile::<I, TILE>(isa, y, x, channel);
                    x += TILE;
                }
                while x < self.width {
                    self.tile::<I, 1>(isa, y, x, channel);
                    x += 1;
                }
            }
        }
    }
}

impl<const K: usize, const S: usize> StemOp<'_, K, S> {
    #[inline(always)]
    fn tile<I: Isa, const T: usize>(&mut self, isa: I, y: usize, x: usize, channel: usize) {
        let ops = isa.f32();
        let pitch = self.parts.bias.len();
        let mut sums = [ops.load(&self.parts.bias[channel..]); T];
        for plane in 0..self.parts.planes {
            for ky in 0..K {
                let from = plane * self.plane + (y * S + ky) * self.padded_width + x * S;
                let row = &self.input[from..][..(T - 1) * S + K];
                for kx in 0..K {
                    let tap = (plane * K + ky) * K + kx;
                    let weight = ops.load(&self.parts.weights[tap * pitch + channel..]);
                    for t in 0..T {
                        sums[t] = ops.mul_add(ops.splat(row[t * S + kx]), weight, sums[t]);
                    }
                }
            }
        }
        let limits = Limits::new(ops, self.parts.clamp);
        for t in 0..T {
            let to = (y * self.width + x + t) * pitch + channel;
            ops.store(limits.apply(ops, sums[t]), &mut self.output[to..]);
        }
    }
}
