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
