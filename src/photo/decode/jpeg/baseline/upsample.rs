//! Enlarges the rows of chroma and converts them to RGB, with the same results as zune-jpeg.

/// Enlarges the rows of one component. A sample is three quarters of the nearest one and a quarter of the next one
/// (libjpeg's "triangle filter").
pub(super) struct Upsampler {
    /// Whether the component has half the picture's width, and half its height.
    halved: (bool, bool),
    /// A row at the picture's height, and one sample more at each side.
    row: Vec<u8>,
    out: Vec<u8>,
}

impl Upsampler {
    /// `width` is that of the component's rows.
    pub(super) fn new(halved: (bool, bool), width: usize) -> Self {
        Self { halved, row: vec![0; width + 2], out: vec![0; 2 * width] }
    }

    /// The samples for row `y` of the picture. `row` returns a row of the component, of which there are `height`.
    #[inline(always)]
    pub(super) fn row<'a>(
        &'a mut self,
        y: usize,
        height: usize,
        row: impl Fn(usize) -> &'a [u8],
    ) -> &'a [u8] {
        let (near, far) = match (self.halved.1, y % 2) {
            (false, _) => (y, y),
            (true, 0) => (y / 2, (y / 2).saturating_sub(1)),
            (true, _) => (y / 2, (y / 2 + 1).min(height - 1)),
        };
        if self.halved == (false, false) {
            return row(near);
        }
        let width = self.row.len() - 2;
        let middle = &mut self.row[1..=width];
        if self.halved.1 {
            for (out, (&near, &far)) in middle.iter_mut().zip(row(near).iter().zip(row(far))) {
                *out = mixed(near, far);
            }
        } else {
            middle.copy_from_slice(row(near));
        }
        if !self.halved.0 {
            return &self.row[1..=width];
        }
        self.row[0] = self.row[1];
        self.row[width + 1] = self.row[width];
        let (left, middle, right) = (&self.row[..width], &self.row[1..=width], &self.row[2..]);
        let out = self.out.as_chunks_mut::<2>().0;
        for (((out, &left), &middle), &right) in out.iter_mut().zip(left).zip(middle).zip(right) {
            *out = [mixed(middle, left), mixed(middle, right)];
        }
        &self.out
    }
}

#[inline(always)]
fn mixed(near: u8, far: u8) -> u8 {
    ((3 * u16::from(near) + u16::from(far) + 2) >> 2) as u8
}

/// Converts a row of Y, Cb and Cr to RGB (ITU T.871, 7) with 14 bits of fractions.
#[inline(always)]
pub(super) fn to_rgb(y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [[u8; 3]]) {
    const FRACTION: i32 = 14;
    const HALF: i32 = (1 << (FRACTION - 1)) - 1;
    for (((rgb, &y), &cb), &cr) in rgb.iter_mut().zip(y).zip(cb).zip(cr) {
        let [y, cb, cr] = [(i32::from(y) << FRACTION) + HALF, i32::from(cb) - 128, i32::from(cr) - 128];
        let red = (y + 22_970 * cr) >> FRACTION;
        let green = (y - 5_638 * cb - 11_700 * cr) >> FRACTION;
        let blue = (y + 29_032 * cb) >> FRACTION;
        *rgb = [red.clamp(0, 255) as u8, green.clamp(0, 255) as u8, blue.clamp(0, 255) as u8];
    }
}

/// Interleaves a row of red, green and blue.
pub(super) fn interleave(red: &[u8], green: &[u8], blue: &[u8], rgb: &mut [[u8; 3]]) {
    for (((rgb, &red), &green), &blue) in rgb.iter_mut().zip(red).zip(green).zip(blue) {
        *rgb = [red, green, blue];
    }
}
