//! Converts the bytes of a strip or tile to the samples that the feed takes.

use std::io::{self, Read};

use super::color::TiffColor;
use super::layout::TiffLayout;
use crate::photo::decode::Feed;
use crate::photo::decode::sink::RowPosition;

/// A sample of 8 or 16 bits.
pub(super) trait Sample: Copy + Default + Into<u32> {
    const MAX: u32;
    fn from_u32(value: u32) -> Self;
    /// The wrapping sum, as the predictor requires.
    fn plus(self, other: Self) -> Self;
    /// Appends the samples of a row as stored. Each sample becomes one value, even if it has less than 8 bits.
    fn unpack(row: &[u8], bits: u8, little_endian: bool, samples: &mut Vec<Self>);
    fn feed(feed: &mut Feed<'_>, place: RowPosition, row: &[Self]);
}

impl Sample for u8 {
    const MAX: u32 = 0xFF;

    fn from_u32(value: u32) -> Self {
        value as Self
    }

    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    fn unpack(row: &[u8], bits: u8, _: bool, samples: &mut Vec<Self>) {
        if bits == 8 {
            return samples.extend_from_slice(row);
        }
        let mask = (1 << bits) - 1;
        samples
            .extend(row.iter().flat_map(|byte| (1..=8 / bits).map(move |i| byte >> (8 - bits * i) & mask)));
    }

    fn feed(feed: &mut Feed<'_>, place: RowPosition, row: &[Self]) {
        feed.row8(place, row);
    }
}

impl Sample for u16 {
    const MAX: u32 = 0xFFFF;

    fn from_u32(value: u32) -> Self {
        value as Self
    }

    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    fn unpack(row: &[u8], _: u8, little_endian: bool, samples: &mut Vec<Self>) {
        let from = if little_endian { Self::from_le_bytes } else { Self::from_be_bytes };
        samples.extend(row.as_chunks().0.iter().map(|&pair| from(pair)));
    }

    fn feed(feed: &mut Feed<'_>, place: RowPosition, row: &[Self]) {
        feed.row16(place, row);
    }
}

/// Reads the rows of a strip or tile in order.
pub(super) struct StripRows<'l, T> {
    layout: &'l TiffLayout<'l>,
    /// Indices of the samples of a pixel that are read.
    wanted: Vec<usize>,
    bytes: Vec<u8>,
    stored: Vec<T>,
    pixels: Vec<T>,
}

impl<'l, T: Sample> StripRows<'l, T> {
    pub(super) fn new(layout: &'l TiffLayout<'l>) -> Self {
        let (wanted, bytes) = (layout.wanted(), vec![0; layout.row_bytes()]);
        Self { layout, wanted, bytes, stored: Vec::new(), pixels: Vec::new() }
    }

    /// Reads the next row from one stream, or from one stream per sample.
    pub(super) fn read(&mut self, streams: &mut [Box<dyn Read + '_>], width: usize) -> io::Result<()> {
        let (layout, count) = (self.layout, self.wanted.len());
        self.pixels.resize(width * count, T::default());
        for (position, stream) in streams.iter_mut().enumerate() {
            stream.read_exact(&mut self.bytes)?;
            self.stored.clear();
            T::unpack(&self.bytes, layout.bits, layout.directory.file.little_endian, &mut self.stored);
            let together = layout.samples_together();
            if layout.predicted {
                for i in together..self.stored.len() {
                    self.stored[i] = self.stored[i].plus(self.stored[i - together]);
                }
            }
            let targets = self.pixels.chunks_exact_mut(count);
            if layout.planar {
                targets.zip(&self.stored).for_each(|(pixel, &sample)| pixel[position] = sample);
            } else if together == count {
                self.pixels.copy_from_slice(&self.stored[..width * count]);
            } else {
                for (pixel, stored) in targets.zip(self.stored.chunks_exact(together)) {
                    pixel.iter_mut().zip(&self.wanted).for_each(|(sample, &from)| *sample = stored[from]);
                }
            }
        }
        Ok(())
    }

    /// Passes the current row to the feed.
    pub(super) fn feed(&mut self, feed: &mut Feed<'_>, place: RowPosition) {
        let (layout, count) = (self.layout, self.wanted.len());
        if layout.alpha.is_some_and(|alpha| alpha.associated) {
            self.pixels.chunks_exact_mut(count).for_each(divide);
        }
        let most = T::MAX;
        match &layout.color {
            TiffColor::Palette(palette) => {
                let color = |index: T| palette.get(index.into() as usize).copied().unwrap_or_default();
                let opacity = |alpha: &T| (*alpha).into() as u16 * 257;
                let pixels = self.pixels.chunks_exact(count);
                let row =
                    pixels.flat_map(|pixel| color(pixel[0]).into_iter().chain(pixel.get(1).map(opacity)));
                return feed.row16(place, &row.collect::<Vec<_>>());
            }
            TiffColor::Ycc(ycc) => {
                let pixels = self.pixels.chunks_exact(3);
                let row = pixels.flat_map(|pixel| ycc.rgb([0, 1, 2].map(|i| pixel[i].into() as u8)));
                return feed.row8(place, &row.collect::<Vec<_>>());
            }
            TiffColor::Gray { white_is_zero } => {
                // The largest value of 1, 2 or 4 bits becomes 255.
                let largest = if layout.bits < 8 { (1 << layout.bits) - 1 } else { most };
                if *white_is_zero || largest < most {
                    for gray in self.pixels.iter_mut().step_by(count) {
                        let code = (*gray).into() * (most / largest);
                        *gray = T::from_u32(if *white_is_zero { most - code } else { code });
                    }
                }
            }
            TiffColor::Rgb | TiffColor::Cmyk => {}
        }
        T::feed(feed, place, &self.pixels);
    }
}

/// Divides a pixel's premultiplied colours by its opacity.
fn divide<T: Sample>(pixel: &mut [T]) {
    let Some((alpha, colors)) = pixel.split_last_mut() else { return };
    let alpha: u64 = u64::from((*alpha).into());
    for color in colors.iter_mut().filter(|_| alpha > 0) {
        let value = (u64::from((*color).into()) * u64::from(T::MAX) + alpha / 2) / alpha;
        *color = T::from_u32(value.min(T::MAX.into()) as u32);
    }
}
