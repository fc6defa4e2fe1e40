//! The epoch: a random name that an account in Redis gets when it starts. Each gateway stores it in its state folder.
//! If the account in Redis has another epoch or none, the account that the gateway knew is lost.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::files;

/// The name of the file in the state folder.
const FILE: &str = "redis-epoch";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(Uuid);

impl Epoch {
    /// A new epoch.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    pub fn parse(text: &str) -> Option<Self> {
        Uuid::parse_str(text.trim()).ok().map(Self)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The file in a state folder that stores the epoch.
#[derive(Clone, Debug)]
pub struct EpochFile {
    folder: PathBuf,
    path: PathBuf,
}

impl EpochFile {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), path: folder.join(FILE) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the epoch; `None` if there is no file. A file with other content is an error, because a gateway
    /// without an epoch would accept any account.
    pub fn read(&self) -> io::Result<Option<Epoch>> {
        let text = match fs::read_to_string(&self.path) {
            // The path of the state folder is a file, so no epoch was ever stored.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => None,
            text => files::there(text)?,
        };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "there is no epoch in it");
        text.map(|text| Epoch::parse(&text).ok_or_else(damaged)).transpose()
    }

    /// Stores the epoch and syncs it to disk.
    pub fn write(&self, epoch: Epoch) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let part = files::write_part(&self.folder, &[format!("{epoch}\n").as_bytes()])?;
        fs::rename(&part, &self.path)?;
        files::sync(&self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_epoch_is_read_back_and_other_content_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = EpochFile::new(&folder.path().join("state"));
        assert_eq!(file.read().unwrap(), None);
        for _ in 0..2 {
            let epoch = Epoch::random();
            file.write(epoch).unwrap();
            assert_eq!(file.read().unwrap(), Some(epoch));
        }
        assert_eq!(fs::read_dir(folder.path().join("state")).unwrap().count(), 1, "nothing is left over");
        for damaged in ["", "\n", "5b0c", "\0\0\0\0"] {
            fs::write(file.path(), damaged).unwrap();
            assert_eq!(file.read().unwrap_err().kind(), io::ErrorKind::InvalidData, "{damaged:?}");
        }
    }
}
