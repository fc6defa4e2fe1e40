//! What can be in the way.

use std::path::{Path, PathBuf};

use super::BoundOwner;

/// Why a file could not be kept, or not be taken away.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such collection.
    #[error("there is no such collection: create it first")]
    NoCollection,
    /// There is one of that name.
    #[error("there is a collection of that name already")]
    Exists,
    /// It has files.
    #[error("the collection is not empty: delete its files first ({0} of them), or force it")]
    NotEmpty(u64),
    /// There is no room.
    #[error("{}", match .0 {
        BoundOwner::Own => "this is more than one client may keep here: delete something first",
        BoundOwner::All => "there is no more room for files here",
    })]
    Full(BoundOwner),
    /// The disk.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was to be read or written.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The end of the process.
    #[error("the work stopped in the middle")]
    Stopped,
}

impl StoreError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
