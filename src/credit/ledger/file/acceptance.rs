//! Continues with the readable part of a ledger: `pixcolor ledger accept-loss`.

use std::fmt;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::FileLedger;
use super::beside;
use super::checkpoint::SyncedPrefix;
use super::recovery::LedgerContent;
use super::store::{self, LEDGER, LedgerFile};
use super::survey::{LedgerLoss, LedgerSurvey};
use super::writer::SKEW;
use crate::credit::amount::Credits;
use crate::credit::ledger::LedgerError;

/// The result of accepting a loss.
#[derive(Debug)]
pub enum Acceptance {
    /// There is no ledger, and none was lost.
    Nothing,
    /// Nothing was wrong, and nothing was changed.
    Whole { records: u64, credits: Credits },
    /// The ledger was rewritten.
    Accepted(AcceptedLedger),
}

/// The ledger after a loss was accepted.
#[derive(Debug)]
pub struct AcceptedLedger {
    /// What was lost; `None` if only the clock was wrong.
    loss: Option<LedgerLoss>,
    /// Readable records.
    records: u64,
    /// Credits that these records charge or reserve.
    credits: Credits,
    /// The checkpoint's records and credits; `None` without a readable checkpoint.
    known: Option<SyncedPrefix>,
    /// The saved copy of the file; `None` if the file was missing or nothing was lost.
    kept_aside: Option<PathBuf>,
    /// The time of the latest record before the rewrite, if that time was in the future.
    rewound: Option<OffsetDateTime>,
}

impl FileLedger {
    /// Continues with the saved totals of a folder's ledger, or with its readable part if no totals were saved. Fails
    /// while another process holds the ledger's lock, or if the files cannot be read or written. Blocks on the disk.
    pub fn accept_loss(folder: &Path, now: OffsetDateTime) -> Result<Acceptance, LedgerError> {
        let cannot = |error: std::io::Error| LedgerError {
            reason: format!("{} cannot be written: {error}", folder.join(LEDGER).display()),
        };
        let lock = beside::lock(folder).map_err(|reason| LedgerError { reason })?;
        let LedgerSurvey { mut found, checkpoint, synced } = LedgerSurvey::of(folder)?;
        let loss = synced.err();
        let kept_aside = match (&loss, &found) {
            (Some(_), Some(_)) => Some(beside::keep_aside(folder, 0, now).map_err(cannot)?),
            _ => None,
        };
        if let Some(LedgerLoss { saved: Some(_), .. }) = &loss {
            store::put_new(folder).map_err(cannot)?;
            found = LedgerSurvey::of(folder)?.found;
        }
        let Some(LedgerContent { state, records, .. }) =
            found.or_else(|| loss.is_some().then(LedgerContent::nothing))
        else {
            return Ok(Acceptance::Nothing);
        };
        let rewound = state.latest().filter(|latest| *latest - now > SKEW);
        if loss.is_none() && rewound.is_none() {
            return Ok(Acceptance::Whole { records, credits: state.total() });
        }
        let state = if rewound.is_some() { state.rewind(now) } else { state };
        let (known, credits) = (checkpoint.as_ref().map(|it| it.ledger.clone()), state.total());
        LedgerFile::create(folder, lock, &state, checkpoint.map_or(0, |it| it.sequence)).map_err(cannot)?;
        Ok(Acceptance::Accepted(AcceptedLedger { loss, records, credits, known, kept_aside, rewound }))
    }
}

impl fmt::Display for Acceptance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("There is no ledger yet, and none was lost. Nothing was changed."),
            Self::Whole { records, credits } => write!(
                f,
                "Nothing is wrong with the ledger: {records} records, {credits} credits. Nothing was changed."
            ),
            Self::Accepted(accepted) => accepted.fmt(f),
        }
    }
}

impl fmt::Display for AcceptedLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { loss, records, credits, known, kept_aside, rewound } = self;
        if let Some(LedgerLoss { what, saved }) = loss {
            writeln!(f, "{what}.")?;
            match (saved, known) {
                (Some(saved), _) => {
                    writeln!(f, "Lost: nothing, the whole account was in {}.", saved.display())?
                }
                (None, Some(known)) => writeln!(
                    f,
                    "Lost: {} records, {} credits, according to the checkpoint.",
                    known.records.saturating_sub(*records),
                    known.credits.minus(*credits).max(Credits::ZERO)
                )?,
                (None, None) => {
                    writeln!(f, "Lost: an unknown amount, because there is no readable checkpoint.")?
                }
            }
        }
        writeln!(f, "Kept: {records} records, {credits} credits charged or reserved.")?;
        if let Some(rewound) = rewound {
            writeln!(
                f,
                "The clock was at {rewound} before: spending dated after today now counts as spent today."
            )?;
        }
        if let Some(path) = kept_aside {
            writeln!(f, "The file as it was: {}", path.display())?;
        }
        f.write_str(
            "Providers that cost something are used again. A running gateway uses them within seconds.",
        )
    }
}
