//! Going on with what is left of a ledger: `pixcolor ledger accept-loss`.

use std::fmt;
use std::path::Path;

use time::OffsetDateTime;

use super::FileLedger;
use super::recovery::Recovered;
use super::store::Store;
use crate::credit::ledger::LedgerError;

/// What was found and done.
#[derive(Debug)]
pub struct Acceptance {
    recovered: Recovered,
}

impl FileLedger {
    /// Goes on with what the ledger of a folder still says. An error while another program holds it.
    /// Reads and writes files: not for async threads.
    pub fn accept_loss(folder: &Path, now: OffsetDateTime) -> Result<Acceptance, LedgerError> {
        let opened = Store::open(folder, now).map_err(|closed| LedgerError { reason: closed.reason })?;
        let (_, _, recovered) = opened;
        Ok(Acceptance { recovered })
    }
}

impl fmt::Display for Acceptance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The ledger is whole: {} records. Nothing was changed.", self.recovered.records)
    }
}
