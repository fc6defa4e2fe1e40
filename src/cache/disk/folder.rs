//! The folder: `ab/cd/NAME` for a value, by the first bytes of its subject, and `tmp/` for what is being
//! written. Only files whose names are keys are ever counted or removed; anything else is somebody else's.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::{CacheKey, CacheSubject};
use crate::files::{entries, remove_abandoned, sync, there, write_part};
use crate::hex::hex;

/// See <https://bford.info/cachedir/>: backups leave such folders out.
const TAG: (&str, &str) = (
    "CACHEDIR.TAG",
    "Signature: 8a477f597d28d172789f06886806bc55\n# Results of PixColor. May be deleted at any time.\n",
);

/// A folder with values.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// A value's file.
#[derive(Debug)]
pub struct EntryFile {
    pub path: PathBuf,
    pub bytes: u64,
    /// When it was last used, to about a minute.
    pub used: SystemTime,
}

impl Folder {
    /// Takes a folder, and makes it if it is not there, for this user's eyes alone.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        make(&path)?;
        let tag = path.join(TAG.0);
        if !tag.exists() {
            // A folder that can only be read is of use, too.
            let _ = write_part(&path, &[TAG.1.as_bytes()]).and_then(|part| fs::rename(part, tag));
        }
        Ok(Self(path))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn leaf(&self, subject: &CacheSubject) -> PathBuf {
        self.0.join(hex(&subject[..1])).join(hex(&subject[1..2]))
    }

    /// Where the value of a key is.
    pub fn file(&self, key: &CacheKey) -> PathBuf {
        self.leaf(&key.subject).join(key.to_string())
    }

    /// Writes a new file that nobody sees yet, and has it on the disk.
    pub fn write(&self, parts: [&[u8]; 2]) -> io::Result<PathBuf> {
        let tmp = self.0.join("tmp");
        make(&tmp)?;
        write_part(&tmp, &parts)
    }

    /// Makes sure that a key's file has a folder to be in.
    pub fn prepare(&self, key: &CacheKey) -> io::Result<()> {
        let leaf = self.leaf(&key.subject);
        if leaf.is_dir() {
            return Ok(());
        }
        make(&leaf)?;
        leaf.ancestors().skip(1).take(2).try_for_each(sync)
    }

    /// Has a key's name on the disk.
    pub fn sync(&self, key: &CacheKey) -> io::Result<()> {
        sync(&self.leaf(&key.subject))
    }

    /// The keys of everything about a subject.
    pub fn list(&self, subject: &CacheSubject) -> io::Result<Vec<CacheKey>> {
        let keys = entries(&self.leaf(subject))?.into_iter().filter_map(|entry| key(&entry));
        Ok(keys.filter(|key| key.subject == *subject).collect())
    }

    /// Every value's file, in no order. Removes what killed processes have left in `tmp/`.
    pub fn scan(&self) -> io::Result<Vec<EntryFile>> {
        let mut found = Vec::new();
        for outer in hashed(&self.0)? {
            for leaf in hashed(&outer)? {
                for entry in entries(&leaf)?.iter().filter(|entry| key(entry).is_some()) {
                    // Gone meanwhile: another process makes room, too.
                    let Some(data) = there(entry.metadata())? else { continue };
                    found.push(EntryFile { path: entry.path(), bytes: data.len(), used: data.modified()? });
                }
            }
        }
        remove_abandoned(&self.0.join("tmp"))?;
        Ok(found)
    }
}

/// Removes a file; whether it was there.
pub fn remove(path: &Path) -> io::Result<bool> {
    there(fs::remove_file(path)).map(|removed| removed.is_some())
}

fn key(entry: &fs::DirEntry) -> Option<CacheKey> {
    CacheKey::parse(entry.file_name().to_str()?)
}

/// The folders in a folder whose names are two hexadecimal digits.
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

/// Makes a folder and those above it. Photographs are private: nobody else may look.
fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(path)
}
