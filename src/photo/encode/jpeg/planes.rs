//! Rows of RGB become planes of Y', Cb and Cr.

use super::{Layout, Sampling};
use crate::photo::rows::RowFn;
use crate::photo::simd::{Eight, ROUND, vectorized};

/// The planes of one row of MCUs.
pub(super) struct Planes {
    layout: Layout,
    /// Y', Cb and Cr, or one plane for a grey picture.
    planes: Vec<Plane>,
    /// A row as its source writes it.
    row: Vec<u8>,
    /// Two consecutive rows.
    channels: [[Vec<u8>; 3]; 2],
    /// Sums of red, green and blue over two by two pixels.
    sums: [Vec<u16>; 3],
}

/// Samples of a component in one row of MCUs.
pub(super) struct Plane {
    samples: Vec<u8>,
    /// Samples in a row: whole MCUs.
    width: usize,
    /// The sampling factor: an MCU has this many blocks side by side, and as many rows of them.
    pub(super) factor: usize,
}

impl Plane {
    fn new(mcus: usize, factor: usize) -> Self {
        let width = mcus * factor * 8;
        Self { samples: vec![0; width * factor * 8], width, factor }
    }

    #[inline(always)]
    fn row(&mut self, y: usize) -> &mut [u8] {
        &mut self.samples[y * self.width..][..self.width]
    }

    /// Repeats the last of `rows` rows, at least one, below.
    fn repeat_last(&mut self, rows: usize) {
        let last = (rows - 1) * self.width..rows * self.width;
        for y in rows..self.factor * 8 {
            self.samples.copy_within(last.clone(), y * self.width);
        }
    }

    /// The block in a column and row of blocks, with samples around zero.
    #[inline(always)]
    pub(super) fn block(&self, column: usize, row: usize) -> Eight<f32> {
        let (x, y) = (column * 8, row * 8);
        let mut values = [[0.0; 8]; 8];
        for (i, values) in values.iter_mut().enumerate() {
            let samples = &self.samples[(y + i) * self.width + x..][..8];
            for (value, &sample) in values.iter_mut().zip(samples) {
                *value = f32::from(i16::from(sample) - 128);
            }
        }
        values
    }
}

impl Planes {
    pub(super) fn new(layout: Layout) -> Self {
        let factors: &[usize] = match layout.sampling {
            Sampling::Gray => &[1],
            Sampling::Full => &[1, 1, 1],
            Sampling::Half => &[2, 1, 1],
        };
        let color = layout.sampling != Sampling::Gray;
        let wide = if color { layout.mcus() * layout.mcu_side() } else { 0 };
        let sums = if layout.sampling == Sampling::Half { wide / 2 } else { 0 };
        let channels = || [(); 3].map(|()| vec![0; wide]);
        Self {
            layout,
            planes: factors.iter().map(|&factor| Plane::new(layout.mcus(), factor)).collect(),
            row: vec![0; layout.width() * if color { 3 } else { 1 }],
            channels: [channels(), channels()],
            sums: [(); 3].map(|()| vec![0; sums]),
        }
    }

    #[inline(always)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Plane> {
        self.planes.iter()
    }

    /// Computes a row of MCUs. Beyond the picture its last column and row are repeated.
    pub(super) fn fill(&mut self, mcu_row: usize, rows: &mut RowFn<'_>) {
        let top = mcu_row * self.layout.mcu_side();
        let count = self.layout.mcu_side().min(self.layout.height() - top);
        // Chroma at half size is computed for two rows at a time.
        let step = if self.layout.sampling == Sampling::Half { 2 } else { 1 };
        for y in (0..count).step_by(step) {
            for i in 0..step {
                // Below an odd height the last row is taken twice.
                if y + i < count {
                    rows(top + y + i, &mut self.row);
                }
                self.take_row(y, i);
            }
            self.convert(y);
        }
        for plane in &mut self.planes {
            let rows = if plane.factor * 8 < self.layout.mcu_side() { count.div_ceil(2) } else { count };
            plane.repeat_last(rows);
        }
    }

    /// Takes `row` as row `y + i`.
    fn take_row(&mut self, y: usize, i: usize) {
        let width = self.layout.width();
        match (&mut self.planes[..], self.layout.sampling) {
            ([gray], Sampling::Gray) => {
                let gray = gray.row(y);
                gray[..width].copy_from_slice(&self.row);
                repeat_last(gray, width);
            }
            _ => vectorized(
                #[inline(always)]
                || split(&self.row, &mut self.channels[i]),
            ),
        }
    }

    /// Computes luma and chroma of the rows in `channels`; `y` is the place of the first one.
    fn convert(&mut self, y: usize) {
        let [luma, blue, red] = &mut self.planes[..] else { return };
        let half = self.layout.sampling == Sampling::Half;
        vectorized(
            #[inline(always)]
            || {
                let [upper, lower] = &self.channels;
                write_luma(luma.row(y), upper);
                if half {
                    write_luma(luma.row(y + 1), lower);
                    for ((sums, upper), lower) in self.sums.iter_mut().zip(upper).zip(lower) {
                        let pairs = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
                        for (sum, (&[a, b], &[c, d])) in sums.iter_mut().zip(pairs) {
                            *sum = u16::from(a) + u16::from(b) + u16::from(c) + u16::from(d);
                        }
                    }
                    write_chroma(blue.row(y / 2), red.row(y / 2), &self.sums, 0.25);
                } else {
                    write_chroma(blue.row(y), red.row(y), upper, 1.0);
                }
            },
        );
    }
}

/// Repeats the last of `width` values, at least one, to the right.
#[inline(always)]
fn repeat_last(row: &mut [u8], width: usize) {
    let last = row[width - 1];
    row[width..].fill(last);
}

/// Splits pixels into red, green and blue.
#[inline(always)]
fn split(row: &[u8], [red, green, blue]: &mut [Vec<u8>; 3]) {
    let pixels = row.as_chunks::<3>().0;
    for (((r, g), b), &pixel) in red.iter_mut().zip(&mut *green).zip(&mut *blue).zip(pixels) {
        [*r, *g, *b] = pixel;
    }
    for channel in [red, green, blue] {
        repeat_last(channel, pixels.len());
    }
}

/// Y' of JFIF, which is that of ITU-R BT.601 with the range 0 to 255.
#[inline(always)]
fn write_luma(out: &mut [u8], [red, green, blue]: &[Vec<u8>; 3]) {
    for (((luma, &r), &g), &b) in out.iter_mut().zip(red).zip(green).zip(blue) {
        let [r, g, b] = [r, g, b].map(f32::from);
        *luma = (0.299 * r + 0.587 * g + 0.114 * b + ROUND).to_bits() as u8;
    }
}

/// Cb and Cr of JFIF, of channels multiplied by `scale`.
#[inline(always)]
fn write_chroma<T: Copy + Into<f32>>(
    blue_out: &mut [u8],
    red_out: &mut [u8],
    [red, green, blue]: &[Vec<T>; 3],
    scale: f32,
) {
    // The code of grey is 128. It is a little less here, so that pure blue and pure red, at 255.5, become 255 and not
    // 256, which would wrap to 0.
    const GRAY: f32 = 127.998;
    let outputs = blue_out.iter_mut().zip(red_out);
    for ((((cb, cr), &r), &g), &b) in outputs.zip(red).zip(green).zip(blue) {
        let [r, g, b]: [f32; 3] = [r.into(), g.into(), b.into()];
        *cb =
            (-0.168_736 * scale * r - 0.331_264 * scale * g + 0.5 * scale * b + GRAY + ROUND).to_bits() as u8;
        *cr =
            (0.5 * scale * r - 0.418_688 * scale * g - 0.081_312 * scale * b + GRAY + ROUND).to_bits() as u8;
    }
}
