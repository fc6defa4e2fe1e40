//! The files of a ledger: opened under a lock, appended to, and written anew when they get long.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::macros::format_description;

use super::recovery::{self, Damage, Found, HEADER, Recovered, VERSION};
use crate::credit::amount::Credits;
use crate::credit::ledger::record::{Record, Settle, encode};
use crate::credit::ledger::state::State;
use crate::credit::ledger::{Settled, Settlement};

/// The ledger.
pub const LEDGER: &str = "ledger";
/// Who holds a lock on this file owns the ledger, whatever file that is by now.
const LOCK: &str = "ledger.lock";
/// How long a program that is just stopping is waited for.
const LOCK_WAIT: Duration = Duration::from_millis(200);
/// The ledger while it is written anew.
const NEW: &str = "ledger.new";

/// An open ledger: nobody else writes to it.
pub struct Store {
    folder: PathBuf,
    file: File,
    /// Length of the file, in bytes.
    bytes: u64,
    /// Length that it had when it was written anew the last time.
    rewritten: u64,
    _lock: File,
}

/// The ledger written anew, not yet in its place.
pub struct New {
    file: File,
    bytes: u64,
}

/// Why a ledger cannot be opened for writing.
pub struct Closed {
    /// What it says all the same; none if it cannot be read.
    pub state: Option<State>,
    /// In words.
    pub reason: String,
}

impl Store {
    /// Opens a folder's ledger, repairs what is broken, and charges what was never settled.
    pub fn open(folder: &Path, now: OffsetDateTime) -> Result<(Self, State, Recovered), Closed> {
        let path = folder.join(LEDGER);
        let lock = lock(folder);
        let read = recovery::read(&path).map_err(|unusable| Closed {
            state: None,
            reason: format!("{} is there, but {unusable}", path.display()),
        })?;
        let lock = match lock {
            Ok(lock) => lock,
            Err(reason) => {
                let state = read.map_or_else(State::default, |found| found.state);
                return Err(Closed { state: Some(state), reason });
            }
        };
        let found =
            read.unwrap_or(Found { state: State::default(), records: 0, damage: Damage::None, length: 0 });
        Self::repair(folder, lock, found, now).map_err(|(state, error)| Closed {
            state: Some(state),
            reason: format!("{} cannot be written: {error}", path.display()),
        })
    }

    fn repair(
        folder: &Path,
        lock: File,
        found: Found,
        now: OffsetDateTime,
    ) -> Result<(Self, State, Recovered), (State, io::Error)> {
        let Found { mut state, records, damage, length } = found;
        let mut recovered = Recovered { records, ..Recovered::default() };
        match Self::mend(folder, lock, &state, damage, length, now) {
            Err(error) => Err((state, error)),
            Ok((mut store, kept_aside)) => {
                recovered.kept_aside = kept_aside;
                match store.charge_unsettled(&mut state, &mut recovered) {
                    Ok(()) => Ok((store, state, recovered)),
                    Err(error) => Err((state, error)),
                }
            }
        }
    }

    /// Makes the file whole: cuts a broken tail off, or writes all whole records anew.
    fn mend(
        folder: &Path,
        lock: File,
        state: &State,
        damage: Damage,
        length: u64,
        now: OffsetDateTime,
    ) -> io::Result<(Self, Option<PathBuf>)> {
        let path = folder.join(LEDGER);
        let file = options().read(true).write(true).create(true).truncate(false).open(&path)?;
        let kept_aside = match damage {
            Damage::None => None,
            Damage::Tail { whole } => {
                let aside = keep_aside(folder, whole, now)?;
                tracing::warn!(
                    "the last {} bytes of {} are no whole record: the program or the machine stopped while it wrote \
                     them. They are kept in {}, and every record before them counts",
                    length - whole,
                    path.display(),
                    aside.display()
                );
                Some(aside)
            }
            Damage::Middle { lines } => {
                let aside = keep_aside(folder, 0, now)?;
                tracing::error!(
                    "damaged lines in {}: {lines}. What they said does not count any more. The file as it was is kept in \
                     {}, and every whole record counts",
                    path.display(),
                    aside.display()
                );
                Some(aside)
            }
        };
        let mut store = Self { folder: folder.to_owned(), file, bytes: length, rewritten: 0, _lock: lock };
        match damage {
            Damage::Middle { .. } => store.rewrite(state)?,
            Damage::None if length == 0 => store.rewrite(state)?,
            Damage::Tail { whole } => {
                store.file.set_len(whole)?;
                store.file.sync_all()?;
                store.bytes = whole;
            }
            Damage::None => {}
        }
        store.file.seek(SeekFrom::End(0))?;
        Ok((store, kept_aside))
    }

    /// A reservation without a settlement is of a call that may have been made.
    fn charge_unsettled(&mut self, state: &mut State, recovered: &mut Recovered) -> io::Result<()> {
        let open: Vec<_> = state.open().cloned().collect();
        let mut lines = Vec::new();
        for reserve in open {
            recovered.unsettled += 1;
            recovered.unsettled_credits = recovered.unsettled_credits.plus(reserve.most);
            let settled = Settled::new(reserve.most, &Settlement::UNKNOWN);
            let record = Record::Settle(Settle::new(reserve, settled, &Settlement::UNKNOWN));
            encode(&record, &mut lines)?;
            state.apply(record);
        }
        if recovered.unsettled_credits > Credits::ZERO {
            tracing::warn!(
                "calls that were under way when the program stopped the last time: {}. Nobody knows what they have cost, \
                 and the {} credits that were reserved for them count as spent",
                recovered.unsettled,
                recovered.unsettled_credits
            );
            self.append(&lines, true)?;
        }
        Ok(())
    }

    /// Adds lines, and waits until they outlive a crash of the machine if `sync`. After an error nobody
    /// knows what is in the file: only `rewrite` may follow.
    pub fn append(&mut self, lines: &[u8], sync: bool) -> io::Result<()> {
        self.file.write_all(lines)?;
        self.bytes += lines.len() as u64;
        if sync { self.file.sync_data() } else { Ok(()) }
    }

    /// Has another file in its place.
    #[cfg(test)]
    pub fn break_file(&mut self, file: File) {
        self.file = file;
    }

    /// Waits until everything outlives a crash of the machine.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Whether it is worth writing it anew.
    pub fn is_long(&self, above: u64) -> bool {
        self.bytes > above.max(self.rewritten.saturating_mul(4))
    }

    /// Takes note that it could not be written anew: that is tried again when it is twice as long.
    pub fn postpone(&mut self) {
        self.rewritten = self.bytes / 2;
    }

    /// Writes the file anew, as a whole or not at all: whatever happens, one of the two is there.
    pub fn rewrite(&mut self, state: &State) -> io::Result<()> {
        let new = self.write_new(state)?;
        self.replace(new)
    }

    /// Puts a new file in the old one's place. After an error nobody knows which of them it is.
    pub fn replace(&mut self, New { file, bytes }: New) -> io::Result<()> {
        (self.file, self.bytes, self.rewritten) = (file, bytes, bytes);
        fs::rename(self.folder.join(NEW), self.folder.join(LEDGER))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Writes a new file beside the old one, which is not touched.
    pub fn write_new(&self, state: &State) -> io::Result<New> {
        let file = options().write(true).create(true).truncate(true).open(self.folder.join(NEW))?;
        let mut writer = BufWriter::new(file);
        let (mut lines, mut bytes) = (format!("{HEADER}{VERSION}\n").into_bytes(), 0);
        for record in state.records() {
            encode(&record, &mut lines)?;
            writer.write_all(&lines)?;
            bytes += lines.len() as u64;
            lines.clear();
        }
        writer.write_all(&lines)?;
        bytes += lines.len() as u64;
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(New { file, bytes })
    }
}

/// Makes the folder and takes the lock; if that fails, says why.
#[allow(clippy::disallowed_methods, reason = "this is no async thread")]
fn lock(folder: &Path) -> Result<File, String> {
    fs::create_dir_all(folder)
        .map_err(|error| format!("the folder {} cannot be made: {error}", folder.display()))?;
    let path = folder.join(LOCK);
    let failed = |error: io::Error| format!("{} cannot be locked: {error}", path.display());
    let file = options().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_WAIT => {
                std::thread::sleep(LOCK_WAIT / 20)
            }
            Err(TryLockError::WouldBlock) => {
                return Err(format!(
                    "another program uses it, such as a gateway that is running ({} is locked)",
                    path.display()
                ));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

/// Copies the file from a byte on into one of its own.
fn keep_aside(folder: &Path, from: u64, now: OffsetDateTime) -> io::Result<PathBuf> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let stamp = now.format(&format).map_err(io::Error::other)?;
    let mut count = 0;
    let (path, mut copy) = loop {
        let name = format!(
            "{LEDGER}.broken-{stamp}{}",
            if count == 0 { String::new() } else { format!("-{count}") }
        );
        let path = folder.join(name);
        match options().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => count += 1,
            file => break (path, file?),
        }
    };
    let mut file = File::open(folder.join(LEDGER))?;
    file.seek(SeekFrom::Start(from))?;
    io::copy(&mut file.take(u64::MAX), &mut copy)?;
    copy.sync_all()?;
    Ok(path)
}

/// Files that only the owner may read: clients' addresses are in them.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
