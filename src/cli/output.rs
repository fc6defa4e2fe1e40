//! Writes result files atomically: a file appears complete, or not at all.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
#[error("the result cannot be written to {}: {source}; {}", target.display(), advice(source))]
pub struct OutputError {
    target: PathBuf,
    source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::InvalidFilename => "give it a shorter name",
        _ => "choose another place with `-o`",
    }
}

/// Fails if `write` would fail, as far as that can be checked in advance, so that no credit is spent on a result that
/// cannot be saved.
pub fn check(target: &Path) -> Result<(), OutputError> {
    let part = part(target);
    named(target, free(target).and_then(|()| File::create_new(&part)).and_then(|_| fs::remove_file(&part)))
}

/// Writes a file, and replaces an existing one.
pub fn write(target: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    let part = part(target);
    let written = File::create_new(&part)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&part, target));
    if written.is_err() {
        // The error of the write is reported, not that of the clean-up.
        let _ = fs::remove_file(&part);
    }
    named(target, written)
}

fn named(target: &Path, result: io::Result<()>) -> Result<(), OutputError> {
    result.map_err(|source| OutputError { target: target.to_owned(), source })
}

/// The temporary path of a file. Its name is short, so that it never exceeds the limit of the file system when the
/// target's name does not.
fn part(target: &Path) -> PathBuf {
    target.with_file_name(format!(".pixcolor-{}.part", Uuid::new_v4()))
}

/// Fails if the path is too long, or exists and is not a regular file or a link.
fn free(target: &Path) -> io::Result<()> {
    match target.symlink_metadata() {
        Ok(found) if found.is_dir() => Err(ErrorKind::IsADirectory.into()),
        // Replacing a device or a pipe would break its other users.
        Ok(found) if !found.is_file() && !found.is_symlink() => {
            Err(io::Error::new(ErrorKind::InvalidInput, "a device or a pipe has this name"))
        }
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
