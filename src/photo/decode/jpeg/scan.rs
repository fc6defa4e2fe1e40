//! Reads the blocks of one scan with the file's Huffman codes and writes them with fixed codes.
//!
//! With [`Discard`](super::bits::Discard) as the output, [`Scan`] only checks whether a scan can be read.

use super::bits::{BitSink, Bits, Codes, Tables, dc_codes};
use super::walk::{JpegLayout, ScanHeader};

/// All AC symbols that are written: end of block, sixteen zeros, and a run of 0 to 15 zeros before a coefficient of 1
/// to 10 bits.
pub(super) static AC_SYMBOLS: [u8; 162] = ac_symbols();

/// The code of the end of a block has two bits; the codes of all other symbols have eight bits.
const END_OF_BLOCK: (u32, u32) = (0b00, 2);
const FIRST_OF_EIGHT: u32 = 0b0100_0000;
pub(super) const SIXTEEN_ZEROS: u8 = 0xF0;
/// Maximum bits of an AC coefficient.
pub(super) const MOST_BITS: u8 = 10;

/// Maximum plausible DC coefficient, after multiplication by its quantization step. 8-bit samples give at most 1,024.
/// Above 4,096, libjpeg shows white as black.
pub(super) const MOST_DC: i32 = 4096;

const fn ac_symbols() -> [u8; 162] {
    let mut symbols = [0; 162];
    symbols[1] = SIXTEEN_ZEROS;
    let mut at = 2;
    while at < symbols.len() {
        let index = (at - 2) as u8;
        symbols[at] = (index / MOST_BITS) << 4 | (index % MOST_BITS + 1);
        at += 1;
    }
    symbols
}

/// The number of [`AC_SYMBOLS`] with a code of each length.
pub(super) fn ac_lengths() -> [u8; 16] {
    let mut lengths = [0; 16];
    lengths[1] = 1;
    lengths[7] = AC_SYMBOLS.len() as u8 - 1;
    lengths
}

/// The code of one of [`AC_SYMBOLS`] other than the end of a block.
fn ac_code(symbol: u8) -> (u32, u32) {
    let (run, bits) = (u32::from(symbol >> 4), u32::from(symbol & 15));
    let index = if symbol == SIXTEEN_ZEROS { 0 } else { 1 + run * u32::from(MOST_BITS) + bits - 1 };
    (FIRST_OF_EIGHT + index, 8)
}

/// The decoder state that passes from one block to the next.
#[derive(Clone, Copy, Default)]
struct ScanState {
    /// The previous DC coefficient of each component in the scan, as read.
    read: [i32; 4],
    /// The previous DC coefficient of each component, as written.
    written: [i32; 4],
    /// Number of following blocks without a new coefficient (ITU T.81, G.1.2.2).
    ended: u32,
}

/// The properties of one block of an MCU.
#[derive(Clone, Copy)]
struct Block<'a> {
    /// Index of the block's component in the scan.
    member: usize,
    dc: Option<&'a Codes>,
    ac: Option<&'a Codes>,
    most_dc: i32,
}

/// A scan that is being copied.
pub(super) struct Scan<'a, O> {
    header: &'a ScanHeader,
    sequential: bool,
    /// The blocks of an MCU.
    blocks: Vec<Block<'a>>,
    out: &'a mut O,
    nonzero: &'a mut [u64],
    dc_codes: Vec<(u32, u32)>,
    state: ScanState,
}

impl<'a, O: BitSink> Scan<'a, O> {
    /// `nonzero` has, for AC scans, a bit mask of each block's coefficients that are not zero.
    pub(super) fn new(
        layout: &JpegLayout,
        tables: &'a Tables,
        header: &'a ScanHeader,
        out: &'a mut O,
        nonzero: &'a mut [u64],
    ) -> Self {
        let codes = |of: &'a [Option<Codes>; 4], number: u8| of.get(usize::from(number))?.as_ref();
        let mut blocks = Vec::new();
        for (member, &(place, dc, ac)) in header.members.iter().enumerate() {
            let count = if header.members.len() == 1 { 1 } else { layout.frame.components[place].blocks() };
            let steps = tables.steps.get(usize::from(layout.frame.components[place].table));
            let step = steps.copied().flatten().map_or(1, |steps| steps[0].max(1));
            let step = i32::from(step) << header.bits.1;
            let (dc, ac) = (codes(&tables.dc, dc), codes(&tables.ac, ac));
            let block = Block { member, dc, ac, most_dc: MOST_DC / step };
            blocks.extend(std::iter::repeat_n(block, count));
        }
        let sequential = !layout.frame.progressive;
        let (dc_codes, state) = (dc_codes(), ScanState::default());
        Self { header, sequential, blocks, out, nonzero, dc_codes, state }
    }

    /// Reads an MCU and writes it. Returns `false` and writes nothing if the MCU cannot be read.
    pub(super) fn copy(&mut self, bits: &mut Bits<'_>, mcu: usize) -> bool {
        let (state, mark) = (self.state, self.out.mark());
        let read = (0..self.blocks.len()).all(|block| self.copy_block(bits, mcu, block).is_some());
        if !read {
            self.out.go_back(mark);
            self.state = state;
        }
        read
    }

    /// Writes an MCU that cannot be read. In a refining scan, the written MCU changes no coefficient. In any other
    /// scan, its coefficients become 0, which means mid-grey without detail.
    pub(super) fn leave_out(&mut self, mcu: usize) {
        for block in 0..self.blocks.len() {
            let member = self.blocks[block].member;
            if self.header.band.0 > 0 {
                self.end_block(mcu);
            } else if self.header.bits.0 > 0 {
                self.out.put(0, 1);
            } else {
                self.write_dc(member, 0).unwrap_or_default();
                if self.sequential {
                    self.out.put(END_OF_BLOCK.0, END_OF_BLOCK.1);
                }
            }
        }
    }

    /// Resets the state of reading, as at every restart marker. The written file has no restart markers.
    pub(super) fn restart(&mut self) {
        self.state = ScanState { written: self.state.written, ..ScanState::default() };
    }

    fn copy_block(&mut self, bits: &mut Bits<'_>, mcu: usize, block: usize) -> Option<()> {
        let Block { member, dc, ac, most_dc } = self.blocks[block];
        match (self.header.band, self.header.bits) {
            ((0, _), (1.., _)) => self.out.put(bits.take(1)?, 1),
            ((0, _), _) => {
                let value = self.state.read[member] + bits.difference(dc?)?;
                self.state.read[member] = value;
                (value.abs() <= most_dc).then_some(())?;
                self.write_dc(member, value)?;
                if self.sequential {
                    self.copy_ac(bits, ac?, (1, 63))?;
                }
            }
            (band, (0, _)) => {
                let nonzero = match self.ends_with_others() {
                    true => 0,
                    false => self.copy_ac(bits, ac?, band)?,
                };
                *self.nonzero.get_mut(mcu)? |= nonzero;
            }
            (band, _) => self.refine(bits, ac?, mcu, band)?,
        }
        Some(())
    }

    fn write_dc(&mut self, member: usize, value: i32) -> Option<()> {
        let value = value.clamp(-1024, 1023);
        let difference = value - self.state.written[member];
        self.state.written[member] = value;
        self.out.put_difference(&self.dc_codes, difference)
    }

    /// Whether an earlier block's end-of-band run includes this block; if so, the block is written as ended.
    fn ends_with_others(&mut self) -> bool {
        if self.state.ended == 0 {
            return false;
        }
        self.state.ended -= 1;
        self.out.put(END_OF_BLOCK.0, END_OF_BLOCK.1);
        true
    }

    fn put_ac(&mut self, symbol: u8) {
        let (code, length) = ac_code(symbol);
        self.out.put(code, length);
    }

    /// Reads the length of an end-of-band run (ITU T.81, G.1.2.2) and writes this block, the first of the run, as
    /// ended.
    fn read_end(&mut self, bits: &mut Bits<'_>, run: u8) -> Option<()> {
        self.state.ended = (1 << run) - 1 + bits.take(run.into())?;
        self.out.put(END_OF_BLOCK.0, END_OF_BLOCK.1);
        Some(())
    }

    /// Copies the coefficients of a band (ITU T.81, F.2.2.2) and returns a bit mask of those that are not zero.
    fn copy_ac(&mut self, bits: &mut Bits<'_>, codes: &Codes, (first, last): (u8, u8)) -> Option<u64> {
        let (mut nonzero, mut at) = (0, first);
        while at <= last {
            let symbol = bits.symbol(codes)?;
            let (run, size) = (symbol >> 4, symbol & 15);
            match (run, size) {
                (15, 0) => at += 16,
                (0, 0) if self.sequential => {
                    self.out.put(END_OF_BLOCK.0, END_OF_BLOCK.1);
                    break;
                }
                (_, 0) if self.sequential => return None,
                (_, 0) => {
                    self.read_end(bits, run)?;
                    break;
                }
                (_, 1..=MOST_BITS) => {
                    at += run;
                    (at <= last).then_some(())?;
                    nonzero |= 1 << at;
                    at += 1;
                }
                _ => return None,
            }
            self.put_ac(symbol);
            self.out.put(bits.take(size.into())?, size.into());
        }
        Some(nonzero)
    }

    /// Copies a block of a scan that refines a band (ITU T.81, G.1.2.3): the next bit of each coefficient that is not
    /// zero, and the coefficients that stop being zero.
    fn refine(
        &mut self,
        bits: &mut Bits<'_>,
        codes: &Codes,
        mcu: usize,
        (first, last): (u8, u8),
    ) -> Option<()> {
        let before = *self.nonzero.get(mcu)?;
        let (mut after, mut at) = (before, first);
        if !self.ends_with_others() {
            while at <= last {
                let symbol = bits.symbol(codes)?;
                let (mut run, size) = (symbol >> 4, symbol & 15);
                match (run, size) {
                    (15, 0) => self.put_ac(symbol),
                    (_, 0) => {
                        self.read_end(bits, run)?;
                        break;
                    }
                    (_, 1) => {
                        self.put_ac(symbol);
                        self.out.put(bits.take(1)?, 1);
                    }
                    _ => return None,
                }
                // Each coefficient that was not zero before has one bit and does not count towards the run.
                while at <= last && (before >> at & 1 == 1 || run > 0) {
                    if before >> at & 1 == 1 {
                        self.out.put(bits.take(1)?, 1);
                    } else {
                        run -= 1;
                    }
                    at += 1;
                }
                if size == 1 {
                    (at <= last).then_some(())?;
                    after |= 1 << at;
                }
                at += 1;
            }
        }
        for _ in (at..=last).filter(|at| before >> at & 1 == 1) {
            self.out.put(bits.take(1)?, 1);
        }
        *self.nonzero.get_mut(mcu)? = after;
        Some(())
    }

    /// Ends a block without new coefficients; coefficients that are not zero stay unchanged.
    fn end_block(&mut self, mcu: usize) {
        self.out.put(END_OF_BLOCK.0, END_OF_BLOCK.1);
        if self.header.bits.0 > 0 {
            let (first, last) = self.header.band;
            let before = self.nonzero.get(mcu).copied().unwrap_or_default();
            (first..=last).filter(|at| before >> at & 1 == 1).for_each(|_| self.out.put(0, 1));
        }
    }
}
