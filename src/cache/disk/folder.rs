//! The layout of the cache folder. An entry is the file `ab/cd/NAME`, where `ab` and `cd` are the first two bytes of
//! its subject in hexadecimal. Files that are being written are in `tmp/`. Other files in the folder are neither
//! counted nor removed.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::{CacheKey, CacheSubject};
use crate::files::{entries, remove_abandoned, sync, there, write_part};
use crate::hex::hex;

/// The name and the content of the file that marks the folder as a cache. Backup programs skip marked folders
/// (<https://bford.info/cachedir/>).
const TAG: (&str, &str) = (
    "CACHEDIR.TAG",
    "Signature: 8a477f597d28d172789f06886806bc55\n# Results of PixColor. May be deleted at any time.\n",
);

#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// The file of an entry.
#[derive(Debug)]
pub struct EntryFile {
    pub path: PathBuf,
    pub bytes: u64,
    /// The recorded time of the last use. It may be too early by up to `DiskOptions::touch_every`.
    pub used: SystemTime,
}

impl Folder {
    /// Opens a folder, or creates it with access for this user only.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        make(&path)?;
        let tag = path.join(TAG.0);
        if !tag.exists() {
            // An error is ignored, because a read-only folder can still be read.
            let _ = write_part(&path, &[TAG.1.as_bytes()]).and_then(|part| fs::rename(part, tag));
        }
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    fn leaf(&self, subject: &CacheSubject) -> PathBuf {
        self.0.join(hex(&subject[..1])).join(hex(&subject[1..2]))
    }

    /// The path of a key's entry.
    pub fn file(&self, key: &CacheKey) -> PathBuf {
        self.leaf(&key.subject).join(key.to_string())
    }

    /// Writes and syncs a temporary file; returns its path.
    pub fn write(&self, parts: [&[u8]; 2]) -> io::Result<PathBuf> {
        let tmp = self.0.join("tmp");
        make(&tmp)?;
        write_part(&tmp, &parts)
    }

    /// Creates the parent folder of a key's file, and syncs the two folders above it.
    pub fn prepare(&self, key: &CacheKey) -> io::Result<()> {
        let leaf = self.leaf(&key.subject);
        if leaf.is_dir() {
            return Ok(());
        }
        make(&leaf)?;
        leaf.ancestors().skip(1).take(2).try_for_each(sync)
    }

    /// Syncs the folder that contains a key's file.
    pub fn sync(&self, key: &CacheKey) -> io::Result<()> {
        sync(&self.leaf(&key.subject))
    }

    /// The keys of all entries about a subject.
    pub fn list(&self, subject: &CacheSubject) -> io::Result<Vec<CacheKey>> {
        let keys = entries(&self.leaf(subject))?.into_iter().filter_map(|entry| key(&entry));
        Ok(keys.filter(|key| key.subject == *subject).collect())
    }

    /// The files of all entries, in no particular order. Also removes the files that killed processes left in `tmp/`.
    pub fn scan(&self) -> io::Result<Vec<EntryFile>> {
        let mut found = Vec::new();
        for outer in hashed(&self.0)? {
            for leaf in hashed(&outer)? {
                for entry in entries(&leaf)?.iter().filter(|entry| key(entry).is_some()) {
                    // Another process may have evicted this entry.
                    let Some(data) = there(entry.metadata())? else { continue };
                    found.push(EntryFile { path: entry.path(), bytes: data.len(), used: data.modified()? });
                }
            }
        }
        remove_abandoned(&self.0.join("tmp"))?;
        Ok(found)
    }
}

/// Removes a file; returns whether it existed.
pub fn remove(path: &Path) -> io::Result<bool> {
    there(fs::remove_file(path)).map(|removed| removed.is_some())
}

fn key(entry: &fs::DirEntry) -> Option<CacheKey> {
    CacheKey::parse(entry.file_name().to_str()?)
}

/// The subfolders whose names are two hexadecimal digits.
fn hashed(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let digit = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
    let is_hashed = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        name.len() == 2
            && name.iter().copied().all(digit)
            && entry.file_type().is_ok_and(|kind| kind.is_dir())
    };
    Ok(entries(folder)?.into_iter().filter(is_hashed).map(|entry| entry.path()).collect())
}

/// Creates a folder and its parents with access for this user only, because photos are private.
fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(path)
}
