//! Files under names that nobody can guess, for a day: what a client fetches once.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::disk::{Inner, room_of};
use super::folder::{self, OpenedFile};
use super::room::{UsedSpace, weight};
use super::{BoundOwner, Datastore, StoreError};
use crate::files::there;

/// How long a temporary file is there.
pub const LIFE: Duration = Duration::from_secs(24 * 3600);

impl Datastore {
    /// Keeps a file for a day, and gives its name; `extension` is of letters. Where there is no room, the oldest go.
    pub async fn write_temp(
        &self,
        bytes: Bytes,
        extension: &'static str,
        most: u64,
    ) -> Result<String, StoreError> {
        let name = format!("{}.{extension}", uuid::Uuid::new_v4().simple());
        let path = self.0.temp().join(&name);
        self.run(move |inner| {
            let amount = weight(bytes.len() as u64);
            if amount > most {
                return Err(StoreError::Full(BoundOwner::All));
            }
            inner.make_all(&[&inner.temp()])?;
            {
                let mut room = inner.room()?;
                let room = room_of(&mut room);
                let wanted = room.temp_coming.saturating_add(amount);
                if room.temp.saturating_add(wanted) > most {
                    // What others are writing cannot go.
                    let left = most.checked_sub(wanted).ok_or(StoreError::Full(BoundOwner::All))?;
                    inner.sweep_temp(room, left)?;
                }
                room.temp_coming = wanted;
            }
            let placed = inner.place(&path, &bytes);
            let mut room = inner.room()?;
            let room = room_of(&mut room);
            room.temp_coming = room.temp_coming.saturating_sub(amount);
            placed.map(|_| room.temp += amount)
        })
        .await?;
        Ok(name)
    }

    /// Opens a temporary file; none where there is none, or not any more.
    pub async fn open_temp(&self, name: &str) -> Result<Option<OpenedFile>, StoreError> {
        if !is_temp_name(name) {
            return Ok(None);
        }
        let path = self.0.temp().join(name);
        self.run(move |inner| {
            if !inner.is_there(&inner.temp())? {
                return Ok(None);
            }
            let opened = folder::open(&path).map_err(StoreError::io(&path))?;
            Ok(opened.filter(|opened| !is_over(opened.modified)))
        })
        .await
    }
}

impl Inner {
    pub(super) fn temp(&self) -> PathBuf {
        self.root.join("temp")
    }

    /// Removes what is over, and above `most` bytes the oldest.
    pub(super) fn sweep_temp(&self, room: &mut UsedSpace, most: u64) -> Result<(), StoreError> {
        let folder = self.temp();
        if !self.is_there(&folder)? {
            return Ok(());
        }
        let io = || StoreError::io(&folder);
        let mut files = Vec::new();
        for entry in folder::entries(&folder).map_err(io())? {
            let Some(data) = there(entry.metadata()).map_err(io())? else { continue };
            if data.is_file() {
                files.push((data.modified().map_err(io())?, weight(data.len()), entry.path()));
            }
        }
        files.sort_unstable_by_key(|(modified, ..)| *modified);
        let mut taken: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (modified, bytes, path) in files {
            if !is_over(modified) && taken <= most {
                break;
            }
            there(fs::remove_file(path)).map_err(io())?;
            taken -= bytes;
        }
        room.temp = taken;
        Ok(())
    }
}

/// 32 hexadecimal digits, a dot and letters.
fn is_temp_name(name: &str) -> bool {
    name.split_once('.').is_some_and(|(random, extension)| {
        random.len() == 32
            && random.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            && (1..=4).contains(&extension.len())
            && extension.bytes().all(|b| b.is_ascii_lowercase())
    })
}

/// Whether a file's day is over. One from the future, by a clock since corrected, is new.
fn is_over(modified: SystemTime) -> bool {
    modified.elapsed().is_ok_and(|age| age >= LIFE)
}
