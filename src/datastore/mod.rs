//! Files of clients, for as long as they want them, and results that clients fetch once and that the cache does
//! not keep. Both on disk, bounded in bytes, and by client.
//!
//! This room knows names and bytes, and nothing of HTTP or pictures. A client's files are in collections, one level
//! deep: `files/OWNER/COLLECTION/FILE`, where OWNER is a hash and names are spelt so that they cannot lead
//! elsewhere (`name`). Temporary files are `temp/RANDOM.EXTENSION`: whoever knows the name may read them, for a day.

mod disk;
mod error;
mod folder;
mod name;
mod room;
mod temp;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use sha2::{Digest, Sha256};

pub use error::StoreError;
pub use folder::OpenedFile;
pub use name::{Name, NameError};
pub use temp::LIFE;

use crate::files;
use crate::hex::hex;
use crate::tasks;
use disk::{Inner, page, room_of};
use room::{IN_A_COLLECTION, taken, weight};

/// Where a collection says who may read it. No name is spelt like this.
const READERS: &str = ".readers";

/// A client's files and temporary results. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Datastore(Arc<Inner>);

/// Whose files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner(String);

impl Owner {
    /// By the name that limits and the ledger know a client under, such as `key:bob`.
    pub fn new(client: &str) -> Self {
        Self(hex(&Sha256::digest(client.as_bytes())))
    }
}

/// Most bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Of everybody's files together.
    pub all: u64,
    /// Of one owner's.
    pub each: u64,
}

/// Whose bound was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundOwner {
    /// The owner's.
    Own,
    /// That of all together.
    All,
}

/// Who may read a collection, besides its owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readers {
    /// The owner's own algorithms, which here is the owner.
    #[default]
    Algorithms,
    /// Nobody.
    Nobody,
    /// Every client.
    Everybody,
}

/// A file in a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// Its name.
    pub name: Name,
    /// Its length.
    pub bytes: u64,
    /// When it was written.
    pub modified: SystemTime,
}

/// A part of a list, in order of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileListing<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Whether there is more after the last of them.
    pub more: bool,
}

impl Datastore {
    /// In a folder below `state_dir`, made when it is first needed.
    pub fn in_folder(state_dir: &Path) -> Self {
        Self(Arc::new(Inner { root: state_dir.join("data"), room: Mutex::default() }))
    }

    /// An owner's collections after one of this name, at most so many.
    pub async fn collections(
        &self,
        owner: &Owner,
        after: Option<Name>,
        most: usize,
    ) -> Result<FileListing<Name>, StoreError> {
        let folder = self.0.owner(owner);
        self.run(move |inner| {
            if !inner.is_there(&folder)? {
                return Ok(FileListing { items: Vec::new(), more: false });
            }
            let is_collection = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
            page(&folder, after.as_ref(), most, is_collection, |name, _| Ok(Some(name)))
        })
        .await
    }

    /// Makes a collection.
    pub async fn create(
        &self,
        owner: &Owner,
        collection: &Name,
        readers: Readers,
        bounds: Bounds,
    ) -> Result<(), StoreError> {
        let (owner, folder) = (owner.clone(), self.0.collection(owner, collection));
        self.run(move |inner| {
            let mut room = inner.room()?;
            let counted = room_of(&mut room);
            if inner.is_there(&folder)? {
                return Err(StoreError::Exists);
            }
            counted.take(&owner.0, weight(0), bounds).map_err(StoreError::Full)?;
            // Whom there is no room for leaves no folder either.
            let made = inner.make_all(&[&inner.files(), &inner.owner(&owner)]);
            made.and_then(|()| folder::make(&folder).map(drop).map_err(StoreError::io(&folder)))
                .inspect_err(|_| counted.give(&owner.0, weight(0)))?;
            drop(room);
            inner.set_readers(&folder, readers)
        })
        .await
    }

    /// Who may read a collection; none if there is none.
    pub async fn readers(&self, owner: &Owner, collection: &Name) -> Result<Option<Readers>, StoreError> {
        let folder = self.0.collection(owner, collection);
        self.run(move |inner| {
            if !inner.is_there(&folder)? {
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

    /// Says who may read a collection.
    pub async fn allow(&self, owner: &Owner, collection: &Name, readers: Readers) -> Result<(), StoreError> {
        let folder = self.0.collection(owner, collection);
        self.run(move |inner| {
            if !inner.is_there(&folder)? {
                return Err(StoreError::NoCollection);
            }
            inner.set_readers(&folder, readers)
        })
        .await
    }

    /// The files of a collection after one of this name, at most so many; none if there is no collection.
    pub async fn list(
        &self,
        owner: &Owner,
        collection: &Name,
        after: Option<Name>,
        most: usize,
    ) -> Result<Option<FileListing<FileFacts>>, StoreError> {
        let folder = self.0.collection(owner, collection);
        self.run(move |inner| {
            if !inner.is_there(&folder)? {
                return Ok(None);
            }
            let is_file = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_file());
            let facts = |name: Name, entry: &fs::DirEntry| {
                // Gone meanwhile, perhaps.
                let Some(data) = files::there(entry.metadata())? else { return Ok(None) };
                Ok(Some(FileFacts { name, bytes: data.len(), modified: data.modified()? }))
            };
            page(&folder, after.as_ref(), most, is_file, facts).map(Some)
        })
        .await
    }

    /// Opens a file; none where there is none.
    pub async fn open(
        &self,
        owner: &Owner,
        collection: &Name,
        file: &Name,
    ) -> Result<Option<OpenedFile>, StoreError> {
        let folder = self.0.collection(owner, collection);
        let path = folder.join(file.on_disk());
        self.run(move |inner| {
            if !inner.is_there(&folder)? {
                return Ok(None);
            }
            folder::open(&path).map_err(StoreError::io(&path))
        })
        .await
    }

    /// Keeps a file, in place of another of that name: the one or the other is there at any time.
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
            if !inner.is_there(&folder)? {
                return Err(StoreError::NoCollection);
            }
            let amount = weight(bytes.len() as u64);
            room_of(&mut inner.room()?).take(&owner.0, amount, bounds).map_err(StoreError::Full)?;
            let placed = inner.place(&path, &bytes);
            let mut room = inner.room()?;
            room_of(&mut room).give(&owner.0, if placed.is_ok() { 0 } else { amount });
            let before = placed?;
            room_of(&mut room).give(&owner.0, before.map_or(0, weight));
            Ok(())
        })
        .await
    }

    /// Takes a file away; whether it was there.
    pub async fn remove(&self, owner: &Owner, collection: &Name, file: &Name) -> Result<bool, StoreError> {
        let (owner, folder) = (owner.clone(), self.0.collection(owner, collection));
        let path = folder.join(file.on_disk());
        self.run(move |inner| {
            if !inner.is_there(&folder)? {
                return Ok(false);
            }
            inner.take_away(&owner, &path)
        })
        .await
    }

    /// Takes a collection away, with its files if `force`; says how many those were.
    pub async fn remove_collection(
        &self,
        owner: &Owner,
        collection: &Name,
        force: bool,
    ) -> Result<u64, StoreError> {
        let (owner, folder) = (owner.clone(), self.0.collection(owner, collection));
        self.run(move |inner| {
            let mut room = inner.room()?;
            if !inner.is_there(&folder)? {
                return Err(StoreError::NoCollection);
            }
            let entries = folder::entries(&folder).map_err(StoreError::io(&folder))?;
            let files = entries.iter().filter(|entry| entry.file_name() != READERS).count() as u64;
            if files > 0 && !force {
                return Err(StoreError::NotEmpty(files));
            }
            let taken = weight(0) + taken(&folder, IN_A_COLLECTION).map_err(StoreError::io(&folder))?;
            inner.set_aside(&folder)?;
            room_of(&mut room).give(&owner.0, taken);
            drop(room);
            inner.remove_set_aside();
            Ok(files)
        })
        .await
    }

    /// Removes what is older than it may be, and what was left half-written.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        self.run(|inner| {
            if !inner.is_there(&inner.root)? {
                return Ok(());
            }
            inner.sweep_temp(room_of(&mut inner.room()?), u64::MAX)?;
            inner.remove_set_aside();
            files::remove_abandoned(&inner.parts()).map_err(StoreError::io(&inner.parts()))
        })
        .await
    }

    /// Runs file work off the async threads.
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
