//! Files next to the ledger: its lock, and copies of a damaged ledger or of its damaged end.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::macros::format_description;

use super::store::LEDGER;
use crate::files;

/// The process that locks this file owns the ledger, even after the ledger's own file was replaced.
const LOCK: &str = "ledger.lock";
/// How long to wait for the lock, because the process that holds it may be stopping.
const LOCK_WAIT: Duration = Duration::from_millis(200);

/// Creates the folder and takes the lock. The error is a text for the operator.
#[allow(clippy::disallowed_methods, reason = "this does not run on an async thread")]
pub fn lock(folder: &Path) -> Result<File, String> {
    fs::create_dir_all(folder)
        .map_err(|error| format!("the folder {} cannot be made: {error}", folder.display()))?;
    let path = folder.join(LOCK);
    let failed = |error: io::Error| format!("{} cannot be locked: {error}", path.display());
    let file = options().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    files::give_to_owner_of(folder, &file).map_err(failed)?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_WAIT => {
                std::thread::sleep(LOCK_WAIT / 20)
            }
            Err(TryLockError::WouldBlock) => {
                return Err(format!(
                    "another process uses it, such as a running gateway ({} is locked)",
                    path.display()
                ));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

/// Copies the ledger's file, from the byte `from` to its end, into a new file, unless a copy with this content exists.
/// Returns the path of the copy.
pub fn keep_aside(folder: &Path, from: u64, now: OffsetDateTime) -> io::Result<PathBuf> {
    let mut file = File::open(folder.join(LEDGER))?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let start = format!("{LEDGER}.broken-");
    for entry in files::entries(folder)? {
        let is_copy = entry.file_name().to_string_lossy().starts_with(&start);
        if is_copy && entry.metadata()?.len() == bytes.len() as u64 && fs::read(entry.path())? == bytes {
            return Ok(entry.path());
        }
    }
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let stamp = now.format(&format).map_err(io::Error::other)?;
    let names = (0..).map(|count: u32| match count {
        0 => format!("{start}{stamp}"),
        more => format!("{start}{stamp}-{more}"),
    });
    let path = names.map(|name| folder.join(name)).find(|path| !path.exists()).unwrap_or_default();
    let mut copy = options().write(true).create_new(true).open(&path)?;
    files::give_to_owner_of(folder, &copy)?;
    copy.write_all(&bytes)?;
    copy.sync_all()?;
    Ok(path)
}

/// Options to create files that only their owner can read, because the files contain clients' addresses.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}
