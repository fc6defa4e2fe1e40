//! The thread that owns a ledger's file.

mod access;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use time::{Date, OffsetDateTime};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot::Sender;

use super::store::LedgerFile;
use super::{FileOptions, SharedState};
use crate::credit::ledger::record::{Record, ReserveRecord, SettleRecord, encode};
use crate::credit::ledger::reservation::{Dropped, Reservation, ReservationRecord, ReservationReturn};
use crate::credit::ledger::state::LedgerState;
use crate::credit::ledger::{LedgerError, ReserveError, ReserveRequest, SettleResult, Settlement};
use crate::credit::window::Clock;

/// Maximum number of commands that share a sync. It bounds the time that a caller waits.
const BATCH: usize = 1024;
/// A clock that is behind the latest record by at most this time counts as right.
pub const SKEW: time::Duration = time::Duration::minutes(5);

/// A command to the thread.
pub enum WriterCommand {
    Reserve(ReserveRequest, Sender<Result<Reservation, ReserveError>>),
    /// Ends a reservation; answered when the settlement is written, or stored in memory if the file cannot be written.
    Settle(ReservationRecord, Settlement, Sender<()>),
    /// Returns or charges a dropped reservation.
    Return(ReservationRecord, Dropped),
    Read(LedgerQuery),
    /// Checks whether the file is usable; answered after the check.
    Check(Option<Sender<()>>),
}

/// A query of the totals.
pub type LedgerQuery = Box<dyn FnOnce(Result<&LedgerState, LedgerError>, Date) + Send>;

pub struct LedgerWriter {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    options: FileOptions,
    shared: Arc<SharedState>,
    back: ReservationReturn,
    access: Access,
    /// `None` if the file exists and cannot be read.
    state: Option<LedgerState>,
    /// Whether this process has ever opened the ledger. From then on its totals in memory are complete, even if the
    /// file is lost or closed later.
    owned: bool,
    /// Records that ended reservations while the file was closed, as lines.
    unwritten: Vec<u8>,
    /// Whether the warning about a clock behind the ledger was logged.
    warned: bool,
}

/// Whether the file can be written.
enum Access {
    Open(LedgerFile),
    /// The file is not open. The time is that of the last failed attempt to open it, or of its loss.
    Closed(Instant),
    /// A write failed, and the time is that of the last failed write. The file's content is unknown, so the totals in
    /// memory count.
    Failed(LedgerFile, Instant),
}

/// Lines that are written together, and the waiting callers.
#[derive(Default)]
struct Batch {
    lines: Vec<u8>,
    /// Those of the lines that end reservations.
    ends: Vec<u8>,
    /// Whether the lines must be synced before the callers get their answers.
    sync: bool,
    granted: Vec<(Reservation, Sender<Result<Reservation, ReserveError>>)>,
    settled: Vec<Sender<()>>,
}

impl LedgerWriter {
    /// Opens the file, or stores why it cannot be opened.
    pub fn open(
        folder: PathBuf,
        clock: Arc<dyn Clock>,
        options: FileOptions,
        shared: Arc<SharedState>,
        back: ReservationReturn,
    ) -> Self {
        let access = Access::Closed(Instant::now());
        let (state, owned, unwritten, warned) = (None, false, Vec::new(), false);
        let mut writer =
            Self { folder, clock, options, shared, back, access, state, owned, unwritten, warned };
        writer.reopen();
        writer
    }

    /// Runs until all senders are dropped, and then syncs the file.
    pub fn run(mut self, mut commands: UnboundedReceiver<WriterCommand>) {
        while let Some(first) = commands.blocking_recv() {
            let mut batch = Batch::default();
            self.take(first, &mut batch);
            for _ in 1..BATCH {
                let Ok(next) = commands.try_recv() else { break };
                self.take(next, &mut batch);
            }
            self.commit(batch);
        }
        self.check_place();
        if let (Access::Open(store), Some(state)) = (&mut self.access, &self.state)
            && let Err(error) = store.sync(state, true)
        {
            tracing::error!("the ledger was not written to the end: {error}");
        }
    }

    fn take(&mut self, command: WriterCommand, batch: &mut Batch) {
        match command {
            WriterCommand::Reserve(wish, answer) => match self.reserve(wish, batch) {
                Ok(reservation) => batch.granted.push((reservation, answer)),
                // The caller may have stopped waiting, here and below.
                Err(error) => {
                    let _ = answer.send(Err(error));
                }
            },
            WriterCommand::Settle(ticket, settlement, answer) => {
                self.settle(ticket, &settlement, batch);
                batch.settled.push(answer);
            }
            WriterCommand::Return(ticket, Dropped::Unseen) => {
                self.record(Record::Release { id: ticket.id }, batch)
            }
            WriterCommand::Return(ticket, Dropped::Held) => {
                SettleResult::new(ticket.most, &Settlement::UNKNOWN).warn(&ticket);
                self.settle(ticket, &Settlement::UNKNOWN, batch);
            }
            WriterCommand::Read(look) => {
                self.try_again();
                look(self.state.as_ref().ok_or_else(|| self.trouble()), self.clock.now().date());
            }
            WriterCommand::Check(answer) => {
                self.shared.checking.store(false, Ordering::Relaxed);
                self.try_again();
                // If lines are pending, `commit` makes the same check before it writes them.
                if batch.lines.is_empty() {
                    self.check_place();
                }
                let _ = answer.map(|answer| answer.send(()));
            }
        }
    }

    fn reserve(&mut self, wish: ReserveRequest, batch: &mut Batch) -> Result<Reservation, ReserveError> {
        self.try_again();
        let (Access::Open(_), Some(state)) = (&self.access, &self.state) else {
            return Err(self.trouble().into());
        };
        let now = self.clock.now();
        self.warned = warn_of_clock(state, now, self.warned);
        let ticket = state.admit(wish, now)?;
        let reservation = Reservation::new(ticket.clone(), self.back.clone());
        self.record(Record::Reserve(ticket.into()), batch);
        batch.sync = true;
        Ok(reservation)
    }

    fn settle(&mut self, mut ticket: ReservationRecord, settlement: &Settlement, batch: &mut Batch) {
        if let Some(state) = &self.state {
            state.limit_names(&mut ticket);
        }
        let settled = SettleResult::new(ticket.most, settlement);
        // After a crash, the full reservation is charged. Only an overrun charges more, so only its settlement must be
        // synced.
        batch.sync |= settled.overrun.micro() > 0;
        self.record(
            Record::Settle(SettleRecord::new(ReserveRecord::from(ticket), settled, settlement)),
            batch,
        );
    }

    /// Applies a record to the totals and queues it for writing.
    fn record(&mut self, record: Record, batch: &mut Batch) {
        let Some(state) = &mut self.state else { return };
        let before = batch.lines.len();
        match encode(&record, &mut batch.lines) {
            Ok(()) => {
                if ends(&record) {
                    batch.ends.extend_from_slice(batch.lines.get(before..).unwrap_or_default());
                }
                state.apply(record);
            }
            Err(error) => {
                state.apply(record);
                self.fail(&error.into());
            }
        }
    }

    /// Writes the lines, and then answers the callers.
    fn commit(&mut self, batch: Batch) {
        let displaced = match &self.access {
            Access::Open(store) if !batch.lines.is_empty() => store.displaced(),
            _ => None,
        };
        if let (Access::Open(store), Some(state), None) = (&mut self.access, &self.state, &displaced)
            && !batch.lines.is_empty()
            && let Err(error) = store.append(&batch.lines, batch.sync, state)
        {
            self.fail(&error);
        }
        let open = matches!(self.access, Access::Open(_)) && displaced.is_none();
        if self.owned && (displaced.is_some() || matches!(self.access, Access::Closed(_))) {
            self.unwritten.extend_from_slice(&batch.ends);
        }
        let mut refused = Vec::new();
        for (reservation, answer) in batch.granted {
            if open {
                let _ = answer.send(Ok(reservation));
            } else {
                if let (Some(ticket), Some(state)) = (reservation.take(), &mut self.state) {
                    state.apply(Record::Release { id: ticket.id });
                }
                refused.push(answer);
            }
        }
        if let Some(what) = displaced {
            self.lose(what);
        }
        for answer in refused {
            let _ = answer.send(Err(self.trouble().into()));
        }
        for answer in batch.settled {
            let _ = answer.send(());
        }
        self.shorten();
    }

    /// Rewrites the file if it has become long.
    fn shorten(&mut self) {
        let today = self.clock.now().date();
        let (Access::Open(store), Some(state)) = (&mut self.access, &mut self.state) else { return };
        if store.is_long(self.options.rewrite_above) {
            state.fold(today);
            match store.write_new(state) {
                Ok(new) => {
                    if let Err(error) = store.replace(new, state) {
                        self.fail(&error);
                    }
                }
                Err(error) => {
                    tracing::warn!("the ledger could not be shortened, and keeps growing: {error}");
                    store.postpone();
                }
            }
        }
    }

    fn set_trouble(&self, reason: Option<String>) {
        let trouble = reason.map(|reason| LedgerError { reason });
        *self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn known_trouble(&self) -> Option<LedgerError> {
        self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn trouble(&self) -> LedgerError {
        self.known_trouble().unwrap_or(LedgerError { reason: "it is not open".into() })
    }
}

/// Whether a record ends a reservation that may be in the file.
fn ends(record: &Record) -> bool {
    match record {
        Record::Settle(settle) => settle.reserve.id != 0,
        Record::Release { .. } => true,
        _ => false,
    }
}

/// Returns whether the clock is behind the latest record by more than `SKEW`. Logs a warning about that unless
/// `warned`.
fn warn_of_clock(state: &LedgerState, clock: OffsetDateTime, warned: bool) -> bool {
    let Some(latest) = state.latest().filter(|latest| *latest - clock > SKEW) else { return false };
    if !warned {
        tracing::warn!(
            "the clock says {clock}, but the ledger has a call of {latest}: budgets stay in the day and the month of \
             that call until the clock has reached that time. If the clock is right and was ahead before, stop the \
             gateway and run `pixcolor ledger accept-loss`"
        );
    }
    true
}

#[cfg(test)]
mod tests;
