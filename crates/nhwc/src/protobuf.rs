//! Reads the wire format of Protocol Buffers from a slice, without copies.
//!
//! A model file is untrusted. Every length is checked against the bytes that are there, nothing is allocated by a
//! length from the file, and nested messages are read by the caller, so that a file cannot exhaust the stack.

/// The bytes are not a Protocol Buffers message, or the message ends too early.
#[derive(Debug, PartialEq)]
pub struct Malformed;

/// The value of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wire<'a> {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    /// A string, bytes, an embedded message or packed numbers.
    Bytes(&'a [u8]),
}

/// Iterates over the fields of a message: each is a field number and a value.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u64, Wire<'a>), Malformed> {
        let key = varint(&mut self.0)?;
        let wire = match key & 7 {
            0 => Wire::Varint(varint(&mut self.0)?),
            1 => Wire::Fixed64(fixed(&mut self.0)?),
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).map_err(|_| Malformed)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            5 => Wire::Fixed32(fixed(&mut self.0)?),
            // Groups are obsolete and ONNX has none.
            _ => return Err(Malformed),
        };
        Ok((key >> 3, wire))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| self.field())
    }
}

impl<'a> Wire<'a> {
    /// The text of a string field.
    pub fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    pub fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed),
        }
    }

    pub fn int(self) -> Result<i64, Malformed> {
        match self {
            Wire::Varint(value) => Ok(value.cast_signed()),
            _ => Err(Malformed),
        }
    }

    pub fn float(self) -> Result<f32, Malformed> {
        match self {
            Wire::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(Malformed),
        }
    }

    /// Appends the value of a repeated integer field, packed or not.
    pub fn ints(self, to: &mut Vec<i64>) -> Result<(), Malformed> {
        let Wire::Bytes(mut bytes) = self else {
            to.push(self.int()?);
            return Ok(());
        };
        while !bytes.is_empty() {
            to.push(varint(&mut bytes)?.cast_signed());
        }
        Ok(())
    }

    /// Appends the value of a repeated float field, packed or not.
    pub fn floats(self, to: &mut Vec<f32>) -> Result<(), Malformed> {
        let Wire::Bytes(bytes) = self else {
            to.push(self.float()?);
            return Ok(());
        };
        let (values, []) = bytes.as_chunks::<4>() else { return Err(Malformed) };
        to.extend(values.iter().map(|value| f32::from_le_bytes(*value)));
        Ok(())
    }
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

fn fixed<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (value, rest) = bytes.split_first_chunk::<N>().ok_or(Malformed)?;
    *bytes = rest;
    Ok(*value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_wire_type_are_read() {
        let bytes =
            [0x08, 0x96, 0x01, 0x15, 0, 0, 0x80, 0x3f, 0x1a, 2, b'h', b'i', 0x21, 1, 0, 0, 0, 0, 0, 0, 0];
        let fields: Result<Vec<_>, _> = Fields(&bytes).collect();
        let fields = fields.unwrap();
        assert_eq!(fields[0], (1, Wire::Varint(150)));
        assert_eq!(fields[1].1.float(), Ok(1.0));
        assert_eq!(fields[2].1.text(), Ok("hi"));
        assert_eq!(fields[3], (4, Wire::Fixed64([1, 0, 0, 0, 0, 0, 0, 0])));
    }

    #[test]
    fn a_length_beyond_the_end_is_malformed() {
        let huge = [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1];
        for bytes in [&huge[..], &[0x0a, 2, 1], &[0x08], &[0x0d, 1, 2], &[0x0b], &[0x80; 12]] {
            assert_eq!(Fields(bytes).next(), Some(Err(Malformed)));
        }
    }
}
