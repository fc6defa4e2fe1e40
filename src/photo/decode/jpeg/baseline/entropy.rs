//! Reads the coefficients of a block (ITU T.81, F.2.2).

use std::num::Wrapping;

use super::idct::Block;
use crate::photo::decode::jpeg::bits::{Bits, Codes, LOOKUP};
use crate::photo::decode::jpeg::scan::{MOST_BITS, MOST_DC, SIXTEEN_ZEROS};
use crate::photo::jpeg::ZIGZAG;

/// A coefficient whose code and own bits together have at most [`LOOKUP`] bits.
#[derive(Clone, Copy, Default)]
struct Short {
    /// 0 is the end of the block.
    value: i16,
    /// Coefficients before it that are zero.
    zeros: u8,
    /// Length of the code and of the coefficient's own bits. 0 means that they are longer than [`LOOKUP`], or that the
    /// code has another meaning.
    length: u8,
}

/// The tables and the state for the blocks of one component.
pub(super) struct BlockReader<'a> {
    dc: &'a Codes,
    ac: &'a Codes,
    /// By the next [`LOOKUP`] bits.
    short: Vec<Short>,
    /// Quantization steps in zigzag order.
    steps: [i32; 64],
    /// Maximum plausible DC coefficient before dequantization.
    most_dc: i32,
    /// The previous block's DC coefficient before dequantization.
    previous: i32,
}

impl<'a> BlockReader<'a> {
    pub(super) fn new(dc: &'a Codes, ac: &'a Codes, steps: &[u16; 64]) -> Self {
        let short = (0..1 << LOOKUP).map(|bits| short(bits, ac.short[bits as usize])).collect();
        let most_dc = MOST_DC / i32::from(steps[0].max(1));
        Self { dc, ac, short, steps: steps.map(i32::from), most_dc, previous: 0 }
    }

    /// Resets the state, as at a restart marker.
    pub(super) fn restart(&mut self) {
        self.previous = 0;
    }

    /// Reads a block into `block`, all of whose coefficients must be 0, and dequantizes it. Returns whether it has
    /// coefficients other than DC; `None` if the block is damaged, by the same rules as those of `Scan::copy`.
    #[inline(always)]
    pub(super) fn read(&mut self, from: &mut Bits<'_>, block: &mut Block) -> Option<bool> {
        // A copy can be in registers.
        let mut bits = *from;
        let dc = self.previous + bits.difference(self.dc)?;
        (dc.abs() <= self.most_dc).then_some(())?;
        self.previous = dc;
        block[0][0] = Wrapping(dc * self.steps[0]);
        let block = block.as_flattened_mut();
        let mut at = 1;
        while at < 64 {
            bits.fill();
            let short = self.short[bits.next()];
            let value = if short.length > 0 {
                bits.skip(short.length.into(), ())?;
                if short.value == 0 {
                    break;
                }
                at += usize::from(short.zeros);
                i32::from(short.value)
            } else {
                match self.long(&mut bits)? {
                    (zeros, 0) => {
                        at += zeros;
                        continue;
                    }
                    (zeros, value) => {
                        at += zeros;
                        value
                    }
                }
            };
            (at < 64).then_some(())?;
            block[usize::from(ZIGZAG[at] & 63)] = Wrapping(value) * Wrapping(self.steps[at]);
            at += 1;
        }
        *from = bits;
        Some(at > 1)
    }

    /// Reads a number of zeros and the coefficient after them, first the code and then the coefficient's own bits. The
    /// coefficient is 0 only after sixteen zeros and at the end of the block.
    fn long(&self, bits: &mut Bits<'_>) -> Option<(usize, i32)> {
        let symbol = bits.symbol(self.ac)?;
        match (symbol >> 4, symbol & 15) {
            _ if symbol == SIXTEEN_ZEROS => Some((16, 0)),
            // The end of a block whose code is longer than the table's.
            _ if symbol == 0 => Some((64, 0)),
            (zeros, size @ 1..=MOST_BITS) => Some((zeros.into(), extended(bits.take(size.into())?, size))),
            _ => None,
        }
    }
}

/// The entry for the next [`LOOKUP`] bits, which start with a code of `length` bits.
fn short(bits: u32, (length, symbol): (u8, u8)) -> Short {
    let (zeros, size) = (symbol >> 4, symbol & 15);
    let total = length + size;
    if length == 0 || u32::from(total) > LOOKUP || size > MOST_BITS || size == 0 && symbol != 0 {
        return Short::default();
    }
    let own = bits >> (LOOKUP - u32::from(total)) & ((1 << size) - 1);
    Short { value: extended(own, size) as i16, zeros, length: total }
}

/// The coefficient with these bits (ITU T.81, F.2.2.1, EXTEND).
fn extended(bits: u32, size: u8) -> i32 {
    let value = bits as i32;
    if size > 0 && value < 1 << (size - 1) { value - (1 << size) + 1 } else { value }
}
