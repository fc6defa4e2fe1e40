//! File operations of the datastore, and its count of used space.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::folder;
use super::name::Name;
use super::used_space::{UsedSpace, disk_size};
use super::{FileListing, Owner, READERS, Readers, StoreError};
use crate::files;

/// The datastore's folder and the space used in it.
#[derive(Debug)]
pub struct Inner {
    /// All files are below this folder.
    pub root: PathBuf,
    /// `None` until the space is first counted.
    pub used: Mutex<Option<UsedSpace>>,
}

impl Inner {
    /// The folder with one folder per owner.
    pub fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    /// The folder for files that are being written.
    pub fn parts(&self) -> PathBuf {
        self.root.join("parts")
    }

    /// The folder with an owner's collections.
    pub fn owner(&self, owner: &Owner) -> PathBuf {
        self.files().join(&owner.0)
    }

    /// The folder with a collection's files.
    pub fn collection(&self, owner: &Owner, collection: &Name) -> PathBuf {
        self.owner(owner).join(collection.on_disk())
    }

    /// The used space. The first call counts it.
    pub fn used(&self) -> Result<MutexGuard<'_, Option<UsedSpace>>, StoreError> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.is_none() {
            *used = Some(UsedSpace::count(&self.files(), &self.temp()).map_err(StoreError::io(&self.root))?);
        }
        Ok(used)
    }

    /// Whether a folder exists. Anything else at its path, or at a parent's path up to the root, is an error.
    pub fn folder_exists(&self, folder: &Path) -> Result<bool, StoreError> {
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

    /// Creates the state folder, the root and these folders, if they do not exist.
    pub fn make_folders(&self, folders: &[&Path]) -> Result<(), StoreError> {
        if let Some(state_dir) = self.root.parent() {
            fs::create_dir_all(state_dir).map_err(StoreError::io(state_dir))?;
        }
        for folder in std::iter::once(&self.root.as_path()).chain(folders) {
            folder::make(folder).map_err(StoreError::io(folder))?;
        }
        Ok(())
    }

    /// The folder for removed collections whose files are not deleted yet.
    fn aside(&self) -> PathBuf {
        self.root.join("removed")
    }

    /// Removes a collection by moving it out of its owner's folder. This is one atomic step, even while a file is being
    /// written to the collection.
    pub fn move_to_removed(&self, collection: &Path) -> Result<(), StoreError> {
        let aside = self.aside();
        self.make_folders(&[&aside])?;
        let gone = aside.join(uuid::Uuid::new_v4().to_string());
        fs::rename(collection, gone).map_err(StoreError::io(collection))?;
        // Makes the removal survive a power failure.
        collection.parent().into_iter().chain([aside.as_path()]).for_each(folder::sync_entries);
        Ok(())
    }

    /// Deletes the files of removed collections. The next sweep retries what fails.
    pub fn delete_removed(&self) {
        let removed = files::entries(&self.aside()).and_then(|entries| {
            let remove = |entry: &fs::DirEntry| files::there(fs::remove_dir_all(entry.path())).map(drop);
            entries.iter().map(remove).fold(Ok(()), std::io::Result::and)
        });
        if let Err(error) = removed {
            tracing::warn!(
                "{}: files of removed collections cannot be deleted and still use disk space: {error}",
                self.aside().display()
            );
        }
    }

    /// Writes a file atomically. Returns the length of the file that was replaced; `None` if there was none.
    pub fn place(&self, path: &Path, bytes: &[u8]) -> Result<Option<u64>, StoreError> {
        let parts = self.parts();
        self.make_folders(&[&parts])?;
        let part = files::write_part(&parts, &[bytes]).map_err(StoreError::io(path))?;
        // The lock prevents another thread from replacing the file between reading its length and renaming.
        let _lock = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let placed = folder::size(path).and_then(|before| folder::place(&part, path).map(|()| before));
        if placed.is_err() {
            // If this fails, a later sweep deletes the file.
            let _ = fs::remove_file(&part);
        }
        match (placed, path.parent()) {
            (Err(error), Some(folder)) if error.kind() == ErrorKind::NotFound && !folder.exists() => {
                Err(StoreError::NoCollection)
            }
            (placed, _) => placed.map_err(StoreError::io(path)),
        }
    }

    /// Deletes a file and releases its space. Returns whether the file existed.
    pub fn delete_file(&self, owner: &Owner, path: &Path) -> Result<bool, StoreError> {
        let mut used = self.used()?;
        let Some(bytes) = folder::size(path).map_err(StoreError::io(path))? else { return Ok(false) };
        fs::remove_file(path).map_err(StoreError::io(path))?;
        counted(&mut used).release(&owner.0, disk_size(bytes));
        Ok(true)
    }

    /// Stores a collection's readers in the file [`READERS`]. Without that file they are [`Readers::Algorithms`]. The
    /// file is tiny and does not count as used space.
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

/// The counted space behind the lock that [`Inner::used`] returns.
pub fn counted<'r>(used: &'r mut MutexGuard<'_, Option<UsedSpace>>) -> &'r mut UsedSpace {
    used.get_or_insert_default()
}

/// Lists those entries of a folder that `is` accepts, sorted by name and converted by `facts`. Returns at most `most`
/// entries, beginning after the name `after`.
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
