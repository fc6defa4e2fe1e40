//! Temporary files with random names, which clients can fetch for a day.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::disk::{Inner, counted};
use super::folder::{self, OpenedFile};
use super::used_space::{UsedSpace, disk_size};
use super::{BoundOwner, Datastore, StoreError};
use crate::files::there;

/// How long a temporary file is available.
pub const TEMP_LIFETIME: Duration = Duration::from_secs(24 * 3600);

impl Datastore {
    /// Stores a file for a day and returns its name. `extension` has 1 to 4 lower-case letters. If all temporary files
    /// together would exceed `most` bytes, the oldest ones are deleted.
    pub async fn write_temp(
        &self,
        bytes: Bytes,
        extension: &'static str,
        most: u64,
    ) -> Result<String, StoreError> {
        let name = format!("{}.{extension}", uuid::Uuid::new_v4().simple());
        let path = self.0.temp().join(&name);
        self.run(move |inner| {
            let amount = disk_size(bytes.len() as u64);
            if amount > most {
                return Err(StoreError::Full(BoundOwner::All));
            }
            inner.make_folders(&[&inner.temp()])?;
            {
                let mut used = inner.used()?;
                let used = counted(&mut used);
                let wanted = used.temp_pending.saturating_add(amount);
                if used.temp.saturating_add(wanted) > most {
                    // Files that are being written cannot be deleted to free space.
                    let left = most.checked_sub(wanted).ok_or(StoreError::Full(BoundOwner::All))?;
                    inner.sweep_temp(used, left)?;
                }
                used.temp_pending = wanted;
            }
            let placed = inner.place(&path, &bytes);
            let mut used = inner.used()?;
            let used = counted(&mut used);
            used.temp_pending = used.temp_pending.saturating_sub(amount);
            placed.map(|_| used.temp += amount)
        })
        .await?;
        Ok(name)
    }

    /// Opens a temporary file; `None` if it does not exist or has expired.
    pub async fn open_temp(&self, name: &str) -> Result<Option<OpenedFile>, StoreError> {
        if !is_temp_name(name) {
            return Ok(None);
        }
        let path = self.0.temp().join(name);
        self.run(move |inner| {
            if !inner.folder_exists(&inner.temp())? {
                return Ok(None);
            }
            let opened = folder::open(&path).map_err(StoreError::io(&path))?;
            Ok(opened.filter(|opened| !is_expired(opened.modified)))
        })
        .await
    }
}

impl Inner {
    pub(super) fn temp(&self) -> PathBuf {
        self.root.join("temp")
    }

    /// Deletes expired files, and then the oldest of the others until at most `most` bytes remain.
    pub(super) fn sweep_temp(&self, used: &mut UsedSpace, most: u64) -> Result<(), StoreError> {
        let folder = self.temp();
        if !self.folder_exists(&folder)? {
            return Ok(());
        }
        let io = || StoreError::io(&folder);
        let mut files = Vec::new();
        for entry in folder::entries(&folder).map_err(io())? {
            let Some(data) = there(entry.metadata()).map_err(io())? else { continue };
            if data.is_file() {
                files.push((data.modified().map_err(io())?, disk_size(data.len()), entry.path()));
            }
        }
        files.sort_unstable_by_key(|(modified, ..)| *modified);
        let mut taken: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (modified, bytes, path) in files {
            if !is_expired(modified) && taken <= most {
                break;
            }
            there(fs::remove_file(path)).map_err(io())?;
            taken -= bytes;
        }
        used.temp = taken;
        Ok(())
    }
}

/// Whether a name has 32 hexadecimal digits, a dot and 1 to 4 letters.
fn is_temp_name(name: &str) -> bool {
    name.split_once('.').is_some_and(|(random, extension)| {
        random.len() == 32
            && random.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            && (1..=4).contains(&extension.len())
            && extension.bytes().all(|b| b.is_ascii_lowercase())
    })
}

/// Whether a file has expired. A file with a modification time in the future, written before the clock was corrected,
/// has not expired.
fn is_expired(modified: SystemTime) -> bool {
    modified.elapsed().is_ok_and(|age| age >= TEMP_LIFETIME)
}
