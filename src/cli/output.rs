//! Writes result files atomically: a file appears complete, or not at all.

use std::fs::{self, File, FileTimes, Metadata};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, CWD, RenameFlags, renameat_with};
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
#[error("the result cannot be written to {}: {source}; {}", target.display(), advice(source))]
pub struct OutputError {
    target: PathBuf,
    source: io::Error,
}

impl OutputError {
    pub fn new(target: &Path, source: io::Error) -> Self {
        Self { target: target.to_owned(), source }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::InvalidFilename => "give it a shorter name",
        ErrorKind::AlreadyExists => {
            "another program has written a file of this name meanwhile: run the command again"
        }
        _ => "choose another place with `-o`",
    }
}

/// The start and the end of the names of temporary files.
const PART: (&str, &str) = (".pixcolor-", ".part");

/// Fails if `write` would fail, as far as that can be checked in advance, so that no credit is spent on a result that
/// cannot be saved.
pub fn check(target: &Path) -> Result<(), OutputError> {
    let checked = existing(target).and_then(|_| check_folder(target));
    checked.map_err(|source| OutputError::new(target, source))
}

/// Checks that a file can be made in the folder of `target`.
pub fn check_folder(target: &Path) -> io::Result<()> {
    let part = part(target);
    File::create_new(&part).and_then(|_| fs::remove_file(&part))
}

/// As [`check_folder`], but by the folder's permissions: it writes nothing.
pub fn check_permissions(target: &Path) -> io::Result<()> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// The metadata of what has this path already. Fails if the path is too long, or if it is not a regular file or a link.
pub fn existing(target: &Path) -> io::Result<Option<Metadata>> {
    let Some(found) = crate::files::there(target.symlink_metadata())? else { return Ok(None) };
    match found.file_type() {
        kind if kind.is_dir() => Err(ErrorKind::IsADirectory.into()),
        kind if kind.is_file() || kind.is_symlink() => Ok(Some(found)),
        // Replacing a device or a pipe would break its other users.
        _ => Err(io::Error::new(ErrorKind::InvalidInput, "a device or a pipe has this name")),
    }
}

/// Writes a file, and replaces an existing one.
pub fn write(target: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    Part::write(target, bytes, &Attributes::default()).and_then(|part| part.publish(target, true))
}

/// The owner may always read and write a result.
const OWNER: u32 = 0o600;

/// What a file gets from its original.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes {
    /// Instead of now.
    pub times: Option<FileTimes>,
    /// The permissions of the original, so that the result of a private photograph is private.
    pub most_permissions: Option<u32>,
}

/// A complete and synced temporary file beside its target. Dropping it removes it.
pub struct Part {
    path: PathBuf,
    /// Locked, so that another run does not take it for the rest of a killed one.
    file: File,
}

impl Part {
    pub fn write(target: &Path, bytes: &[u8], attributes: &Attributes) -> Result<Self, OutputError> {
        let path = part(target);
        let written = File::create_new(&path).and_then(|file| {
            let mut part = Self { path, file };
            // Without locks, a leftover of a killed run is kept.
            let _ = part.file.try_lock();
            part.file.write_all(bytes)?;
            if let Some(most) = attributes.most_permissions {
                let mut permissions = part.file.metadata()?.permissions();
                permissions.set_mode(permissions.mode() & (most | OWNER));
                part.file.set_permissions(permissions)?;
            }
            if let Some(times) = attributes.times {
                part.file.set_times(times)?;
            }
            part.file.sync_all()?;
            Ok(part)
        });
        written.map_err(|source| OutputError::new(target, source))
    }

    pub fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// Gives the file its name. Unless `replace` is set, fails if another file has got that name meanwhile.
    pub fn publish(self, target: &Path, replace: bool) -> Result<(), OutputError> {
        let renamed = match replace {
            true => fs::rename(&self.path, target),
            false => rename_new(&self.path, target),
        };
        renamed.map_err(|source| OutputError::new(target, source))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After a rename there is nothing to remove.
        let _ = fs::remove_file(&self.path);
    }
}

/// Renames a file to a name that no file has.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems cannot do both in one step.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => match existing(to)? {
            None => fs::rename(from, to),
            Some(_) => Err(ErrorKind::AlreadyExists.into()),
        },
        renamed => Ok(renamed?),
    }
}

/// Removes the temporary files that killed runs left in a folder.
pub fn remove_leftovers(folder: &Path) {
    for entry in crate::files::entries(folder).unwrap_or_default() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let leftover = name.starts_with(PART.0)
            && name.ends_with(PART.1)
            && entry.file_type().is_ok_and(|kind| kind.is_file());
        // Another run holds the lock of a file that it still writes.
        if leftover && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            // A leftover that cannot be removed does not stop the run.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The temporary path of a file. Its name is short, so that it never exceeds the limit of the file system when the
/// target's name does not.
fn part(target: &Path) -> PathBuf {
    target.with_file_name(format!("{}{}{}", PART.0, Uuid::new_v4(), PART.1))
}
