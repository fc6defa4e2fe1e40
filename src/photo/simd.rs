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

/// Eight rows of eight numbers.
pub(super) type Eight = [[f32; 8]; 8];

/// Exchanges rows and columns.
#[inline(always)]
pub(super) fn transposed(rows: &Eight) -> Eight {
    // Each round interleaves the rows i and i + 4, for which there are vector instructions.
    #[inline(always)]
    fn round(rows: &Eight) -> Eight {
        let mut out = [[0.0; 8]; 8];
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
        let rows: Eight = std::array::from_fn(|y| std::array::from_fn(|x| (10 * y + x) as f32));
        let columns: Eight = std::array::from_fn(|y| std::array::from_fn(|x| (10 * x + y) as f32));
        assert_eq!(transposed(&rows), columns);
    }
}
