//! Files that are whole or not there: written beside under a name of their own, had on the disk, and renamed by whoever
//! keeps them. For this user's eyes alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A half-written file that was not touched for this long belongs to a process that was killed.
const ABANDONED: Duration = Duration::from_secs(600);

/// What the names of half-written files end in.
const PART: &str = "part";

/// That something is not there is no error.
pub fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is in a folder, in no order; nothing if there is none.
pub fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    there(fs::read_dir(folder))?.map_or(Ok(Vec::new()), Iterator::collect)
}

/// Gives a file the owner of the folder it is in, if this user may: what the administrator writes for a service must be
/// the service's, which could not read it otherwise.
pub fn give_to_owner_of(folder: &Path, file: &File) -> io::Result<()> {
    let (owner, own) = (fs::metadata(folder)?, file.metadata()?);
    if rustix::process::geteuid().is_root() && (owner.uid(), owner.gid()) != (own.uid(), own.gid()) {
        std::os::unix::fs::fchown(file, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

/// Writes a file that nobody sees yet into `folder`, and has it on the disk.
pub fn write_part(folder: &Path, parts: &[&[u8]]) -> io::Result<PathBuf> {
    // Process numbers are not enough: containers that share a folder count theirs from 1.
    let part = folder.join(format!("{}.{PART}", uuid::Uuid::new_v4()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(&part).and_then(|mut file| {
        give_to_owner_of(folder, &file)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()
    });
    if let Err(error) = written {
        // What stopped the write is the error to tell; what is left over goes with the next sweep.
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    Ok(part)
}

/// Removes what killed processes have left half-written. What cannot go keeps nothing else; the first such error is told.
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

/// Has the names in a folder on the disk.
pub fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
