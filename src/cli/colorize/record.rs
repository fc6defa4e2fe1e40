//! A record of the journal: a result, its original, and how one became the other.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hex::{hex, unhex};

/// Size and time of the last change: while they are equal, a file is taken to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    pub size: u64,
    /// Nanoseconds since 1970.
    pub modified: i64,
}

impl From<&Metadata> for Stamp {
    fn from(data: &Metadata) -> Self {
        let modified = data.mtime().saturating_mul(1_000_000_000).saturating_add(data.mtime_nsec());
        Self { size: data.size(), modified }
    }
}

/// A file's content as it was when its stamp was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    #[serde(flatten)]
    pub stamp: Stamp,
    #[serde(with = "digest")]
    pub sha256: [u8; 32],
}

impl Content {
    /// Whether a file still has this content: by its stamp, or if that differs or `checksum` is set, by its SHA-256.
    pub fn is_in(&self, path: &Path, stamp: Stamp, checksum: bool) -> io::Result<bool> {
        if stamp.size != self.stamp.size {
            return Ok(false);
        }
        Ok(stamp == self.stamp && !checksum || sha256_of(path)? == self.sha256)
    }
}

/// The SHA-256 of a file, read in pieces.
pub fn sha256_of(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hash.finalize().into()),
            length => hash.update(&piece[..length]),
        }
    }
}

/// One result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The result's path: relative to the results folder, or absolute in the user's journal.
    #[serde(with = "path_text")]
    pub output: PathBuf,
    pub result: Content,
    #[serde(with = "path_text")]
    pub input: PathBuf,
    pub original: Content,
    /// A hash of everything but the input that decides about the result.
    pub settings: String,
    pub width: u32,
    pub height: u32,
    pub provider: Option<String>,
    pub model: Option<String>,
    /// The cost in credits, or "unknown".
    pub credits: String,
    pub money: Option<String>,
    pub cached: bool,
    /// What is missing if the original is damaged.
    #[serde(default)]
    pub damage: Option<String>,
}

/// A path for people and programs: as it is, or percent-encoded if it is not UTF-8.
pub fn shown(path: &Path) -> String {
    path.to_str().map_or_else(|| encoded(path), str::to_owned)
}

/// A SHA-256 as hexadecimal digits.
mod digest {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(sha256: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::hex(sha256))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        super::unhex(&text).ok_or_else(|| de::Error::custom("not a SHA-256"))
    }
}

/// A path as text. Bytes that are not UTF-8 are percent-encoded, and so is `%`.
mod path_text {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::encoded(path))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::decoded(&text).ok_or_else(|| de::Error::custom("not a path"))
    }
}

fn encoded(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("%{byte:02X}")));
    }
    text
}

fn decoded(text: &str) -> Option<PathBuf> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(&part.as_bytes()[2..]);
    }
    Some(OsString::from_vec(bytes).into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_the_same_by_its_stamp_or_else_by_its_checksum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "one").unwrap();
        let stamp = Stamp::from(&fs::metadata(&path).unwrap());
        let same = Content { stamp, sha256: sha256_of(&path).unwrap() };
        let touched = Content { stamp: Stamp { modified: 0, ..stamp }, ..same };
        let other = Content { sha256: [0; 32], ..same };
        let is_in = |content: Content, checksum| content.is_in(&path, stamp, checksum).unwrap();
        assert!(is_in(same, false) && is_in(same, true) && is_in(touched, false));
        assert!(is_in(other, false), "equal stamps are believed without --checksum");
        assert!(!is_in(other, true));
        let longer = Content { stamp: Stamp { size: 4, ..stamp }, ..same };
        assert!(!is_in(longer, false));
    }

    proptest::proptest! {
        #[test]
        fn any_path_is_written_and_read(bytes: Vec<u8>) {
            let path = PathBuf::from(OsString::from_vec(bytes));
            proptest::prop_assert_eq!(decoded(&encoded(&path)), Some(path));
        }
    }
}
