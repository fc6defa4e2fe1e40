//! Errors of the datastore.

use std::path::{Path, PathBuf};

use super::BoundOwner;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no such collection: create it first")]
    NoCollection,
    #[error("a collection of that name already exists")]
    Exists,
    /// The number of files in the collection.
    #[error("the collection is not empty: delete its {0} files first, or use `force=true`")]
    NotEmpty(u64),
    /// A limit on stored bytes would be exceeded.
    #[error("{}", match .0 {
        BoundOwner::Own => "your storage limit is exceeded: delete something first",
        BoundOwner::All => "the storage for all clients' files is full",
    })]
    Full(BoundOwner),
    /// A file operation failed.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// The task ended early, because it panicked or the process is stopping.
    #[error("the file operation was interrupted")]
    Stopped,
}

impl StoreError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
