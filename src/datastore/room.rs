//! How much room is taken: by each owner, by all of them, and by temporary files. It is counted once, when it is
//! first needed, and kept up to date from then on: one process has the folder, that which has `state_dir`.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::folder;
use super::{BoundOwner, Bounds};
use crate::files::there;

/// How deep below a collection is looked for what takes room.
pub const IN_A_COLLECTION: usize = 1;

/// What file systems give out at a time: an empty file takes room, too.
const BLOCK: u64 = 4096;

/// What a file of this length, or a folder (0), takes.
pub const fn weight(bytes: u64) -> u64 {
    (bytes / BLOCK + 1) * BLOCK
}

/// What is taken, in bytes.
#[derive(Debug, Default)]
pub struct UsedSpace {
    /// By owner, as their folders are called.
    owners: HashMap<String, u64>,
    /// By all owners.
    all: u64,
    /// By temporary files.
    pub temp: u64,
    /// By those that are being written.
    pub temp_coming: u64,
}

impl UsedSpace {
    /// Looks at everything that is there.
    pub fn count(files: &Path, temp: &Path) -> io::Result<Self> {
        let mut room = Self::default();
        for owner in folder::entries(files)? {
            let Ok(name) = owner.file_name().into_string() else { continue };
            let taken = taken(&owner.path(), IN_A_COLLECTION + 1)?;
            room.all += taken;
            room.owners.insert(name, taken);
        }
        room.temp = taken(temp, 0)?;
        Ok(room)
    }

    /// Sets room aside, or says who has too much.
    pub fn take(&mut self, owner: &str, amount: u64, bounds: Bounds) -> Result<(), BoundOwner> {
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

    /// Gives room back.
    pub fn give(&mut self, owner: &str, amount: u64) {
        self.all = self.all.saturating_sub(amount);
        if let Some(own) = self.owners.get_mut(owner) {
            *own = own.saturating_sub(amount);
        }
    }
}

/// What is taken inside a folder, down to so many folders more. Links are nobody's.
pub fn taken(path: &Path, deeper: usize) -> io::Result<u64> {
    let mut sum = 0;
    for entry in folder::entries(path)? {
        let Some(data) = there(entry.metadata())? else { continue };
        // What is beside the files is nobody's.
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if data.is_file() {
            sum += weight(data.len());
        } else if data.is_dir() && deeper > 0 {
            sum += weight(0) + taken(&entry.path(), deeper - 1)?;
        }
    }
    Ok(sum)
}
