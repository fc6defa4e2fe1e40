//! Encodes baseline JPEG files (ITU-T T.81) in rows of MCUs (minimum coded units).
//!
//! Files are as libjpeg writes them by default: Y'CbCr (JFIF), the quantisation and Huffman tables of T.81 Annex K.
//! Only the file and, for each thread, one row of MCUs are in memory. Large pictures have restart markers, so that
//! several threads can encode bands of MCU rows; the file does not depend on the number of threads. `benches/README.md`
//! compares this encoder with libraries.

mod dct;
mod header;
mod huffman;
mod planes;
mod scan;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::panic::resume_unwind;
use std::thread;

use super::{EncodeOptions, Picture};
use crate::photo::decode::on_white;
use crate::photo::rows::{RowFn, RowSource};
use crate::photo::{Gray, PhotoError, Tags};
use dct::Quantization;
use huffman::Codes;
use planes::Planes;
use scan::ScanWriter;

/// Chroma is stored at half size except from this quality on: a provider's chroma is usually smaller anyway.
const FULL_CHROMA: u8 = 95;

/// Pixels from which on a JPEG has a restart marker after each row of MCUs, so that several threads can encode it. The
/// markers take 0.03 % of the file.
pub const PARALLEL_FROM: u64 = 4_000_000;

pub(super) fn write(picture: Picture<'_>, options: &EncodeOptions) -> Result<Vec<u8>, PhotoError> {
    let sampling = if options.quality < FULL_CHROMA { Sampling::Half } else { Sampling::Full };
    let layout = Layout::new(picture.width, picture.height, sampling)?;
    Ok(Jpeg::new(layout, options.quality, &OnWhite(picture)).encode(&options.tags, options.threads))
}

pub(super) fn gray(gray: &Gray, codes: &[u8], quality: u8) -> Result<Vec<u8>, PhotoError> {
    let layout = Layout::new(gray.width, gray.height, Sampling::Gray)?;
    let source = |y: usize, row: &mut [u8]| row.copy_from_slice(&codes[y * row.len()..][..row.len()]);
    Ok(Jpeg::new(layout, quality, &source).encode(&Tags::default(), 1))
}

/// JPEG has no opacity: transparent pixels are mixed with white.
struct OnWhite<'a>(Picture<'a>);

impl RowSource for OnWhite<'_> {
    fn rows(&self) -> RowFn<'_> {
        let mut rows = self.0.source.rows();
        Box::new(move |y, row| {
            rows(y, row);
            let pixels = row.as_chunks_mut::<3>().0;
            for (pixel, &alpha) in pixels.iter_mut().zip(self.0.alpha(y).unwrap_or_default()) {
                *pixel = pixel.map(|code| on_white(code, alpha));
            }
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sampling {
    /// One component.
    Gray,
    /// 4:4:4, chroma at full size.
    Full,
    /// 4:2:0, chroma at half width and half height.
    Half,
}

/// The size of a picture and its division into MCUs.
#[derive(Clone, Copy)]
struct Layout {
    width: u16,
    height: u16,
    sampling: Sampling,
    /// Whether restart markers separate the rows of MCUs. This must depend only on the picture, because equal pictures
    /// must give equal files.
    restarts: bool,
}

impl Layout {
    fn new(width: u32, height: u32, sampling: Sampling) -> Result<Self, PhotoError> {
        if width == 0 || height == 0 {
            return Err(PhotoError::Broken("The picture has no pixels.".to_owned()));
        }
        match (u16::try_from(width), u16::try_from(height)) {
            (Ok(width), Ok(height)) => {
                let restarts = u64::from(width) * u64::from(height) >= PARALLEL_FROM;
                Ok(Self { width, height, sampling, restarts })
            }
            _ => Err(PhotoError::Unwritable(format!(
                "A JPEG can have at most 65,535 pixels per side, and this picture is {width} x {height}. Ask for PNG."
            ))),
        }
    }

    fn width(self) -> usize {
        self.width.into()
    }

    fn height(self) -> usize {
        self.height.into()
    }

    /// Width and height of an MCU in pixels.
    fn mcu_side(self) -> usize {
        if self.sampling == Sampling::Half { 16 } else { 8 }
    }

    /// MCUs in a row; the last one may extend beyond the picture.
    fn mcus(self) -> usize {
        self.width().div_ceil(self.mcu_side())
    }

    fn mcu_rows(self) -> usize {
        self.height().div_ceil(self.mcu_side())
    }
}

/// A picture, and the tables to encode it.
struct Jpeg<'a> {
    layout: Layout,
    /// For luma, and for chroma.
    quantization: [Quantization; 2],
    codes: [Codes; 2],
    /// Rows of RGB, or of grey samples for [`Sampling::Gray`].
    source: &'a dyn RowSource,
}

impl<'a> Jpeg<'a> {
    fn new(layout: Layout, quality: u8, source: &'a dyn RowSource) -> Self {
        let quantization = [dct::LUMA, dct::CHROMA].map(|table| Quantization::new(table, quality));
        let codes = [&huffman::LUMA, &huffman::CHROMA].map(Codes::new);
        Self { layout, quantization, codes, source }
    }

    fn encode(&self, tags: &Tags, threads: usize) -> Vec<u8> {
        let mut file = header::write(self, tags);
        let rows = self.layout.mcu_rows();
        // Without restart markers each block depends on the one before.
        let bands = if self.layout.restarts { threads.clamp(1, rows) } else { 1 };
        let mut bands = (0..bands).map(|band| band * rows / bands..(band + 1) * rows / bands);
        let first = bands.next().unwrap_or_default();
        thread::scope(|scope| {
            let others: Vec<_> = bands
                .map(|band| {
                    let rows = band.clone();
                    let encode = move || {
                        let mut part = Vec::new();
                        self.encode_band(rows, &mut part);
                        part
                    };
                    (band, thread::Builder::new().spawn_scoped(scope, encode))
                })
                .collect();
            self.encode_band(first, &mut file);
            for (band, thread) in others {
                match thread {
                    Ok(thread) => file.extend(thread.join().unwrap_or_else(|panic| resume_unwind(panic))),
                    // The system has no thread left.
                    Err(_) => self.encode_band(band, &mut file),
                }
            }
        });
        file.extend(header::END);
        file
    }

    /// Encodes some rows of MCUs. Only the last band of a picture may end without a restart marker.
    fn encode_band(&self, mcu_rows: Range<usize>, file: &mut Vec<u8>) {
        // Half a byte for each pixel is rarely exceeded, so the band is not copied while it grows.
        file.reserve(mcu_rows.len() * self.layout.mcu_side() * self.layout.width() / 2);
        let mut rows = self.source.rows();
        let mut planes = Planes::new(self.layout);
        let mut scan = ScanWriter::default();
        for row in mcu_rows {
            planes.fill(row, &mut rows);
            scan.write_mcus(self, &planes);
            let last = row + 1 == self.layout.mcu_rows();
            if last || self.layout.restarts {
                scan.restart();
            }
            scan.move_to(file);
            if !last && self.layout.restarts {
                file.extend(header::restart_marker(row));
            }
        }
    }
}
