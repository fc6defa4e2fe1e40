//! Bilinear enlargement to twice the size, with half-pixel centres.

use std::ops::Range;

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp};

use super::Place;

/// Writes the rows `rows` of the enlarged map. Each is a mean of a near row (weight 3/4) and a far one (1/4), and so is
/// each column. Beyond the edges the outermost row or column continues.
pub struct Double<'a> {
    pub input: &'a [f32],
    /// Height and width of the input.
    pub size: [usize; 2],
    /// Floats of a pixel.
    pub pitch: usize,
    /// Rows of the output.
    pub rows: Range<usize>,
    pub output: &'a mut [f32],
    /// Where the pixels of `rows` are.
    pub place: Place,
    /// Whether to add to the output.
    pub add: bool,
    /// Memory for one row of the input.
    pub row: &'a mut Vec<f32>,
}

impl SimdOp for Double<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let [height, width] = self.size;
        let length = width * self.pitch;
        self.row.resize(length, 0.0);
        for (y, out) in self.rows.clone().enumerate() {
            let (near, far) = near_and_far(out, height);
            let (near, far) = (&self.input[near * length..][..length], &self.input[far * length..][..length]);
            mean::<I, false>(isa, near, far, self.row);
            for x in 0..2 * width {
                let (near, far) = near_and_far(x, width);
                let pixel = |x: usize| &self.row[x * self.pitch..][..self.pitch];
                let to = self.place.at(y * 2 * width + x);
                let output = &mut self.output[to..][..self.pitch];
                match self.add {
                    true => mean::<I, true>(isa, pixel(near), pixel(far), output),
                    false => mean::<I, false>(isa, pixel(near), pixel(far), output),
                }
            }
        }
    }
}

/// The two input positions that an output position lies between.
#[inline(always)]
fn near_and_far(position: usize, length: usize) -> (usize, usize) {
    let near = position / 2;
    let far = if position.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(length - 1) };
    (near, far)
}

/// `output (+)= 3/4 near + 1/4 far`, for a whole number of vectors.
#[inline(always)]
fn mean<I: Isa, const ADD: bool>(isa: I, near: &[f32], far: &[f32], output: &mut [f32]) {
    let ops = isa.f32();
    let lanes = ops.len();
    let (three, one) = (ops.splat(0.75), ops.splat(0.25));
    let inputs = near.chunks_exact(lanes).zip(far.chunks_exact(lanes));
    for (output, (near, far)) in output.chunks_exact_mut(lanes).zip(inputs) {
        let mut value = ops.mul_add(ops.load(far), one, ops.mul(ops.load(near), three));
        if ADD {
            value = ops.add(value, ops.load(output));
        }
        ops.store(value, output);
    }
}
