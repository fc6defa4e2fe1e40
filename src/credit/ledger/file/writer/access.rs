//! Opens the writer's file, closes it after a failure or a loss, and opens it again.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::time::Instant;

use super::super::recovery::Recovered;
use super::super::store::{self, LedgerFile, OpenError};
use super::super::survey::LedgerLoss;
use super::{Access, LedgerWriter};
use crate::credit::ledger::LedgerError;
use crate::credit::ledger::record::{Record, decode};
use crate::credit::ledger::state::LedgerState;

impl LedgerWriter {
    /// Closes the file if it was removed, replaced, cut or written to by another program while it was open.
    pub(super) fn check_place(&mut self) {
        if let Access::Open(store) = &self.access
            && let Some(what) = store.displaced()
        {
            self.lose(what);
        }
    }

    /// Closes a file that another program removed or changed. The totals in memory are right and are saved to
    /// `ledger.new`, but a person must decide whether these totals or the file count. Until then, nothing is reserved,
    /// and the lock is released for a repair.
    pub(super) fn lose(&mut self, what: String) {
        let access = std::mem::replace(&mut self.access, Access::Closed(Instant::now()));
        let (Access::Open(mut store), Some(state)) = (access, &self.state) else { return };
        let saved = store.save(state).inspect_err(|error| {
            tracing::error!("the totals could not be saved next to the ledger: {error}");
        });
        let reason = LedgerLoss { what, saved: saved.ok() }.to_string();
        tracing::error!("{}", LedgerError { reason: reason.clone() });
        self.set_trouble(Some(reason));
    }

    /// Stops writing after an error, until a rewrite with the complete totals succeeds.
    pub(super) fn fail(&mut self, error: &std::io::Error) {
        let reason = format!("it cannot be written: {error}");
        tracing::error!("{}", LedgerError { reason: reason.clone() });
        self.set_trouble(Some(reason));
        let access = std::mem::replace(&mut self.access, Access::Closed(Instant::now()));
        self.access = match access {
            Access::Open(store) => Access::Failed(store, Instant::now()),
            other => other,
        };
    }

    /// Opens or rewrites an unusable ledger again if `options.retry` has passed since the last attempt.
    pub(super) fn try_again(&mut self) {
        let due = |since: &Instant| since.elapsed() >= self.options.retry;
        match (&mut self.access, &self.state) {
            (Access::Closed(since), _) if due(since) => self.reopen(),
            (Access::Failed(store, since), Some(state)) if due(since) => match store.rewrite(state) {
                Ok(()) => self.recovered(),
                Err(error) => {
                    *since = Instant::now();
                    self.set_trouble(Some(format!("it cannot be written: {error}")));
                }
            },
            _ => {}
        }
    }

    fn recovered(&mut self) {
        let access = std::mem::replace(&mut self.access, Access::Closed(Instant::now()));
        if let Access::Failed(store, _) = access {
            self.access = Access::Open(store);
            self.set_trouble(None);
            tracing::info!("the ledger can be written again");
        }
    }

    pub(super) fn reopen(&mut self) {
        // The ledger and its checkpoint were removed. A new ledger would let every budget be spent again.
        if let Some(state) = self.state.as_ref().filter(|_| self.owned && store::is_gone(&self.folder)) {
            match store::save_lost(&self.folder, state) {
                // The saved totals include the unwritten settlements.
                Ok(()) => self.unwritten.clear(),
                Err(error) => {
                    let folder = self.folder.display();
                    self.access = Access::Closed(Instant::now());
                    return self.set_trouble(Some(format!(
                        "{folder} was removed and cannot be created again: {error}"
                    )));
                }
            }
        }
        match LedgerFile::open(&self.folder, self.clock.now(), &self.in_hand()) {
            Ok((store, state, recovered)) => self.opened(store, state, recovered),
            Err(OpenError { state, reason }) => {
                // The reason of the first failure is not logged, because a command without paid calls does not need
                // the ledger. `health` returns it.
                if self.known_trouble().is_some_and(|known| known.reason != reason) {
                    tracing::error!("{}", LedgerError { reason: reason.clone() });
                }
                self.access = Access::Closed(Instant::now());
                if !self.owned {
                    self.state = state;
                }
                self.set_trouble(Some(reason));
            }
        }
    }

    /// Reservations of this process that the file may contain as open and that must not be charged in full.
    fn in_hand(&self) -> HashSet<u64> {
        let open = self.state.iter().filter(|_| self.owned).flat_map(LedgerState::open).map(|open| open.id);
        let ended = self.unwritten().filter_map(|record| match record {
            Record::Settle(settle) => Some(settle.reserve.id),
            Record::Release { id } => Some(id),
            _ => None,
        });
        open.chain(ended).collect()
    }

    fn unwritten(&self) -> impl Iterator<Item = Record> {
        self.unwritten.split_inclusive(|byte| *byte == b'\n').filter_map(|line| decode(line).ok())
    }

    /// Continues with a reopened file, and writes the pending lines.
    fn opened(&mut self, mut store: LedgerFile, mut state: LedgerState, recovered: Recovered) {
        if let Some(before) = self.state.as_ref().filter(|_| self.owned) {
            state.number_after(before);
            tracing::info!("the ledger can be used again");
        }
        self.unwritten().for_each(|record| state.apply(record));
        let lines = std::mem::take(&mut self.unwritten);
        let written = if lines.is_empty() { Ok(()) } else { store.append(&lines, true, &state) };
        (self.access, self.state, self.owned) = (Access::Open(store), Some(state), true);
        *self.shared.recovered.lock().unwrap_or_else(PoisonError::into_inner) = recovered;
        match written {
            Ok(()) => self.set_trouble(None),
            Err(error) => self.fail(&error),
        }
    }
}
