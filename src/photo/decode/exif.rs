//! Reads the orientation in EXIF data.
//!
//! The image crate reads an orientation of type SHORT only. Scanners and editors also write BYTE and LONG, and
//! viewers accept them (libexif, ExifTool and browsers read any integer).

use image::metadata::Orientation;

use crate::photo::head::{be16, be32, le16, le32};

/// The tag of the orientation in the first directory (EXIF 2.32, 4.6.4).
const ORIENTATION: u32 = 0x0112;

/// Bytes of a directory entry: tag, type, count, and the value or its offset.
const ENTRY: usize = 12;

/// Reads the orientation from EXIF data that starts with the TIFF header (`II` or `MM`), optionally after `Exif\0\0`.
/// `None` if there is no orientation, or its value is not 1 to 8.
pub(in crate::photo) fn orientation(exif: &[u8]) -> Option<Orientation> {
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let (read16, read32): (ReadInteger, ReadInteger) = match exif.get(..4)? {
        [b'I', b'I', 42, 0] => (le16, le32),
        [b'M', b'M', 0, 42] => (be16, be32),
        _ => return None,
    };
    let directory = read32(exif, 4)? as usize;
    let first = directory.checked_add(2)?;
    let entries = read16(exif, directory)? as usize;
    let mut places = (0..entries).map(|entry| first.saturating_add(entry * ENTRY));
    let entry = places.find(|&at| read16(exif, at) == Some(ORIENTATION))?;
    let kind = read16(exif, entry + 2)?;
    let count = read32(exif, entry + 4)?;
    let (value, length) = match kind {
        BYTE | SBYTE => (exif.get(entry + 8).copied().map(u32::from), 1),
        SHORT | SSHORT => (read16(exif, entry + 8), 2),
        LONG | SLONG => (read32(exif, entry + 8), 4),
        _ => return None,
    };
    // Values that do not fit into the entry are stored elsewhere. If there are several, the first one is used.
    let value = match count {
        0 => return None,
        count if count.saturating_mul(length) <= 4 => value,
        _ => {
            let at = read32(exif, entry + 8)? as usize;
            match length {
                1 => exif.get(at).copied().map(u32::from),
                2 => read16(exif, at),
                _ => read32(exif, at),
            }
        }
    };
    // A negative value becomes a large one here and is rejected as well.
    Orientation::from_exif(u8::try_from(value?).ok()?)
}

type ReadInteger = fn(&[u8], usize) -> Option<u32>;

// TIFF types of integers (TIFF 6.0, section 2).
const BYTE: u32 = 1;
const SHORT: u32 = 3;
const LONG: u32 = 4;
const SBYTE: u32 = 6;
const SSHORT: u32 = 8;
const SLONG: u32 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    /// EXIF with one entry, in either byte order.
    fn exif(little: bool, kind: u16, count: u32, value: &[u8]) -> Vec<u8> {
        let (order, magic) =
            if little { (b"II", 42_u16.to_le_bytes()) } else { (b"MM", 42_u16.to_be_bytes()) };
        let two = |n: u16| if little { n.to_le_bytes() } else { n.to_be_bytes() };
        let four = |n: u32| if little { n.to_le_bytes() } else { n.to_be_bytes() };
        let mut bytes =
            [&order[..], &magic, &four(8), &two(1), &two(0x0112), &two(kind), &four(count)].concat();
        if value.len() <= 4 {
            bytes.extend(value);
            bytes.resize(22, 0);
            bytes.extend(four(0));
        } else {
            bytes.extend(four(26));
            bytes.extend(four(0));
            bytes.extend(value);
        }
        bytes
    }

    #[test]
    fn an_orientation_of_any_integer_type_and_byte_order_is_read() {
        for little in [true, false] {
            let two = if little { 6_u16.to_le_bytes() } else { 6_u16.to_be_bytes() };
            let four = if little { 6_u32.to_le_bytes() } else { 6_u32.to_be_bytes() };
            for (kind, value) in [(1, &[6][..]), (6, &[6]), (3, &two), (8, &two), (4, &four), (9, &four)] {
                for count in [1, 2, 4, 8] {
                    let bytes = exif(little, kind, count, &value.repeat(count as usize));
                    assert_eq!(
                        orientation(&bytes),
                        Some(Orientation::Rotate90),
                        "type {kind}, count {count}"
                    );
                    let prefixed = [b"Exif\0\0", &bytes[..]].concat();
                    assert_eq!(orientation(&prefixed), Some(Orientation::Rotate90));
                }
            }
        }
    }

    #[test]
    fn an_invalid_orientation_is_ignored() {
        for (kind, count, value) in [
            (3, 1, vec![0, 0]),
            (3, 1, vec![9, 0]),
            (1, 1, vec![255]),
            (4, 1, vec![6, 1, 0, 0]),
            (9, 1, vec![0xFF; 4]),
            (3, 0, vec![6, 0]),
            (2, 2, b"6\0".to_vec()),
            (5, 1, vec![6, 0, 0, 0, 1, 0, 0, 0]),
            (3, u32::MAX, vec![6, 0]),
        ] {
            assert_eq!(orientation(&exif(true, kind, count, &value)), None, "type {kind}, {value:?}");
        }
        let good = exif(true, 3, 1, &[6, 0]);
        for end in 0..20 {
            assert_eq!(orientation(&good[..end]), None, "cut at {end}");
        }
        let beyond = [&good[..4], &[0xFF; 4], &good[8..]].concat();
        assert_eq!(orientation(&beyond), None);
    }
}
