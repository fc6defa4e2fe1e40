//! What is done with files and folders, and with the room that they take.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::folder;
use super::name::Name;
use super::room::{UsedSpace, weight};
use super::{FileListing, Owner, READERS, Readers, StoreError};
use crate::files;

/// The folder, and how much room is taken in it.
#[derive(Debug)]
pub struct Inner {
    /// Everything is below it.
    pub root: PathBuf,
    /// None until it is first needed.
    pub room: Mutex<Option<UsedSpace>>,
}

impl Inner {
    /// Collections, by owner.
    pub fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    /// What is half-written.
    pub fn parts(&self) -> PathBuf {
        self.root.join("parts")
    }

    /// An owner's collections.
    pub fn owner(&self, owner: &Owner) -> PathBuf {
        self.files().join(&owner.0)
    }

    /// A collection's files.
    pub fn collection(&self, owner: &Owner, collection: &Name) -> PathBuf {
        self.owner(owner).join(collection.on_disk())
    }

    /// What is taken, counted if it has not been yet.
    pub fn room(&self) -> Result<MutexGuard<'_, Option<UsedSpace>>, StoreError> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        if room.is_none() {
            *room = Some(UsedSpace::count(&self.files(), &self.temp()).map_err(StoreError::io(&self.root))?);
        }
        Ok(room)
    }

    /// Whether a folder of ours is there, and every folder above it is one.
    pub fn is_there(&self, folder: &Path) -> Result<bool, StoreError> {
        let mut above: Vec<&Path> =
            folder.ancestors().take_while(|path| path.starts_with(&self.root)).collect();
        above.reverse();
        for path in above {
            if !folder::is_folder(path).map_err(StoreError::io(path))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes folders, and the root above them.
    pub fn make_all(&self, folders: &[&Path]) -> Result<(), StoreError> {
        if let Some(state_dir) = self.root.parent() {
            fs::create_dir_all(state_dir).map_err(StoreError::io(state_dir))?;
        }
        for folder in std::iter::once(&self.root.as_path()).chain(folders) {
            folder::make(folder).map_err(StoreError::io(folder))?;
        }
        Ok(())
    }

    /// Collections on their way out.
    fn aside(&self) -> PathBuf {
        self.root.join("removed")
    }

    /// Takes a collection out of sight at once, whatever is being written to it.
    pub fn set_aside(&self, collection: &Path) -> Result<(), StoreError> {
        let aside = self.aside();
        self.make_all(&[&aside])?;
        let gone = aside.join(uuid::Uuid::new_v4().to_string());
        fs::rename(collection, gone).map_err(StoreError::io(collection))?;
        // After a power cut it is still gone.
        collection.parent().into_iter().chain([aside.as_path()]).for_each(folder::settle);
        Ok(())
    }

    /// Frees what the collections set aside take on the disk. What cannot be freed now goes with the next sweep.
    pub fn remove_set_aside(&self) {
        let removed = files::entries(&self.aside()).and_then(|entries| {
            let remove = |entry: &fs::DirEntry| files::there(fs::remove_dir_all(entry.path())).map(drop);
            entries.iter().map(remove).fold(Ok(()), std::io::Result::and)
        });
        if let Err(error) = removed {
            tracing::warn!("{}: what clients have removed still takes room: {error}", self.aside().display());
        }
    }

    /// Has a file at `path`, whole or not at all; gives the length of the one that was there.
    pub fn place(&self, path: &Path, bytes: &[u8]) -> Result<Option<u64>, StoreError> {
        let parts = self.parts();
        self.make_all(&[&parts])?;
        let part = files::write_part(&parts, &[bytes]).map_err(StoreError::io(path))?;
        // Nobody else replaces it in between.
        let _room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let placed = folder::size(path).and_then(|before| folder::place(&part, path).map(|()| before));
        if placed.is_err() {
            // What is left over goes with the next sweep.
            let _ = fs::remove_file(&part);
        }
        match (placed, path.parent()) {
            (Err(error), Some(folder)) if error.kind() == ErrorKind::NotFound && !folder.exists() => {
                Err(StoreError::NoCollection)
            }
            (placed, _) => placed.map_err(StoreError::io(path)),
        }
    }

    /// Removes a file and gives its room back; whether it was there.
    pub fn take_away(&self, owner: &Owner, path: &Path) -> Result<bool, StoreError> {
        let mut room = self.room()?;
        let Some(bytes) = folder::size(path).map_err(StoreError::io(path))? else { return Ok(false) };
        fs::remove_file(path).map_err(StoreError::io(path))?;
        room_of(&mut room).give(&owner.0, weight(bytes));
        Ok(true)
    }

    /// Says who may read a collection: a few bytes, which nobody is charged for.
    pub fn set_readers(&self, folder: &Path, readers: Readers) -> Result<(), StoreError> {
        let file = folder.join(READERS);
        let word = match readers {
            Readers::Algorithms => {
                return files::there(fs::remove_file(&file)).map(drop).map_err(StoreError::io(&file));
            }
            Readers::Nobody => "nobody",
            Readers::Everybody => "everybody",
        };
        self.place(&file, word.as_bytes()).map(drop)
    }
}

/// The room behind a lock, which has been counted.
pub fn room_of<'r>(room: &'r mut MutexGuard<'_, Option<UsedSpace>>) -> &'r mut UsedSpace {
    room.get_or_insert_default()
}

/// What is in a folder after a name, as `facts` says it; at most `most`.
pub fn page<T>(
    folder: &Path,
    after: Option<&Name>,
    most: usize,
    is: impl Fn(&fs::DirEntry) -> bool,
    facts: impl Fn(Name, &fs::DirEntry) -> std::io::Result<Option<T>>,
) -> Result<FileListing<T>, StoreError> {
    let entries = folder::entries(folder).map_err(StoreError::io(folder))?;
    let named = entries
        .iter()
        .filter(|entry| is(entry))
        .filter_map(|entry| Some((Name::from_disk(entry.file_name().to_str()?)?, entry)));
    let mut named: Vec<_> = named.filter(|(name, _)| after.is_none_or(|after| name > after)).collect();
    named.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let more = named.len() > most;
    named.truncate(most);
    let items = named.into_iter().filter_map(|(name, entry)| facts(name, entry).transpose());
    let items = items.collect::<std::io::Result<_>>().map_err(StoreError::io(folder))?;
    Ok(FileListing { items, more })
}
