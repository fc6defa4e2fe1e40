//! The depthwise convolution: each channel has its own kernel.

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp};

use super::{Limits, Shape, Target};
use crate::graph::Clamp;

/// Weights, one value for each float of a pixel, for each row and column of the kernel.
pub struct Depthwise {
    pub kernel: usize,
    pub stride: usize,
    pub clamp: Clamp,
    pitch: usize,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Depthwise {
    /// `weights` has a row of `kernel * kernel` values for each of the channels.
    pub fn new(
        kernel: usize,
        stride: usize,
        weights: &[f32],
        bias: &[f32],
        clamp: Clamp,
        shape: Shape,
    ) -> Self {
        let (pitch, taps) = (shape.pitch(bias.len()), kernel * kernel);
        let mut packed = vec![0.0; taps * pitch];
        for (channel, row) in weights.chunks_exact(taps).enumerate() {
            for (tap, weight) in row.iter().enumerate() {
                packed[tap * pitch + channel] = *weight;
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(pitch, 0.0);
        Self { kernel, stride, clamp, pitch, weights: packed, bias }
    }

    /// Floats of a pixel.
    pub fn pitch(&self) -> usize {
        self.pitch
    }

    /// Computes rows of `width` pixels. `input` has the padded rows that they need, of `padded_width` pixels.
    pub fn run(&self, target: Target, input: &[f32], padded_width: usize, output: &mut [f32], width: usize) {
        macro_rules! run {
            ($kernel:literal, $stride:literal) => {
                target.run(DepthwiseOp::<$kernel, $stride> {
                    parts: self,
                    input,
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

pub struct DepthwiseOp<'a, const K: usize, const S: usize> {
    parts: &'a Depthwise,
    input: &'a [f32],
    padded_width: usize,
    output: &'a mut [f32],
    width: usize,
}

/// Pixels that are computed at once.
const TILE: usize = 4;

impl<const K: usize, const S: usize> SimdOp for DepthwiseOp<'_, K, S> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let lanes = isa.f32().len();
        let (pitch, width) = (self.parts.pitch, self.width);
        for (y, output) in self.output.chunks_exact_mut(width * pitch).enumerate() {
            let rows: [&[f32]; K] = std::array::from_fn(|ky| {
                &self.input[(y * S + ky) * self.padded_width * pitch..][..self.padded_width * pitch]
            });
            for channel in (0..pitch).step_by(lanes) {
                row::<I, K, S>(isa, self.parts, &rows, output, width, channel);
            }
        }
    }
}

/// One vector of channels of one row.
#[inline(always)]
fn row<I: Isa, const K: usize, const S: usize>(
    isa: I,
    parts: &Depthwise,
    rows: &[&[f32]; K],
    output: &mut [f32],
    width: usize,
    channel: usize,
) {
    let ops = isa.f32();
    let pitch = parts.pitch;
    let weights: [[_; K]; K] = std::array::from_fn(|ky| {
        std::array::from_fn(|kx| ops.load(&parts.weights[(ky * K + kx) * pitch + channel..]))
    });
    let bias = ops.load(&parts.bias[channel..]);
    let limits = Limits::new(ops, parts.clamp);
    let mut x = 0;
    while x < width && width >= TILE {
        // The last tile overlaps the one before it.
        x = x.min(width - TILE);
        let mut sums = [bias; TILE];
        for ky in 0..K {
            let row = &rows[ky][x * S * pitch + channel..];
            for i in 0..(TILE - 1) * S + K {
                let value = ops.load(&row[i * pitch..]);
                for j in 0..TILE {
                    if i >= j * S && i - j * S < K {
                        sums[j] = ops.mul_add(value, weights[ky][i - j * S], sums[j]);
                    }
                }
            }
        }
        for j in 0..TILE {
            ops.store(limits.apply(ops, sums[j]), &mut output[(x + j) * pitch + channel..]);
        }
        x += TILE;
    }
    while x < width {
        let mut sum = bias;
        for ky in 0..K {
            let row = &rows[ky][x * S * pitch + channel..];
            for kx in 0..K {
                sum = ops.mul_add(ops.load(&row[kx * pitch..]), weights[ky][kx], sum);
            }
        }
        ops.store(limits.apply(ops, sum), &mut output[x * pitch + channel..]);
        x += 1;
    }
}
