//! Access to files and folders. Folders are readable only by the user that PixColor runs as. Links are never
//! followed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::OFlags;

use crate::files::{self, sync, there};

#[derive(Debug)]
pub struct OpenedFile {
    pub file: File,
    /// Length in bytes.
    pub bytes: u64,
    pub modified: SystemTime,
}

/// Whether a folder exists. Anything else at its path, such as a link, is an error.
pub fn is_folder(path: &Path) -> io::Result<bool> {
    match there(fs::symlink_metadata(path))? {
        None => Ok(false),
        Some(data) if data.is_dir() => Ok(true),
        Some(_) => Err(io::Error::other("expected a folder, found a file, a link or a device")),
    }
}

/// Creates a folder if it does not exist. Returns whether it was created.
pub fn make(path: &Path) -> io::Result<bool> {
    if is_folder(path)? {
        return Ok(false);
    }
    match DirBuilder::new().mode(0o700).create(path) {
        // Another thread created it first.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && is_folder(path)? => return Ok(false),
        made => made?,
    }
    path.parent().map_or(Ok(()), sync)?;
    Ok(true)
}

/// Opens a file; `None` if it does not exist. Anything else at its path, such as a link, is an error.
pub fn open(path: &Path) -> io::Result<Option<OpenedFile>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    let Some(file) = there(options.open(path))? else { return Ok(None) };
    let data = file.metadata()?;
    if !data.is_file() {
        return Err(io::Error::other("expected a file, found a folder, a link or a device"));
    }
    Ok(Some(OpenedFile { file, bytes: data.len(), modified: data.modified()? }))
}

/// The length of a file; `None` if there is no file at its path.
pub fn size(path: &Path) -> io::Result<Option<u64>> {
    Ok(there(fs::symlink_metadata(path))?.filter(fs::Metadata::is_file).map(|data| data.len()))
}

/// Moves a written file to its final path, replacing an existing file.
pub fn place(part: &Path, path: &Path) -> io::Result<()> {
    fs::rename(part, path)?;
    path.parent().into_iter().for_each(sync_entries);
    Ok(())
}

/// Syncs a folder's entries to disk. A failure is only logged, because the operation itself has succeeded.
pub fn sync_entries(folder: &Path) {
    if let Err(error) = sync(folder) {
        tracing::warn!(
            "{}: the folder cannot be synced to disk; a power failure may undo the last change: {error}",
            folder.display()
        );
    }
}

/// The entries of a folder, sorted by name; empty if it does not exist.
pub fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    let mut entries = files::entries(folder)?;
    entries.sort_unstable_by_key(fs::DirEntry::file_name);
    Ok(entries)
}
