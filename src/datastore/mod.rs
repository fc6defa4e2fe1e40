//! Stores clients' files, and results that are not cached, on disk.
//!
//! The number of bytes is limited in total and per client. This module does not depend on HTTP or picture formats.
//! A client's files are in collections, one level deep: `files/OWNER/COLLECTION/FILE`. OWNER is a hash, and names are
//! encoded so that they cannot lead out of their folder (`name`). Temporary files are `temp/RANDOM.EXTENSION`. Every
//! client that knows such a name can read the file for a day.

mod disk;
mod error;
mod folder;
mod name;
mod temp;
mod used_space;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use sha2::{Digest, Sha256};

pub use error::StoreError;
pub use folder::OpenedFile;
pub use name::{Name, NameError};
pub use temp::TEMP_LIFETIME;

use crate::files;
use crate::hex::hex;
use crate::tasks;
use disk::{Inner, counted, page};
use used_space::{IN_A_COLLECTION, disk_size, folder_usage};

/// The file in a collection that stores who may read it. No client's file has this name, because encoded names do not
/// begin with a dot.
const READERS: &str = ".readers";

/// Clients' files and temporary results. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Datastore(Arc<Inner>);

/// The owner of files: the hash of a client's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner(String);

impl Owner {
    /// `client` is the name that rate limits and the ledger use, such as `key:bob`.
    pub fn new(client: &str) -> Self {
        Self(hex(&Sha256::digest(client.as_bytes())))
    }
}

/// The most bytes that may be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// All clients' files together.
    pub all: u64,
    /// One owner's files.
    pub each: u64,
}

/// Which of the [`Bounds`] would be exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundOwner {
    Own,
    All,
}

/// Who may read a collection in addition to its owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readers {
    /// Algorithms that the owner calls.
    #[default]
    Algorithms,
    Nobody,
    /// Every client.
    Everybody,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    pub name: Name,
    pub bytes: u64,
    pub modified: SystemTime,
}

/// One page of a listing, sorted by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileListing<T> {
    pub items: Vec<T>,
    /// Whether more items follow the last one.
    pub more: bool,
}

impl Datastore {
    /// Uses `state_dir/data`, which is created when it is first needed.
    pub fn in_folder(state_dir: &Path) -> Self {
        Self(Arc::new(Inner { root: state_dir.join("data"), used: Mutex::default() }))
    }

    /// Lists at most `most` of an owner's collections, starting after `after`.
    pub async fn collections(
        &self,
        owner: &Owner,
        after: Option<Name>,
        most: usize,
    ) -> Result<FileListing<Name>, StoreError> {
        let folder = self.0.owner(owner);
        self.run(move |inner| {
            if !inner.folder_exists(&folder)? {
                return Ok(FileListing { items: Vec::new(), more: false });
            }
            let is_collection = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
            page(&folder, after.as_ref(), most, is_collection, |name, _| Ok(Some(name)))
        })
        .await
    }

    /// Creates a collection.
    pub async fn create(
        &self,
        owner: &Owner,
        collection: &Name,
        readers: Readers,
        bounds: Bounds,
    ) -> Result<(), StoreError> {
        let (owner, folder) = (owner.clone(), self.0.collection(owner, collection));
        self.run(move |inner| {
            let mut used = inner.used()?;
            let counted = counted(&mut used);
            if inner.folder_exists(&folder)? {
                return Err(StoreError::Exists);
            }
            counted.reserve(&owner.0, disk_size(0), bounds).map_err(StoreError::Full)?;
            // The space is reserved first, so that no folder is created if a limit would be exceeded.
            let made = inner.make_folders(&[&inner.files(), &inner.owner(&owner)]);
            made.and_then(|()| folder::make(&folder).map(drop).map_err(StoreError::io(&folder)))
                .inspect_err(|_| counted.release(&owner.0, disk_size(0)))?;
            drop(used);
            inner.set_readers(&folder, readers)
        })
        .await
    }

    /// Who may read a collection; `None` if it does not exist.
    pub async fn readers(&self, owner: &Owner, collection: &Name) -> Result<Option<Readers>, StoreError> {
        let folder = self.0.collection(owner, collection);
        self.run(move |inner| {
            if !inner.folder_exists(&folder)? {
                return Ok(None);
            }
            let file = folder.join(READERS);
            let opened = folder::open(&file).map_err(StoreError::io(&file))?;
            let text = opened.map(|opened| std::io::read_to_string(opened.file)).transpose();
            Ok(Some(match text.map_err(StoreError::io(&file))?.as_deref() {
                None => Readers::Algorithms,
                Some("everybody") => Readers::Everybody,
                Some(_) => Readers::Nobody,
            }))
        })
        .await
    }

    /// Sets who may read a collection.
    pub async fn set_readers(
        &self,
        owner: &Owner,
        collection: &Name,
        readers: Readers,
    ) -> Result<(), StoreError> {
        let folder = self.0.collection(owner, collection);
        self.run(move |inner| {
            if !inner.folder_exists(&folder)? {
                return Err(StoreError::NoCollection);
            }
            inner.set_readers(&folder, readers)
        })
        .await
    }

    /// Lists at most `most` files of a collection, starting after `after`; `None` if the collection does not exist.
    pub async fn list(
        &self,
        owner: &Owner,
        collection: &Name,
        after: Option<Name>,
        most: usize,
    ) -> Result<Option<FileListing<FileFacts>>, StoreError> {
        let folder = self.0.collection(owner, collection);
        self.run(move |inner| {
            if !inner.folder_exists(&folder)? {
                return Ok(None);
            }
            let is_file = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_file());
            let facts = |name: Name, entry: &fs::DirEntry| {
                // The file may have been deleted since the folder was read.
                let Some(data) = files::there(entry.metadata())? else { return Ok(None) };
                Ok(Some(FileFacts { name, bytes: data.len(), modified: data.modified()? }))
            };
            page(&folder, after.as_ref(), most, is_file, facts).map(Some)
        })
        .await
    }

    /// Opens a file; `None` if it does not exist.
    pub async fn open(
        &self,
        owner: &Owner,
        collection: &Name,
        file: &Name,
    ) -> Result<Option<OpenedFile>, StoreError> {
        let folder = self.0.collection(owner, collection);
        let path = folder.join(file.on_disk());
        self.run(move |inner| {
            if !inner.folder_exists(&folder)? {
                return Ok(None);
            }
            folder::open(&path).map_err(StoreError::io(&path))
        })
        .await
    }

    /// Writes a file atomically, replacing a file of the same name.
    pub async fn write(
        &self,
        owner: &Owner,
        collection: &Name,
        file: &Name,
        bytes: Bytes,
        bounds: Bounds,
    ) -> Result<(), StoreError> {
        let (owner, folder) = (owner.clone(), self.0.collection(owner, collection));
        let path = folder.join(file.on_disk());
        self.run(move |inner| {
            if !inner.folder_exists(&folder)? {
                return Err(StoreError::NoCollection);
            }
            let amount = disk_size(bytes.len() as u64);
            counted(&mut inner.used()?).reserve(&owner.0, amount, bounds).map_err(StoreError::Full)?;
            let placed = inner.place(&path, &bytes);
            let mut used = inner.used()?;
            counted(&mut used).release(&owner.0, if placed.is_ok() { 0 } else { amount });
            let before = placed?;
            counted(&mut used).release(&owner.0, before.map_or(0, disk_size));
            Ok(())
        })
        .await
    }

    /// Deletes a file. Returns whether it existed.
    pub async fn remove(&self, owner: &Owner, collection: &Name, file: &Name) -> Result<bool, StoreError> {
        let (owner, folder) = (owner.clone(), self.0.collection(owner, collection));
        let path = folder.join(file.on_disk());
        self.run(move |inner| {
            if !inner.folder_exists(&folder)? {
                return Ok(false);
            }
            inner.delete_file(&owner, &path)
        })
        .await
    }

    /// Removes a collection, with `force` including its files. Returns the number of files that it contained.
    pub async fn remove_collection(
        &self,
        owner: &Owner,
        collection: &Name,
        force: bool,
    ) -> Result<u64, StoreError> {
        let (owner, folder) = (owner.clone(), self.0.collection(owner, collection));
        self.run(move |inner| {
            let mut used = inner.used()?;
            if !inner.folder_exists(&folder)? {
                return Err(StoreError::NoCollection);
            }
            let entries = folder::entries(&folder).map_err(StoreError::io(&folder))?;
            let files = entries.iter().filter(|entry| entry.file_name() != READERS).count() as u64;
            if files > 0 && !force {
                return Err(StoreError::NotEmpty(files));
            }
            let taken =
                disk_size(0) + folder_usage(&folder, IN_A_COLLECTION).map_err(StoreError::io(&folder))?;
            inner.move_to_removed(&folder)?;
            counted(&mut used).release(&owner.0, taken);
            drop(used);
            inner.delete_removed();
            Ok(files)
        })
        .await
    }

    /// Deletes expired temporary files, removed collections, and files that an interrupted process left half-written.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        self.run(|inner| {
            if !inner.folder_exists(&inner.root)? {
                return Ok(());
            }
            inner.sweep_temp(counted(&mut inner.used()?), u64::MAX)?;
            inner.delete_removed();
            files::remove_abandoned(&inner.parts()).map_err(StoreError::io(&inner.parts()))
        })
        .await
    }

    /// Runs file operations on a blocking thread.
    async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let inner = self.0.clone();
        tasks::spawn_blocking(move || work(&inner)).await.unwrap_or(Err(StoreError::Stopped))
    }
}

#[cfg(test)]
mod tests;
