//! The files themselves: written beside and renamed, for this user's eyes alone, and no link is followed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

/// A half-written file that was not touched for this long belongs to a process that was killed.
const ABANDONED: Duration = Duration::from_secs(600);

/// A file that is there.
#[derive(Debug)]
pub struct Opened {
    /// It, open for reading.
    pub file: File,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was written.
    pub modified: SystemTime,
}

/// That something is not there is no error.
pub fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
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
pub fn open(path: &Path) -> io::Result<Option<Opened>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    let Some(file) = there(options.open(path))? else { return Ok(None) };
    let data = file.metadata()?;
    if !data.is_file() {
        return Err(io::Error::other("this is no file of ours"));
    }
    Ok(Some(Opened { file, bytes: data.len(), modified: data.modified()? }))
}

/// The length of a file; none where there is none.
pub fn size(path: &Path) -> io::Result<Option<u64>> {
    Ok(there(fs::symlink_metadata(path))?.filter(fs::Metadata::is_file).map(|data| data.len()))
}

/// Writes a file that nobody sees yet into `folder`, and has it on the disk.
pub fn write_part(folder: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let part = folder.join(format!("{}.part", uuid::Uuid::new_v4()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written {
        // What stopped the write is the error to tell; what is left over goes with the next sweep.
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    Ok(part)
}

/// Gives a written file its name, in place of another of that name.
pub fn place(part: &Path, path: &Path) -> io::Result<()> {
    let placed = fs::rename(part, path);
    if placed.is_err() {
        let _ = fs::remove_file(part);
    }
    placed?;
    path.parent().map_or(Ok(()), sync)
}

/// What is in a folder, by name; nothing if there is none.
pub fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    let mut entries: Vec<fs::DirEntry> =
        there(fs::read_dir(folder))?.map_or(Ok(Vec::new()), Iterator::collect)?;
    entries.sort_unstable_by_key(fs::DirEntry::file_name);
    Ok(entries)
}

/// Removes what killed processes have left half-written.
pub fn remove_abandoned(folder: &Path) -> io::Result<()> {
    for entry in entries(folder)? {
        let Some(data) = there(entry.metadata())? else { continue };
        if data.is_file() && data.modified()?.elapsed().is_ok_and(|age| age > ABANDONED) {
            there(fs::remove_file(entry.path()))?;
        }
    }
    Ok(())
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
