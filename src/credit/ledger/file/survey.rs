//! Compares the file of a folder's ledger with its checkpoint, to decide whether the ledger may be used.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use super::checkpoint::{CHECKPOINT, Checkpoint, CheckpointDamage, SyncedPrefix};
use super::recovery::{self, LedgerContent, LedgerDamage, UnusableLedger};
use super::store::{LEDGER, NEW};
use crate::credit::ledger::LedgerError;

pub struct LedgerSurvey {
    /// The content of the file; `None` if the file does not exist.
    pub found: Option<LedgerContent>,
    /// The checkpoint; `None` if it does not exist or is unreadable.
    pub checkpoint: Option<Checkpoint>,
    /// The synced beginning of the file; `None` without a checkpoint. An error means that records were lost: then
    /// nothing may be spent until a person restores the file or accepts the loss.
    pub synced: Result<Option<SyncedPrefix>, LedgerLoss>,
}

/// A ledger that lost records.
#[derive(Debug)]
pub struct LedgerLoss {
    pub what: String,
    /// A file with the complete totals, if there is one.
    pub saved: Option<PathBuf>,
}

impl fmt::Display for LedgerLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, saved } = self;
        match saved {
            Some(saved) => write!(
                f,
                "{what}. The complete ledger is in {}, and `pixcolor ledger accept-loss` continues with it",
                saved.display()
            ),
            None => write!(
                f,
                "{what}. Restore the right file, or continue with the readable records: `pixcolor ledger accept-loss`"
            ),
        }
    }
}

impl LedgerSurvey {
    /// Reads a folder's ledger and its checkpoint. Fails if one of them exists and cannot be read, or if a
    /// newer version wrote the ledger.
    pub fn of(folder: &Path) -> Result<Self, LedgerError> {
        let path = folder.join(LEDGER);
        // The checkpoint is read first. A running process may write both files at the same time, and a checkpoint never
        // describes more than the ledger contains.
        let checkpoint = match Checkpoint::read(folder) {
            // If the folder's path is a file, the error is reported when the folder is created.
            Err(error) if error.kind() != io::ErrorKind::NotADirectory => {
                let reason = format!("{} cannot be read: {error}", folder.join(CHECKPOINT).display());
                return Err(LedgerError { reason });
            }
            checkpoint => checkpoint.unwrap_or_default(),
        };
        let unusable =
            |unusable| LedgerError { reason: format!("{} exists, but {unusable}", path.display()) };
        let mut found = recovery::read(&path).map_err(unusable)?;
        let damaged = matches!(checkpoint, Some(Err(CheckpointDamage)));
        let checkpoint = checkpoint.and_then(Result::ok);
        let synced = synced(&path, found.as_ref(), checkpoint.as_ref()).map_err(unusable)?;
        let synced = match damaged && synced.is_ok() {
            true => Err(format!(
                "{} is damaged: the expected content of the ledger is unknown",
                folder.join(CHECKPOINT).display()
            )),
            false => synced,
        };
        if let (Some(found), Some(latest)) = (&mut found, checkpoint.as_ref().and_then(|it| it.latest)) {
            found.state.see(latest);
        }
        let saved = || {
            let saved = folder.join(NEW);
            let next = checkpoint.as_ref()?.next.as_ref()?;
            next.fits(&saved).unwrap_or_default().then_some(saved)
        };
        let synced = synced.map_err(|what| LedgerLoss { what, saved: saved() });
        Ok(Self { found, checkpoint, synced })
    }
}

/// The synced part of a file, or a description of the loss.
fn synced(
    path: &Path,
    found: Option<&LedgerContent>,
    checkpoint: Option<&Checkpoint>,
) -> Result<Result<Option<SyncedPrefix>, String>, UnusableLedger> {
    let name = path.display();
    let counted = checkpoint.map(|checkpoint| {
        let SyncedPrefix { records, credits, .. } = &checkpoint.ledger;
        format!("{CHECKPOINT} knows of {records} records and {credits} credits")
    });
    let Some(found) = found else {
        return Ok(counted.map_or(Ok(None), |counted| Err(format!("{name} is missing, and {counted}"))));
    };
    match found.damage {
        LedgerDamage::Empty => {
            return Ok(Err(format!("{name} is empty, but a ledger has at least a header")));
        }
        LedgerDamage::Header => return Ok(Err(format!("{name} does not begin with the header of a ledger"))),
        // Lines that a power failure damaged before they were synced are not a loss.
        LedgerDamage::Lines { whole, holes: true, .. }
            if checkpoint.is_some_and(|it| it.ledger.bytes <= whole) => {}
        LedgerDamage::Lines { count, first, .. } => {
            return Ok(Err(format!("{name} has damaged lines: {count}, the first is line {first}")));
        }
        LedgerDamage::None | LedgerDamage::Tail { .. } => {}
    }
    let (Some(Checkpoint { ledger, next, .. }), Some(counted)) = (checkpoint, counted) else {
        return Ok(Ok(None));
    };
    for mark in next.iter().chain([ledger]) {
        if mark.fits(path)? {
            return Ok(Ok(Some(mark.clone())));
        }
    }
    Ok(Err(match found.length < ledger.bytes {
        true => format!(
            "{name} was cut: it has {} of at least {} bytes, and {counted}",
            found.length, ledger.bytes
        ),
        false => format!("{name} differs from what was written, and {counted}"),
    }))
}
