//! A block runs over a few rows at a time.

use std::ops::Range;

use super::sources::Sources;
use super::{Size, floats};
use crate::RunError;
use crate::graph::Window;
use crate::kernels::Place;
use crate::plan::{Block, Sum};

/// Bytes of padded rows that a block expands at once. They are read by the depthwise convolution while they are still
/// in the second-level cache.
const BAND: usize = 384 * 1024;

/// The rows of a block that are computed at once, and the padded input rows that they need.
pub struct Bands {
    window: Window,
    /// Height and width of the depthwise convolution's input and output.
    input: Size,
    pub size: Size,
    /// Floats of a pixel of both.
    pub pitch: usize,
    top: usize,
    left: usize,
    pub padded_width: usize,
    /// Output rows of a band.
    pub rows: usize,
    /// Padded rows for a band.
    padded_rows: usize,
    /// The first padded row in memory, and the row after the last one computed.
    first: usize,
    end: usize,
}

impl Bands {
    pub fn new(block: &Block, input: Size) -> Result<Self, RunError> {
        let (window, pitch) = (block.window, block.depthwise.pitch());
        let (top, _, height) = window.along(input[0], true).ok_or(RunError::TooSmall)?;
        let (left, right, width) = window.along(input[1], false).ok_or(RunError::TooSmall)?;
        let padded_width = input[1] + left + right;
        let fit = BAND / (floats([1, padded_width], pitch)? * size_of::<f32>());
        let rows = (fit.saturating_sub(window.kernel) / window.stride + 1).min(height);
        let padded_rows = (rows - 1) * window.stride + window.kernel;
        floats([padded_rows, padded_width], pitch)?;
        let size = [height, width];
        Ok(Self { window, input, size, pitch, top, left, padded_width, rows, padded_rows, first: 0, end: 0 })
    }

    /// Makes room for the padded rows. Their columns of padding are zero from here on.
    pub fn clear(&self, padded: &mut Vec<f32>) {
        let row = self.padded_width * self.pitch;
        padded.resize(padded.len().max(self.padded_rows * row), 0.0);
        for row in padded.chunks_exact_mut(row).take(self.padded_rows) {
            row[..self.left * self.pitch].fill(0.0);
            row[(self.left + self.input[1]) * self.pitch..].fill(0.0);
        }
    }

    /// Computes the padded rows for these output rows, except those that the band before needed, too.
    pub fn expand(
        &mut self,
        sources: &Sources<'_>,
        sum: &Sum,
        rows: &Range<usize>,
        padded: &mut [f32],
        memory: &mut Vec<f32>,
    ) {
        let length = self.padded_width * self.pitch;
        let start = rows.start * self.window.stride;
        let end = (rows.end - 1) * self.window.stride + self.window.kernel;
        if start > self.first {
            let kept = start.min(self.end)..self.end;
            padded.copy_within((kept.start - self.first) * length..(kept.end - self.first) * length, 0);
            self.first = start;
        }
        let made = self.end.max(start);
        let inside = made.max(self.top)..end.min(self.top + self.input[0]);
        for row in (made..end).filter(|row| !inside.contains(row)) {
            padded[(row - self.first) * length..][..length].fill(0.0);
        }
        if !inside.is_empty() {
            let at = (inside.start - self.first) * length + self.left * self.pitch;
            let place = Place { width: self.input[1], row: length, pixel: self.pitch, start: at };
            let input_rows = inside.start - self.top..inside.end - self.top;
            sources.sum(sum, input_rows, padded, place, None, memory);
        }
        self.end = end;
    }
}
