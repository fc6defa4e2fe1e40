//! Huffman codes of coefficients (T.81 Annex F.1.2), and the writer of their bits.

use super::dct::Coefficients;

/// A Huffman table as the file has it.
pub(super) struct HuffmanTable {
    /// The number of codes of each length from 1 to 16 bits.
    pub(super) counts: [u8; 16],
    /// The symbols in the order of their codes.
    pub(super) symbols: &'static [u8],
}

/// The tables for one kind of component.
pub(super) struct HuffmanTables {
    pub(super) dc: HuffmanTable,
    pub(super) ac: HuffmanTable,
}

/// T.81, tables K.3 and K.5.
pub(super) const LUMA: HuffmanTables = HuffmanTables {
    dc: HuffmanTable {
        counts: [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
        symbols: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    },
    ac: HuffmanTable {
        counts: [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
        symbols: &[
            0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
            0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0,
            0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28,
            0x29, 0x2A, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
            0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
            0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
            0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7,
            0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3, 0xC4, 0xC5,
            0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2,
            0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8,
            0xF9, 0xFA,
        ],
    },
};

/// T.81, tables K.4 and K.6.
pub(super) const CHROMA: HuffmanTables = HuffmanTables {
    dc: HuffmanTable {
        counts: [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        symbols: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    },
    ac: HuffmanTable {
        counts: [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119],
        symbols: &[
            0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
            0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52, 0xF0,
            0x15, 0x62, 0x72, 0xD1, 0x0A, 0x16, 0x24, 0x34, 0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26,
            0x27, 0x28, 0x29, 0x2A, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
            0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
            0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
            0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3, 0xA4, 0xA5,
            0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3,
            0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA,
            0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8,
            0xF9, 0xFA,
        ],
    },
};

/// The symbol for 16 zeros.
const ZEROS_16: usize = 0xF0;
/// The symbol after the last coefficient that is not zero.
const END_OF_BLOCK: usize = 0;

/// Coefficients from `-SMALL` to `SMALL - 1` have their code and their own bits in one table.
const SMALL: i32 = 32;

/// A code, and its length in the low 5 bits.
#[derive(Clone, Copy, Default)]
struct Code(u32);

impl Code {
    /// The code and the coefficient's own bits, and the number of bits.
    #[inline(always)]
    fn with_value(self, value: i32) -> (u64, u32) {
        let size = size_of(value);
        // Negative values are stored less one, without the sign.
        let bits = (value + (value >> 31)) as u32 & ((1 << size) - 1);
        (u64::from(self.0 >> 5) << size | u64::from(bits), (self.0 & 31) + size)
    }

    #[inline(always)]
    fn bits(self) -> (u64, u32) {
        (u64::from(self.0 >> 5), self.0 & 31)
    }
}

/// The number of bits of a value's magnitude.
#[inline(always)]
fn size_of(value: i32) -> u32 {
    32 - value.unsigned_abs().leading_zeros()
}

/// The codes for one kind of component.
pub(super) struct Codes {
    /// By the size of the difference, at most 11.
    dc: [Code; 256],
    /// By the number of zeros before, at most 15, times 16, plus the size of the coefficient, at most 10.
    ac: [Code; 256],
    /// By the number of zeros before, at most 15, times 64, plus the coefficient, plus [`SMALL`].
    small: [Code; 1024],
}

impl Codes {
    pub(super) fn new(tables: &HuffmanTables) -> Self {
        let (dc, ac) = (by_symbol(&tables.dc), by_symbol(&tables.ac));
        let mut small = [Code::default(); 1024];
        for (i, small) in small.iter_mut().enumerate() {
            let (zeros, value) = (i / 64, i as i32 % 64 - SMALL);
            let (bits, length) = ac[zeros * 16 + size_of(value) as usize].with_value(value);
            *small = Code((bits as u32) << 5 | length);
        }
        Self { dc, ac, small }
    }
}

/// Consecutive codes of each length (T.81 Annex C).
fn by_symbol(table: &HuffmanTable) -> [Code; 256] {
    let mut codes = [Code::default(); 256];
    let (mut code, mut symbols) = (0, table.symbols.iter());
    for (length, &count) in (1..).zip(&table.counts) {
        for &symbol in symbols.by_ref().take(count.into()) {
            codes[usize::from(symbol)] = Code(code << 5 | length);
            code += 1;
        }
        code <<= 1;
    }
    codes
}

/// Maximum bits of a block. A code has at most 16 bits, a DC difference 11 and another coefficient 10. Up to 7 bits are
/// left from the block before.
const BLOCK_BITS: usize = 7 + (16 + 11) + 63 * (16 + 10);
/// The same in bytes. Eight bytes are written at a time, although not all of them are complete.
const BLOCK_BYTES: usize = BLOCK_BITS / 8 + 8;

/// The bits of a row of MCUs.
#[derive(Default)]
pub(super) struct BitWriter {
    /// Room for codes; the first `length` bytes are complete.
    room: Vec<u8>,
    length: usize,
    pending: Pending,
}

/// Bits that do not make a byte yet.
#[derive(Clone, Copy, Default)]
struct Pending {
    /// The last bits; older bits above them are already written.
    bits: u64,
    count: u32,
}

impl BitWriter {
    #[inline(always)]
    pub(super) fn write_block(&mut self, block: &Coefficients, prediction: &mut i32, codes: &Codes) {
        if self.room.len() < self.length + BLOCK_BYTES {
            self.room.resize(2 * self.length + BLOCK_BYTES, 0);
        }
        let room = &mut self.room[self.length..][..BLOCK_BYTES].as_chunks_mut().0[0];
        let mut writer = BlockWriter { room, length: 0, pending: self.pending };
        writer.write(block, prediction, codes);
        self.length += writer.length;
        self.pending = writer.pending;
    }

    /// Completes the last byte with ones.
    pub(super) fn fill_byte(&mut self) {
        let Pending { bits, count } = std::mem::take(&mut self.pending);
        if count > 0 {
            let byte = (bits << (8 - count)) as u8 | 0xFF >> count;
            self.room.truncate(self.length);
            self.room.push(byte);
            self.length += 1;
        }
    }

    /// The complete bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.room[..self.length]
    }

    /// Drops the complete bytes.
    pub(super) fn clear(&mut self) {
        self.length = 0;
    }
}

/// Writes one block. Its state fits into registers.
struct BlockWriter<'a> {
    room: &'a mut [u8; BLOCK_BYTES],
    length: usize,
    pending: Pending,
}

impl BlockWriter<'_> {
    #[inline(always)]
    fn write(&mut self, block: &Coefficients, prediction: &mut i32, codes: &Codes) {
        let dc = i32::from(block[0]);
        let difference = dc - *prediction;
        *prediction = dc;
        self.put(codes.dc[size_of(difference) as usize & 255].with_value(difference));
        let mut rest = nonzero(block) & !1;
        let mut last = 0;
        while rest != 0 {
            let place = rest.trailing_zeros();
            rest &= rest - 1;
            let mut zeros = place - last - 1;
            last = place;
            while zeros > 15 {
                self.put(codes.ac[ZEROS_16].bits());
                zeros -= 16;
            }
            let value = i32::from(block[place as usize & 63]);
            if (-SMALL..SMALL).contains(&value) {
                self.put(codes.small[(zeros as i32 * 64 + value + SMALL) as usize & 1023].bits());
            } else {
                self.put(codes.ac[(zeros * 16 + size_of(value)) as usize & 255].with_value(value));
            }
        }
        if last != 63 {
            self.put(codes.ac[END_OF_BLOCK].bits());
        }
    }

    /// Appends bits. Less than 8 are pending afterwards.
    #[inline(always)]
    fn put(&mut self, (bits, count): (u64, u32)) {
        let Pending { bits: pending, count: before } = self.pending;
        let (bits, count) = (pending << count | bits, before + count);
        let word = bits.wrapping_shl(64_u32.wrapping_sub(count)).to_be_bytes();
        self.room[self.length..self.length + 8].copy_from_slice(&word);
        self.length += (count / 8) as usize;
        self.pending = Pending { bits, count: count % 8 };
    }
}

/// A bit for each coefficient that is not zero.
#[inline(always)]
fn nonzero(block: &Coefficients) -> u64 {
    let mut flags = [0; 64];
    for (flag, &value) in flags.iter_mut().zip(block) {
        *flag = u8::from(value != 0);
    }
    let mut mask = 0;
    for (i, &eight) in flags.as_chunks::<8>().0.iter().enumerate() {
        // The product has the lowest bits of the eight bytes in its highest byte.
        mask |= (u64::from_le_bytes(eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_block_fits() {
        for tables in [&LUMA, &CHROMA] {
            assert_eq!(tables.ac.counts.iter().map(|&count| usize::from(count)).sum::<usize>(), 162);
            assert_eq!(tables.ac.symbols.len(), 162);
            let codes = Codes::new(tables);
            for magnitude in [1, 31, 32, 33, 512, 1020, 1023] {
                // Runs of zeros between the coefficients, up to the whole block.
                for step in 1..64 {
                    let mut block = [0; 64];
                    block.iter_mut().step_by(step).for_each(|value| *value = magnitude);
                    let mut bits =
                        BitWriter { pending: Pending { bits: 0, count: 7 }, ..BitWriter::default() };
                    let mut prediction = i32::from(magnitude) - 2047;
                    bits.write_block(&block, &mut prediction, &codes);
                    assert_eq!(prediction, i32::from(magnitude));
                    assert!(bits.bytes().len() * 8 <= BLOCK_BITS);
                }
            }
        }
    }

    #[test]
    fn bits_follow_each_other() {
        let codes = Codes::new(&LUMA);
        let mut bits = BitWriter::default();
        let mut prediction = 0;
        let mut block = [0; 64];
        (block[0], block[1], block[18], block[63]) = (-3, 1, -40, 5);
        bits.write_block(&block, &mut prediction, &codes);
        bits.fill_byte();
        let written: String = bits.bytes().iter().map(|byte| format!("{byte:08b}")).collect();
        let expected = [
            "011",
            "00", // DC of size 2: -3
            "00",
            "1",           // no zero, size 1: 1
            "11111111001", // 16 zeros
            "1111000",
            "010111", // no zero, size 6: -40
            "11111111001",
            "11111111001", // 32 zeros
            "1111111111011010",
            "101", // 12 zeros, size 3: 5
        ];
        assert!(written.starts_with(&expected.concat()), "{written}");
        assert!(written[expected.concat().len()..].chars().all(|bit| bit == '1'), "{written}");
    }
}
