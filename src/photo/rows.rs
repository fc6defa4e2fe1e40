//! Computes pictures row by row, when an encoder asks for the rows.

/// Writes row `y` of a picture as 8-bit sRGB: `(y, row)`. It is fast for consecutive rows.
pub(super) type RowFn<'a> = Box<dyn FnMut(usize, &mut [u8]) + 'a>;

/// A picture whose rows are computed on demand. Several threads can compute different rows at the same time.
pub(super) trait RowSource: Sync {
    /// Returns a function that computes rows for one thread. It owns what neighbouring rows share, such as buffers.
    fn rows(&self) -> RowFn<'_>;
}

/// A picture whose rows share nothing.
impl<F: Fn(usize, &mut [u8]) + Sync> RowSource for F {
    fn rows(&self) -> RowFn<'_> {
        Box::new(self)
    }
}
