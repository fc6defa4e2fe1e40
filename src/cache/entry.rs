//! The format of an entry in a file or object: a header that identifies it, and the value.
//!
//! ```text
//! 0   4  "PXC" and the version of this format, 1
//! 4   4  the kind of entry, in ASCII, truncated or padded with spaces
//! 8  32  the key's subject
//! 40 32  the key's variant
//! 72  8  creation time: milliseconds since 1970, little endian
//! 80  8  length of the value in bytes, little endian
//! 88 32  SHA-256 of bytes 0 to 87 and the value
//! 120    the value
//! ```
//!
//! The header contains the key, so an entry in the wrong place is a miss. The digest covers the other fields and the
//! value, so a damaged entry is a miss.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{CacheKey, Entry};

/// Length of the header in bytes.
pub const HEADER: usize = 120;

/// Number of bytes at the start of the header that the digest covers.
const SIGNED: usize = 88;

const MAGIC: &[u8; 4] = b"PXC\x01";

/// Why no entry could be read from a file.
#[derive(Debug)]
pub enum ReadError {
    Io(io::Error),
    /// The entry is damaged or belongs to another key; the string is the reason.
    Damaged(&'static str),
}

/// The header of an entry.
pub fn header(key: &CacheKey, entry: &Entry) -> [u8; HEADER] {
    let made = entry.made.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let signed = signed(key, u64::try_from(made).unwrap_or(u64::MAX), entry.bytes.len() as u64);
    let digest = Sha256::new_with_prefix(signed).chain_update(&entry.bytes).finalize();
    let mut header = [0; HEADER];
    header[..SIGNED].copy_from_slice(&signed);
    header[SIGNED..].copy_from_slice(&digest);
    header
}

fn signed(key: &CacheKey, made: u64, length: u64) -> [u8; SIGNED] {
    let mut kind = [b' '; 4];
    kind.iter_mut().zip(key.kind.label().bytes()).for_each(|(place, letter)| *place = letter);
    let mut signed = [0; SIGNED];
    let parts: [&[u8]; 6] =
        [MAGIC, &kind, &key.subject, &key.variant, &made.to_le_bytes(), &length.to_le_bytes()];
    let mut at = 0;
    for part in parts {
        signed[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    signed
}

/// Reads a key's entry from its file. The value is read only if the header is valid and matches the file's size.
pub fn read(file: &mut File, key: &CacheKey) -> Result<Entry, ReadError> {
    let size = file.metadata().map_err(ReadError::Io)?.len();
    let mut header = [0; HEADER];
    file.read_exact(&mut header).map_err(cut_short)?;
    let head = EntryHeader::read(&header, key, size).map_err(ReadError::Damaged)?;
    let mut value = vec![0; head.length];
    file.read_exact(&mut value).map_err(cut_short)?;
    head.entry(Bytes::from(value)).map_err(ReadError::Damaged)
}

/// Reads a key's entry from the whole content of an object, without copying the value.
pub fn open(bytes: &Bytes, key: &CacheKey) -> Result<Entry, &'static str> {
    let header = bytes.first_chunk().ok_or(CUT_SHORT)?;
    EntryHeader::read(header, key, bytes.len() as u64)?.entry(bytes.slice(HEADER..))
}

const CUT_SHORT: &str = "it ends too early";

/// A header that belongs to the expected key and matches the size of the file.
struct EntryHeader<'h> {
    header: &'h [u8; HEADER],
    made: u64,
    length: usize,
}

impl<'h> EntryHeader<'h> {
    /// Parses and checks a header. `size` is the length of the header and the value together, in bytes.
    fn read(header: &'h [u8; HEADER], key: &CacheKey, size: u64) -> Result<Self, &'static str> {
        let number = |at: usize| header[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let (made, length) = (number(72), number(80));
        if header[..SIGNED] != signed(key, made, length) {
            return Err("it belongs to another key or has another format");
        }
        if (HEADER as u64).checked_add(length) != Some(size) {
            return Err("it is not as long as its header says");
        }
        let length = usize::try_from(length).map_err(|_| "it is too long for this machine's memory")?;
        Ok(Self { header, made, length })
    }

    /// Returns the entry if its digest matches.
    fn entry(&self, bytes: Bytes) -> Result<Entry, &'static str> {
        let digest = Sha256::new_with_prefix(&self.header[..SIGNED]).chain_update(&bytes).finalize();
        if self.header[SIGNED..] != digest[..] {
            return Err("its checksum is wrong");
        }
        let made = UNIX_EPOCH.checked_add(Duration::from_millis(self.made)).unwrap_or_else(SystemTime::now);
        Ok(Entry { bytes, made })
    }
}

fn cut_short(error: io::Error) -> ReadError {
    match error.kind() {
        ErrorKind::UnexpectedEof => ReadError::Damaged(CUT_SHORT),
        _ => ReadError::Io(error),
    }
}
