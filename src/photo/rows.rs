//! Computes pictures row by row, when an encoder asks for the rows.

/// Writes row `y` of a picture as sRGB of 8 bits (`u8`) or 16 bits (`u16`): `(y, row)`. It is fast for consecutive
/// rows.
pub(super) type RowFn<'a, T = u8> = Box<dyn FnMut(usize, &mut [T]) + 'a>;

/// A picture whose rows are computed on demand. Several threads can compute different rows at the same time.
pub(super) trait RowSource: Sync {
    /// Returns a function that computes rows for one thread. It owns what neighbouring rows share, such as buffers.
    fn rows(&self) -> RowFn<'_>;

    /// As [`Self::rows`], with 16 bits per sample. A picture that has no more than 8 bits is widened.
    fn wide_rows(&self) -> RowFn<'_, u16> {
        let (mut rows, mut narrow) = (self.rows(), Vec::new());
        Box::new(move |y, row| {
            narrow.resize(row.len(), 0);
            rows(y, &mut narrow);
            row.iter_mut().zip(&narrow).for_each(|(wide, &code)| *wide = u16::from(code) * 257);
        })
    }
}

/// A picture whose rows share nothing.
impl<F: Fn(usize, &mut [u8]) + Sync> RowSource for F {
    fn rows(&self) -> RowFn<'_> {
        Box::new(self)
    }
}
