//! The files themselves: written beside and renamed, for this user's eyes alone, and no link is followed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::OFlags;

use crate::files::{self, sync, there};

/// A file that is there.
#[derive(Debug)]
pub struct OpenedFile {
    /// It, open for reading.
    pub file: File,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was written.
    pub modified: SystemTime,
}

/// Whether there is a folder. Anything else in its place, a link above all, is an error.
pub fn is_folder(path: &Path) -> io::Result<bool> {
    match there(fs::symlink_metadata(path))? {
        None => Ok(false),
        Some(data) if data.is_dir() => Ok(true),
        Some(_) => Err(io::Error::other("this is no folder of ours")),
    }
}

/// Makes a folder where there is none; whether there was none.
pub fn make(path: &Path) -> io::Result<bool> {
    if is_folder(path)? {
        return Ok(false);
    }
    match DirBuilder::new().mode(0o700).create(path) {
        // Somebody else was quicker.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && is_folder(path)? => return Ok(false),
        made => made?,
    }
    path.parent().map_or(Ok(()), sync)?;
    Ok(true)
}

/// Opens a file; none where there is none. Anything else in its place, a link above all, is an error.
pub fn open(path: &Path) -> io::Result<Option<OpenedFile>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    let Some(file) = there(options.open(path))? else { return Ok(None) };
    let data = file.metadata()?;
    if !data.is_file() {
        return Err(io::Error::other("this is no file of ours"));
    }
    Ok(Some(OpenedFile { file, bytes: data.len(), modified: data.modified()? }))
}

/// The length of a file; none where there is none.
pub fn size(path: &Path) -> io::Result<Option<u64>> {
    Ok(there(fs::symlink_metadata(path))?.filter(fs::Metadata::is_file).map(|data| data.len()))
}

/// Gives a written file its name, in place of another of that name.
pub fn place(part: &Path, path: &Path) -> io::Result<()> {
    fs::rename(part, path)?;
    path.parent().into_iter().for_each(settle);
    Ok(())
}

/// Has the names in a folder on the disk. That they may not outlive a power cut is no reason to say that what was done
/// was not.
pub fn settle(folder: &Path) {
    if let Err(error) = sync(folder) {
        tracing::warn!("{}: its names cannot be had on the disk: {error}", folder.display());
    }
}

/// What is in a folder, by name; nothing if there is none.
pub fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    let mut entries = files::entries(folder)?;
    entries.sort_unstable_by_key(fs::DirEntry::file_name);
    Ok(entries)
}
