//! Reads and writes the entropy-coded data of a JPEG (ITU T.81, annex F): bits and Huffman codes.

/// The Huffman table for DC differences in ITU T.81, table K.3: number of codes of each length, for categories 0 to 11.
pub(super) const DC_LENGTHS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
pub(super) const DC_CATEGORIES: u8 = 12;

/// The code and its length for each category of [`DC_LENGTHS`].
pub(super) fn dc_codes() -> Vec<(u32, u32)> {
    let (mut codes, mut code) = (Vec::new(), 0);
    for (length, count) in (1..).zip(DC_LENGTHS) {
        for _ in 0..count {
            codes.push((code, length));
            code += 1;
        }
        code <<= 1;
    }
    codes
}

/// Number of bits that are looked up at once; few codes are longer.
pub(super) const LOOKUP: u32 = 10;

/// A Huffman table: codes and their values.
#[derive(Clone)]
pub(super) struct Codes {
    /// Number of codes of each length.
    lengths: [u8; 16],
    values: Vec<u8>,
    /// For each value of the next [`LOOKUP`] bits: length of the code at their start, and its value. Length 0 means
    /// that the code has more than [`LOOKUP`] bits.
    pub(super) short: Vec<(u8, u8)>,
}

impl Codes {
    /// `None` if there are more codes than their lengths allow, or fewer values than codes.
    pub(super) fn new(lengths: &[u8; 16], values: &[u8]) -> Option<Self> {
        let mut short = vec![(0, 0); 1 << LOOKUP];
        let (mut code, mut next) = (0_u32, 0);
        for (length, &count) in (1..).zip(lengths) {
            for &value in values.get(next..next + usize::from(count))? {
                if length <= LOOKUP {
                    let free = LOOKUP - length;
                    let begin = (code << free) as usize;
                    short.get_mut(begin..begin + (1 << free))?.fill((length as u8, value));
                }
                code += 1;
            }
            next += usize::from(count);
            (code <= 1 << length).then_some(())?;
            code <<= 1;
        }
        Some(Self { lengths: *lengths, values: values.to_vec(), short })
    }
}

/// The tables in effect, by table number.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) dc: [Option<Codes>; 4],
    pub(super) ac: [Option<Codes>; 4],
    /// Quantization steps in zigzag order, by table number; `None` if the file has no such table.
    pub(super) steps: [Option<[u16; 64]>; 4],
}

impl Tables {
    /// Reads a DQT segment (ITU T.81, B.2.4.1), up to the first table that is cut off.
    pub(super) fn read_steps(&mut self, mut body: &[u8]) {
        while let Some((&kind, rest)) = body.split_first() {
            let wide = kind >> 4 != 0;
            let Some((steps, rest)) = rest.split_at_checked(if wide { 128 } else { 64 }) else { return };
            if let Some(table) = self.steps.get_mut(usize::from(kind & 15)) {
                *table = Some(std::array::from_fn(|i| match wide {
                    true => u16::from_be_bytes([steps[2 * i], steps[2 * i + 1]]),
                    false => steps[i].into(),
                }));
            }
            body = rest;
        }
    }

    /// Reads a DHT segment (ITU T.81, B.2.4.2); `None` if a table is cut off or has a number above 3. A table with
    /// invalid codes is stored as `None`.
    pub(super) fn read_codes(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = body.split_first() {
            let (lengths, rest) = rest.split_first_chunk::<16>()?;
            let count = lengths.iter().map(|&count| usize::from(count)).sum();
            let (values, rest) = rest.split_at_checked(count)?;
            let tables = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *tables.get_mut(usize::from(kind & 15))? = Codes::new(lengths, values);
            body = rest;
        }
        Some(())
    }
}

/// Reads entropy-coded data up to a marker or the end.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, starting at the buffer's highest bit; the bits after the first `count` are 0.
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, buffer: 0, count: 0 }
    }

    /// Fills the buffer to at least 32 bits, if the data has that many.
    #[inline(always)]
    pub(super) fn fill(&mut self) {
        if self.count < 32 {
            self.refill();
        }
    }

    /// Adds at least 25 bits to a buffer of at most 32 bits, if the data has that many.
    #[inline(always)]
    fn refill(&mut self) {
        if let Some(bytes) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<4>())
            && !bytes.contains(&0xFF)
        {
            self.buffer |= u64::from(u32::from_be_bytes(*bytes)) << (32 - self.count);
            self.at += 4;
            self.count += 32;
            return;
        }
        self.refill_bytewise();
    }

    #[cold]
    fn refill_bytewise(&mut self) {
        while self.count <= 56 {
            let Some(&byte) = self.data.get(self.at) else { return };
            if byte == 0xFF {
                if self.data.get(self.at + 1) != Some(&0) {
                    return;
                }
                self.at += 1;
            }
            self.at += 1;
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// Takes the next `count` bits (at most 16) as a number; `None` if there are fewer.
    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        if self.count < count {
            self.refill();
        }
        self.skip(count, (self.buffer >> 48) as u32 >> (16 - count))
    }

    /// The next [`LOOKUP`] bits; those that the data no longer has are 0.
    #[inline(always)]
    pub(super) fn next(&self) -> usize {
        (self.buffer >> (64 - LOOKUP)) as usize
    }

    /// Skips bits and returns `value`; `None` if there are fewer bits.
    #[inline(always)]
    pub(super) fn skip<T>(&mut self, count: u32, value: T) -> Option<T> {
        self.count = self.count.checked_sub(count)?;
        self.buffer <<= count;
        Some(value)
    }

    /// Reads the next Huffman code and returns its value; `None` if the bits are not a valid code or the data ends.
    pub(super) fn symbol(&mut self, codes: &Codes) -> Option<u8> {
        if self.count < 16 {
            self.refill();
        }
        let &(length, value) = codes.short.get(self.next())?;
        if length > 0 {
            return self.skip(length.into(), value);
        }
        let next = (self.buffer >> 48) as u32;
        let (mut first, mut passed) = (0, 0);
        for (length, &count) in (1..).zip(&codes.lengths) {
            first <<= 1;
            let (code, count) = (next >> (16 - length), u32::from(count));
            if code < first + count {
                let value = *codes.values.get((passed + code.checked_sub(first)?) as usize)?;
                return self.skip(length, value);
            }
            first += count;
            passed += count;
        }
        None
    }

    /// Reads a difference of DC coefficients (ITU T.81, F.2.2.1).
    pub(super) fn difference(&mut self, codes: &Codes) -> Option<i32> {
        let category = u32::from(self.symbol(codes)?);
        (category <= 15).then_some(())?;
        let value = self.take(category)? as i32;
        let negative = category > 0 && value < 1 << (category - 1);
        Some(if negative { value - (1 << category) + 1 } else { value })
    }

    /// Number of whole bytes that are still unread.
    pub(super) fn unread(&self) -> usize {
        self.data.len() - self.at + (self.count / 8) as usize
    }
}

/// A destination for entropy-coded data.
pub(super) trait BitSink {
    /// Writes `value` in `count` bits, at most 16.
    fn put(&mut self, value: u32, count: u32);

    /// Returns the current position.
    fn mark(&self) -> OutputMark;

    /// Discards everything written after a position.
    fn go_back(&mut self, to: OutputMark);

    /// Writes a difference of DC coefficients with the given codes (see [`dc_codes`]). Returns `None` and writes
    /// nothing if its magnitude is above 2,047.
    fn put_difference(&mut self, codes: &[(u32, u32)], difference: i32) -> Option<()> {
        let category = 32 - difference.unsigned_abs().leading_zeros();
        let &(code, length) = codes.get(category as usize)?;
        self.put(code, length);
        // One is subtracted from a negative number, and its lowest bits are written, as many as its category (ITU T.81,
        // F.1.2.1).
        let low = if difference < 0 { difference - 1 } else { difference };
        self.put(low as u32 & ((1 << category) - 1), category);
        Some(())
    }
}

/// A position in the output of a [`BitSink`].
#[derive(Clone, Copy, Default)]
pub(super) struct OutputMark {
    length: usize,
    pending: u64,
    count: u32,
}

/// A sink that discards its input, to check only whether data can be read.
pub(super) struct Discard;

impl BitSink for Discard {
    fn put(&mut self, _: u32, _: u32) {}

    fn mark(&self) -> OutputMark {
        OutputMark::default()
    }

    fn go_back(&mut self, _: OutputMark) {}
}

pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    pending: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, pending: 0, count: 0 }
    }

    /// Fills the last byte with ones.
    pub(super) fn finish(mut self) {
        let rest = (8 - self.count) % 8;
        self.put((1 << rest) - 1, rest);
    }
}

impl BitSink for BitWriter<'_> {
    fn put(&mut self, value: u32, count: u32) {
        self.pending = self.pending << count | u64::from(value);
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.pending >> self.count) as u8;
            self.out.push(byte);
            if byte == 0xFF {
                self.out.push(0);
            }
        }
    }

    fn mark(&self) -> OutputMark {
        OutputMark { length: self.out.len(), pending: self.pending, count: self.count }
    }

    fn go_back(&mut self, to: OutputMark) {
        self.out.truncate(to.length);
        (self.pending, self.count) = (to.pending, to.count);
    }
}
