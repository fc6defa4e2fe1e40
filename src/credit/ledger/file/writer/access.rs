//! How the writer gets its file, loses it, and gets it again.

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
    /// Notices a file that was replaced, removed or cut while it was open.
    pub(super) fn check_place(&mut self) {
        if let Access::Open(store) = &self.access
            && let Some(what) = store.displaced()
        {
            self.lose(what);
        }
    }

    /// Lets go of a file that is not the ledger any more. The account in memory is right, and is saved beside it, but a
    /// person has to look: nothing is spent meanwhile, and the lock is free for who repairs it.
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

    /// Nothing is written until the whole account could be.
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

    /// Tries a ledger that could not be used once more, if that is some time ago.
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
        // Where all is gone there would be a new account, and every budget again.
        if let Some(state) = self.state.as_ref().filter(|_| self.owned && store::is_gone(&self.folder)) {
            match store::save_lost(&self.folder, state) {
                // The account has them.
                Ok(()) => self.unwritten.clear(),
                Err(error) => {
                    let folder = self.folder.display();
                    self.access = Access::Closed(Instant::now());
                    return self
                        .set_trouble(Some(format!("{folder} is gone, and cannot be made again: {error}")));
                }
            }
        }
        match LedgerFile::open(&self.folder, self.clock.now(), &self.in_hand()) {
            Ok((store, state, recovered)) => self.opened(store, state, recovered),
            Err(OpenError { state, reason }) => {
                // The first reason is for the caller of `FileLedger::open`: a command that spends nothing does not need
                // the ledger.
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

    /// Reservations of this process that the file may know as open, and that are not to be taken for lost.
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

    /// Goes on with a file that could be opened, and writes what was told meanwhile.
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
