//! The inner loops, over `rten-simd`: safe code that is compiled for each instruction set and chosen when it runs.
//!
//! Maps are NHWC: the channels of a pixel lie next to each other. A pixel takes a whole number of vectors (its pitch);
//! the values after the last channel are finite and multiplied by nothing.

mod copy;
mod depthwise;
mod gemm;
mod resize;
mod softmax;
mod stem;

pub use copy::{CopyPixels, Finish};
pub use depthwise::Depthwise;
pub use gemm::{Gemm, Term, pack};
pub use resize::Double;
pub use softmax::Softmax;
pub use stem::Stem;

use rten_simd::ops::BitOps;
use rten_simd::{Isa, SimdOp};

use crate::graph::Clamp;

/// The instruction set that runs the kernels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// The best that this processor has.
    Detected,
    /// AVX2 and FMA, even if the processor has AVX-512. Slow, because vector operations are not inlined.
    #[cfg(all(test, target_arch = "x86_64"))]
    Avx2,
    /// Plain code without fused multiply-add, as on an x86-64 processor without AVX2.
    #[cfg(test)]
    Generic,
}

impl Target {
    pub fn run<O: SimdOp>(self, op: O) -> O::Output {
        match self {
            Target::Detected => op.dispatch(),
            #[cfg(all(test, target_arch = "x86_64"))]
            Target::Avx2 => match rten_simd::isa::Avx2Isa::new() {
                Some(isa) => op.eval(isa),
                None => op.dispatch(),
            },
            #[cfg(test)]
            Target::Generic => op.eval(rten_simd::isa::GenericIsa::new()),
        }
    }
}

/// How weights are packed and maps are laid out. Depends on the instruction set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Floats in a vector.
    pub lanes: usize,
    /// Whether there are 32 vector registers and not 16.
    pub many_registers: bool,
}

impl Shape {
    pub fn of(target: Target) -> Self {
        let lanes = target.run(Lanes);
        Self { lanes, many_registers: lanes > 8 || cfg!(target_arch = "aarch64") }
    }

    /// The number of floats that a pixel of this many channels takes.
    pub fn pitch(self, channels: usize) -> usize {
        channels.next_multiple_of(self.lanes)
    }
}

struct Lanes;

impl SimdOp for Lanes {
    type Output = usize;

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) -> usize {
        isa.f32().len()
    }
}

/// Where the pixels of some rows are in a buffer: pixel `i` begins at `start + i / width * row + i % width * pixel`.
#[derive(Clone, Copy)]
pub struct Place {
    pub width: usize,
    pub row: usize,
    pub pixel: usize,
    pub start: usize,
}

impl Place {
    /// Pixels one after another.
    pub fn dense(width: usize, pixel: usize) -> Self {
        Self { width, row: width * pixel, pixel, start: 0 }
    }

    #[inline(always)]
    fn at(&self, index: usize) -> usize {
        self.start + index / self.width * self.row + index % self.width * self.pixel
    }
}

/// Limits a vector to a clamp's range.
#[derive(Clone, Copy)]
struct Limits<V>(V, V);

impl<V: Copy> Limits<V> {
    #[inline(always)]
    fn new(ops: impl BitOps<f32, Simd = V>, clamp: Clamp) -> Self {
        Self(ops.splat(clamp.low), ops.splat(clamp.high))
    }

    #[inline(always)]
    fn apply(self, ops: impl rten_simd::ops::NumOps<f32, Simd = V>, value: V) -> V {
        ops.min(ops.max(value, self.0), self.1)
    }
}
