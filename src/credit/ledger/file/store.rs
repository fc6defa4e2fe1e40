//! Opens the files of a ledger under a lock, appends records, and rewrites the ledger when it gets long.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::beside::{keep_aside, lock, options};
use super::checkpoint::{CHECKPOINT, Checkpoint, ContentHash, SyncedPrefix};
use super::recovery::{HEADER, LedgerContent, LedgerDamage, Recovered, VERSION};
use super::survey::{LedgerLoss, LedgerSurvey};
use crate::credit::amount::Credits;
use crate::credit::ledger::record::{Record, ReserveRecord, SettleRecord, encode};
use crate::credit::ledger::state::LedgerState;
use crate::credit::ledger::{SettleResult, Settlement};
use crate::files;

/// The name of the ledger's file.
pub const LEDGER: &str = "ledger";
/// The name of the new file of a rewrite. The totals are also saved in this file if the ledger's file was removed or
/// changed while it was in use.
pub const NEW: &str = "ledger.new";

/// An open ledger that this process alone writes to.
pub struct LedgerFile {
    folder: PathBuf,
    file: File,
    /// Device and inode of the open file.
    identity: (u64, u64),
    /// Length and digest of all lines in the file.
    content: ContentHash,
    /// The part of the file that the latest checkpoint describes; `None` before the first checkpoint.
    synced: Option<SyncedPrefix>,
    /// The sequence number of the latest checkpoint.
    sequence: u64,
    /// Length after the last rewrite by this process, in bytes; 0 before the first.
    rewritten: u64,
    _lock: File,
}

/// A rewritten ledger before its rename.
pub struct RewrittenLedger {
    file: File,
    content: ContentHash,
    mark: SyncedPrefix,
}

/// Why a ledger cannot be opened for writing.
pub struct OpenError {
    /// The readable totals; `None` if the file cannot be read.
    pub state: Option<LedgerState>,
    pub reason: String,
}

impl LedgerFile {
    /// Opens a folder's ledger, removes a torn last line, and charges reservations without a settlement, except
    /// this process's own, which are `in_hand`. A ledger that lost records is copied and stays closed.
    pub fn open(
        folder: &Path,
        now: OffsetDateTime,
        in_hand: &HashSet<u64>,
    ) -> Result<(Self, LedgerState, Recovered), OpenError> {
        let lock = lock(folder);
        let survey =
            LedgerSurvey::of(folder).map_err(|error| OpenError { state: None, reason: error.reason })?;
        let LedgerSurvey { found, checkpoint, synced } = survey;
        let (found, is_new) = match found {
            Some(found) => (found, false),
            None => (LedgerContent::nothing(), true),
        };
        let lock = match lock {
            Ok(lock) => lock,
            Err(reason) => return Err(OpenError { state: Some(found.state), reason }),
        };
        let synced = match synced {
            Ok(synced) => synced,
            Err(loss) => {
                let reason = match is_new {
                    true => loss.to_string(),
                    false => told_of_copy(&loss, keep_aside(folder, 0, now)),
                };
                return Err(OpenError { state: Some(found.state), reason });
            }
        };
        if !is_new && synced.is_none() {
            let path = folder.join(LEDGER);
            tracing::warn!(
                "{} has no {CHECKPOINT}, as after an upgrade: the ledger is used as it is, and records that were lost before cannot be detected",
                path.display()
            );
        }
        let LedgerContent { mut state, records, damage, length } = found;
        let mut recovered = Recovered { records, ..Recovered::default() };
        let opened = if is_new {
            Self::create(folder, lock, &state, 0)
        } else {
            let sequence = checkpoint.map_or(0, |checkpoint| checkpoint.sequence);
            Self::mend(folder, lock, &state, (damage, length), (synced, sequence), now).map(
                |(store, aside)| {
                    recovered.kept_aside = aside;
                    store
                },
            )
        };
        let charged = opened.and_then(|mut store| {
            charge_unsettled(&mut store, &mut state, &mut recovered, in_hand)?;
            Ok(store)
        });
        match charged {
            Ok(store) => Ok((store, state, recovered)),
            Err(error) => {
                let reason = format!("{} cannot be written: {error}", folder.join(LEDGER).display());
                Err(OpenError { state: Some(state), reason })
            }
        }
    }

    /// Writes a ledger with these totals and a checkpoint, in place of existing files. A crash before the new
    /// checkpoint is written leaves a complete ledger without a checkpoint, or with the old checkpoint, which does not
    /// match it.
    pub fn create(folder: &Path, lock: File, state: &LedgerState, sequence: u64) -> io::Result<Self> {
        let RewrittenLedger { file, content, mark } = write_new(folder, state)?;
        let rewritten = content.bytes;
        let sequence = sequence + 1;
        let (folder_path, identity) = (folder.to_owned(), identity(&file.metadata()?));
        let synced = None;
        let mut store =
            Self { folder: folder_path, file, identity, content, synced, sequence, rewritten, _lock: lock };
        store.put_new()?;
        store.checkpoint(mark.clone(), None, state).create(folder)?;
        store.synced = Some(mark);
        Ok(store)
    }

    /// Opens an existing file and repairs it after a crash: removes a torn last line, or rewrites the file with all
    /// intact records. Also returns the path of a copy of the removed bytes.
    fn mend(
        folder: &Path,
        lock: File,
        state: &LedgerState,
        (damage, length): (LedgerDamage, u64),
        (synced, sequence): (Option<SyncedPrefix>, u64),
        now: OffsetDateTime,
    ) -> io::Result<(Self, Option<PathBuf>)> {
        let path = folder.join(LEDGER);
        let whole = match damage {
            LedgerDamage::Tail { whole } | LedgerDamage::Lines { whole, .. } => whole,
            LedgerDamage::None | LedgerDamage::Empty | LedgerDamage::Header => length,
        };
        let mut file = options().read(true).write(true).open(&path)?;
        let aside = if whole < length { Some(keep_aside(folder, whole, now)?) } else { None };
        if let Some(aside) = &aside {
            tracing::warn!(
                "the last {} bytes of {} are incomplete: the program or the machine stopped while writing. They are saved in {}, and every complete record counts",
                length - whole,
                path.display(),
                aside.display()
            );
            if let LedgerDamage::Tail { .. } = damage {
                file.set_len(whole)?;
            }
        }
        // This also syncs records that an older version or a killed process had not synced.
        file.sync_all()?;
        let content = ContentHash::read(&path, whole)?;
        file.seek(SeekFrom::End(0))?;
        let (folder, identity) = (folder.to_owned(), identity(&file.metadata()?));
        let mut store = Self { folder, file, identity, content, synced, sequence, rewritten: 0, _lock: lock };
        match damage {
            LedgerDamage::Lines { .. } => store.rewrite(state)?,
            _ => store.note(state, None, false)?,
        }
        Ok((store, aside))
    }

    /// Appends lines, and syncs them if `sync`; `state` already includes their records. After an error the content of
    /// the file is unknown, and only `rewrite` may follow.
    pub fn append(&mut self, lines: &[u8], sync: bool, state: &LedgerState) -> io::Result<()> {
        self.file.write_all(lines)?;
        self.content.add(lines);
        if sync { self.sync(state, false) } else { Ok(()) }
    }

    /// Makes all further writes go to another file.
    #[cfg(test)]
    pub fn break_file(&mut self, file: File) {
        self.file = file;
    }

    /// Syncs the file and writes a checkpoint, which is synced too if `durable`.
    pub fn sync(&mut self, state: &LedgerState, durable: bool) -> io::Result<()> {
        self.file.sync_data()?;
        self.note(state, None, durable)
    }

    /// Writes a checkpoint after a sync of the file. With `next`, the checkpoint also describes that new file, which
    /// may replace this one.
    pub fn note(
        &mut self,
        state: &LedgerState,
        next: Option<&RewrittenLedger>,
        durable: bool,
    ) -> io::Result<()> {
        self.sequence += 1;
        let ledger = match (next, self.synced.take()) {
            // The file may end in lines that were never synced or whose content is unknown, so the synced part stays as
            // the checkpoint before described it.
            (Some(_), Some(synced)) => synced,
            _ => self.content.mark(state.total()),
        };
        self.synced = Some(ledger.clone());
        self.checkpoint(ledger, next.map(|new| new.mark.clone()), state).write(&self.folder, durable)
    }

    fn checkpoint(
        &self,
        ledger: SyncedPrefix,
        next: Option<SyncedPrefix>,
        state: &LedgerState,
    ) -> Checkpoint {
        Checkpoint { sequence: self.sequence, latest: state.latest(), ledger, next }
    }

    /// `None` if the path still leads to the open file and its length is right; otherwise, a sentence that says what
    /// happened.
    pub fn displaced(&self) -> Option<String> {
        let path = self.folder.join(LEDGER);
        let there = match fs::metadata(&path) {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Some(format!("{} was removed while it was in use", path.display()));
            }
            Err(error) => return Some(format!("{} cannot be inspected: {error}", path.display())),
        };
        let what = match identity(&there) == self.identity {
            false => "was replaced by another file",
            true if there.len() < self.content.bytes => "was cut",
            true if there.len() > self.content.bytes => "was written to by another program",
            true => return None,
        };
        Some(format!("{} {what} while it was in use", path.display()))
    }

    /// Writes the totals to `ledger.new`, with which `pixcolor ledger accept-loss` continues. Returns its path.
    pub fn save(&mut self, state: &LedgerState) -> io::Result<PathBuf> {
        let new = write_new(&self.folder, state)?;
        self.note(state, Some(&new), true)?;
        Ok(self.folder.join(NEW))
    }

    /// Whether the file has become long enough for a rewrite.
    pub fn is_long(&self, above: u64) -> bool {
        self.content.bytes > above.max(self.rewritten.saturating_mul(4))
    }

    /// Postpones the next rewrite after a failed one until the file is twice as long.
    pub fn postpone(&mut self) {
        self.rewritten = self.content.bytes / 2;
    }

    /// Rewrites the file atomically: after a crash, the old or the new file is in place, and it is complete.
    pub fn rewrite(&mut self, state: &LedgerState) -> io::Result<()> {
        let new = self.write_new(state)?;
        self.replace(new, state)
    }

    /// Renames a new file over the old one. After an error, either of the two may be in place; the checkpoint on the
    /// disk matches both.
    pub fn replace(&mut self, new: RewrittenLedger, state: &LedgerState) -> io::Result<()> {
        self.note(state, Some(&new), true)?;
        let RewrittenLedger { file, content, mark } = new;
        self.identity = identity(&file.metadata()?);
        (self.file, self.rewritten, self.content) = (file, content.bytes, content);
        self.put_new()?;
        self.synced = Some(mark);
        self.note(state, None, false)
    }

    fn put_new(&self) -> io::Result<()> {
        put_new(&self.folder)
    }

    /// Writes a new file next to the old one. The old file stays unchanged.
    pub fn write_new(&self, state: &LedgerState) -> io::Result<RewrittenLedger> {
        write_new(&self.folder, state)
    }
}

/// Device and inode.
fn identity(data: &Metadata) -> (u64, u64) {
    (data.dev(), data.ino())
}

pub fn put_new(folder: &Path) -> io::Result<()> {
    fs::rename(folder.join(NEW), folder.join(LEDGER))?;
    files::sync(folder)
}

/// Whether a folder has neither a ledger nor a checkpoint.
pub fn is_gone(folder: &Path) -> bool {
    [LEDGER, CHECKPOINT].iter().all(|name| folder.join(name).symlink_metadata().is_err())
}

/// Saves the totals of a ledger whose file and checkpoint were removed, and writes a checkpoint. It shows that the file
/// is missing, so that the totals are used only after a person has accepted the loss.
pub fn save_lost(folder: &Path, state: &LedgerState) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let RewrittenLedger { mark, .. } = write_new(folder, state)?;
    Checkpoint { sequence: 0, latest: state.latest(), ledger: mark.clone(), next: Some(mark) }.create(folder)
}

fn write_new(folder: &Path, state: &LedgerState) -> io::Result<RewrittenLedger> {
    let file = options().write(true).create(true).truncate(true).open(folder.join(NEW))?;
    files::give_to_owner_of(folder, &file)?;
    let (mut writer, mut content) = (BufWriter::new(file), ContentHash::default());
    let mut lines = format!("{HEADER}{VERSION}\n").into_bytes();
    let mut records = state.records();
    loop {
        writer.write_all(&lines)?;
        content.add(&lines);
        lines.clear();
        let Some(record) = records.next() else { break };
        encode(&record, &mut lines)?;
    }
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    let mark = content.mark(state.total());
    Ok(RewrittenLedger { file, content, mark })
}

/// Charges reservations without a settlement in full, because their calls may have been made.
fn charge_unsettled(
    store: &mut LedgerFile,
    state: &mut LedgerState,
    recovered: &mut Recovered,
    in_hand: &HashSet<u64>,
) -> io::Result<()> {
    let open: Vec<ReserveRecord> = state.open().filter(|open| !in_hand.contains(&open.id)).cloned().collect();
    let mut lines = Vec::new();
    for reserve in open {
        recovered.unsettled += 1;
        recovered.unsettled_credits = recovered.unsettled_credits.plus(reserve.most);
        let settled = SettleResult::new(reserve.most, &Settlement::UNKNOWN);
        let record = Record::Settle(SettleRecord::new(reserve, settled, &Settlement::UNKNOWN));
        encode(&record, &mut lines)?;
        state.apply(record);
    }
    if recovered.unsettled_credits > Credits::ZERO {
        tracing::warn!(
            "calls that were running when the program last stopped: {}. Their cost is unknown, and the {} credits that were reserved for them count as spent",
            recovered.unsettled,
            recovered.unsettled_credits
        );
        store.append(&lines, true, state)?;
    }
    Ok(())
}

fn told_of_copy(reason: &LedgerLoss, copy: io::Result<PathBuf>) -> String {
    match copy {
        Ok(copy) => format!("{reason}. A copy is saved in {}", copy.display()),
        Err(error) => format!("{reason}. The file could not be copied: {error}"),
    }
}
