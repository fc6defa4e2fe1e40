//! Compiles loops for wider vector instructions than the build's target has, and chooses at run time.

use rten_simd::{Isa, SimdOp};

/// Runs `work`, which is compiled several times: for the build's own target, and on x86-64 also for AVX2 and AVX-512.
/// The compiler vectorises its loops with the best of them that this processor has.
///
/// Results are equal on every processor, because no version fuses multiplications and additions. `work` and the
/// functions that it calls must be marked `#[inline(always)]`: a function that is not inlined is compiled only for the
/// build's own target.
#[inline]
pub(super) fn vectorized<T>(work: impl FnOnce() -> T) -> T {
    Work(work).dispatch()
}

struct Work<F>(F);

impl<T, F: FnOnce() -> T> SimdOp for Work<F> {
    type Output = T;

    #[inline(always)]
    fn eval<I: Isa>(self, _: I) -> T {
        (self.0)()
    }
}

/// 1.5 x 2^23. The sum with a number of small magnitude has no bits for a fraction, so it is rounded, and the number is
/// in its low bits. `f32::round` would be a function call.
pub(super) const ROUND: f32 = 12_582_912.0;

/// Numbers that are computed together: a vector register of AVX2.
pub(super) const LANES: usize = 8;
pub(super) type Lanes = [f32; LANES];

/// Eight rows of eight values.
pub(super) type Eight<T> = [[T; 8]; 8];

/// Exchanges rows and columns.
#[inline(always)]
pub(super) fn transposed<T: Copy>(rows: &Eight<T>) -> Eight<T> {
    // Each round interleaves the rows i and i + 4, for which there are vector instructions.
    #[inline(always)]
    fn round<T: Copy>(rows: &Eight<T>) -> Eight<T> {
        let mut out = *rows;
        for i in 0..4 {
            let [one, other] = [&rows[i], &rows[i + 4]];
            out[2 * i] = std::array::from_fn(|j| if j % 2 == 0 { one[j / 2] } else { other[j / 2] });
            out[2 * i + 1] =
                std::array::from_fn(|j| if j % 2 == 0 { one[4 + j / 2] } else { other[4 + j / 2] });
        }
        out
    }
    round(&round(&round(rows)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let rows: Eight<u8> = std::array::from_fn(|y| std::array::from_fn(|x| (10 * y + x) as u8));
        let columns: Eight<u8> = std::array::from_fn(|y| std::array::from_fn(|x| (10 * x + y) as u8));
        assert_eq!(transposed(&rows), columns);
    }
}
