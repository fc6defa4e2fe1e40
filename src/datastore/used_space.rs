//! Counts the disk space that each owner's files, all owners' files together, and temporary files use.
//!
//! The space is counted once, when it is first needed, and then updated with each change. Only one process uses the
//! folder, because it locks `state_dir`.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::folder;
use super::{BoundOwner, Bounds};
use crate::files::there;

/// Levels of folders inside a collection that count as used space.
pub const IN_A_COLLECTION: usize = 1;

/// Bytes that file systems allocate at a time. An empty file also uses space.
const BLOCK: u64 = 4096;

/// The disk space that a file of this length counts as, in bytes. A folder counts as an empty file.
pub const fn disk_size(bytes: u64) -> u64 {
    (bytes / BLOCK + 1) * BLOCK
}

/// Used space, in bytes.
#[derive(Debug, Default)]
pub struct UsedSpace {
    /// By the name of the owner's folder.
    owners: HashMap<String, u64>,
    /// All owners together.
    all: u64,
    /// Temporary files.
    pub temp: u64,
    /// Temporary files that are being written.
    pub temp_pending: u64,
}

impl UsedSpace {
    /// Counts all files in both folders.
    pub fn count(files: &Path, temp: &Path) -> io::Result<Self> {
        let mut used = Self::default();
        for owner in folder::entries(files)? {
            let Ok(name) = owner.file_name().into_string() else { continue };
            let taken = folder_usage(&owner.path(), IN_A_COLLECTION + 1)?;
            used.all += taken;
            used.owners.insert(name, taken);
        }
        used.temp = folder_usage(temp, 0)?;
        Ok(used)
    }

    /// Reserves space, or returns which bound it would exceed.
    pub fn reserve(&mut self, owner: &str, amount: u64, bounds: Bounds) -> Result<(), BoundOwner> {
        let own = self.owners.get(owner).copied().unwrap_or_default();
        if own.saturating_add(amount) > bounds.each {
            return Err(BoundOwner::Own);
        }
        if self.all.saturating_add(amount) > bounds.all {
            return Err(BoundOwner::All);
        }
        self.owners.insert(owner.to_owned(), own + amount);
        self.all += amount;
        Ok(())
    }

    /// Releases space.
    pub fn release(&mut self, owner: &str, amount: u64) {
        self.all = self.all.saturating_sub(amount);
        if let Some(own) = self.owners.get_mut(owner) {
            *own = own.saturating_sub(amount);
        }
    }
}

/// The space used inside a folder, including `deeper` levels of folders. Links do not count.
pub fn folder_usage(path: &Path, deeper: usize) -> io::Result<u64> {
    let mut sum = 0;
    for entry in folder::entries(path)? {
        let Some(data) = there(entry.metadata())? else { continue };
        // Hidden files, such as the one that stores the readers, do not count.
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if data.is_file() {
            sum += disk_size(data.len());
        } else if data.is_dir() && deeper > 0 {
            sum += disk_size(0) + folder_usage(&entry.path(), deeper - 1)?;
        }
    }
    Ok(sum)
}
