//! Files that a command writes for its user: each appears whole under its name, or not at all.

use std::fs::Permissions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// A result cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the result cannot be written to {}: {source}; {}", target.display(), advice(source))]
pub struct OutputError {
    /// The path of the result.
    target: PathBuf,
    source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::InvalidFilename => "give it a shorter name",
        _ => "choose another place with `-o`",
    }
}

/// Fails if `write` would fail, as far as that is known in advance: a call that costs credit should not be made for a
/// result that has no place.
pub fn check(target: &Path) -> Result<(), OutputError> {
    named(target, free(target).and_then(|()| part(target)).map(drop))
}

/// Writes a file, in place of an older one.
pub fn write(target: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    let written = part(target).and_then(|mut part| {
        part.write_all(bytes)?;
        part.persist(target)?;
        Ok(())
    });
    named(target, written)
}

fn named<T>(target: &Path, result: io::Result<T>) -> Result<T, OutputError> {
    result.map_err(|error| OutputError { target: target.to_owned(), source: without_path(error) })
}

/// The system's own error: the library adds the path of a file that the user does not know.
fn without_path(error: io::Error) -> io::Error {
    let source = error.get_ref().and_then(|wrapped| wrapped.source());
    let code = source.and_then(|source| source.downcast_ref::<io::Error>()?.raw_os_error());
    code.map_or(error, io::Error::from_raw_os_error)
}

/// A new file beside the target. Its name is short, so that every name is possible for the target. It is removed when it
/// is dropped.
fn part(target: &Path) -> io::Result<NamedTempFile> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Like any new file: the system takes the bits of the umask away.
    let permissions = Permissions::from_mode(0o666);
    Builder::new().prefix(".pixcolor-").suffix(".part").permissions(permissions).tempfile_in(folder)
}

/// Fails if the path is too long or belongs to something that is no file.
fn free(target: &Path) -> io::Result<()> {
    match target.symlink_metadata() {
        Ok(found) if found.is_dir() => Err(ErrorKind::IsADirectory.into()),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
