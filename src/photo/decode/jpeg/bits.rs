//! Entropy-coded data of a JPEG (ITU T.81, annex F), as far as DC coefficients need it: Huffman codes,
//! reading and writing.

/// The DC code of ITU T.81, table K.3: how many codes have each length, for categories 0 to 11.
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

/// A Huffman code: for each length the first code, how many there are, and their values.
pub(super) struct Codes {
    lengths: [u8; 16],
    values: Vec<u8>,
}

impl Codes {
    pub(super) fn new(lengths: &[u8; 16], values: &[u8]) -> Self {
        Self { lengths: *lengths, values: values.to_vec() }
    }
}

/// Reads entropy-coded data.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    byte: u8,
    left: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, byte: 0, left: 0 }
    }

    /// The next bit; none at a marker or the end.
    pub(super) fn bit(&mut self) -> Option<u32> {
        if self.left == 0 {
            self.byte = *self.data.get(self.at)?;
            self.at += 1;
            if self.byte == 0xFF {
                (*self.data.get(self.at)? == 0).then_some(())?;
                self.at += 1;
            }
            self.left = 8;
        }
        self.left -= 1;
        Some(u32::from(self.byte >> self.left) & 1)
    }

    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |value, _| Some(value << 1 | self.bit()?))
    }

    /// A difference of DC coefficients (ITU T.81, F.2.2.1).
    pub(super) fn difference(&mut self, codes: &Codes) -> Option<i32> {
        let (mut code, mut first, mut passed) = (0, 0, 0);
        for &count in &codes.lengths {
            code = code << 1 | self.bit()?;
            first <<= 1;
            let count = u32::from(count);
            if code < first + count {
                let category = u32::from(*codes.values.get((passed + code.checked_sub(first)?) as usize)?);
                (category <= 15).then_some(())?;
                let value = self.take(category)? as i32;
                let negative = category > 0 && value < 1 << (category - 1);
                return Some(if negative { value - (1 << category) + 1 } else { value });
            }
            first += count;
            passed += count;
        }
        None
    }

    /// Goes on behind the next restart marker.
    pub(super) fn restart(&mut self) -> Option<()> {
        self.left = 0;
        while *self.data.get(self.at)? != 0xFF || *self.data.get(self.at + 1)? == 0xFF {
            self.at += 1;
        }
        matches!(self.data.get(self.at + 1)?, 0xD0..=0xD7).then_some(())?;
        self.at += 2;
        Some(())
    }
}

/// Writes entropy-coded data.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    pending: u64,
    count: u32,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, pending: 0, count: 0 }
    }

    pub(super) fn put(&mut self, value: u32, count: u32) {
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

    /// Fills the last byte with ones.
    pub(super) fn finish(mut self) {
        let rest = (8 - self.count) % 8;
        self.put((1 << rest) - 1, rest);
    }
}
