//! Atomic file writes: this module writes and syncs a file under a temporary name, and the caller renames it. Only the
//! owner of the file can read it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A temporary file that has not changed for this long counts as left behind by a killed process.
const ABANDONED: Duration = Duration::from_secs(600);

/// The extension of temporary files.
const PART: &str = "part";

/// Converts the error that a file does not exist to `None`.
pub fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The entries of a folder, in no particular order; empty if the folder does not exist.
pub fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    there(fs::read_dir(folder))?.map_or(Ok(Vec::new()), Iterator::collect)
}

/// If this process runs as root, gives a file the owner of its folder, so that the service can read files that root
/// writes for it.
pub fn give_to_owner_of(folder: &Path, file: &File) -> io::Result<()> {
    let (owner, own) = (fs::metadata(folder)?, file.metadata()?);
    if rustix::process::geteuid().is_root() && (owner.uid(), owner.gid()) != (own.uid(), own.gid()) {
        std::os::unix::fs::fchown(file, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

/// Writes and syncs a temporary file in `folder`; returns its path.
pub fn write_part(folder: &Path, parts: &[&[u8]]) -> io::Result<PathBuf> {
    // The name is random, because process IDs are not unique: containers may share a folder, and each container numbers
    // its processes from 1.
    let part = folder.join(format!("{}.{PART}", uuid::Uuid::new_v4()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(&part).and_then(|mut file| {
        give_to_owner_of(folder, &file)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()
    });
    if let Err(error) = written {
        // The error of the write is returned. If the file cannot be removed now, a later sweep removes it.
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    Ok(part)
}

/// Removes the temporary files in a folder that killed processes left. Continues after an error and returns the first
/// error.
pub fn remove_abandoned(folder: &Path) -> io::Result<()> {
    let remove = |entry: &fs::DirEntry| {
        let Some(data) = there(entry.metadata())? else { return Ok(()) };
        let part = entry.path().extension().is_some_and(|extension| extension == PART);
        if part && data.is_file() && data.modified()?.elapsed().is_ok_and(|age| age > ABANDONED) {
            there(fs::remove_file(entry.path()))?;
        }
        Ok(())
    };
    entries(folder)?.iter().map(remove).fold(Ok(()), io::Result::and)
}

/// Syncs a folder, so that renames in it survive a crash.
pub fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
