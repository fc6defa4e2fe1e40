//! The thread that owns a ledger's file.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use time::Date;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot::Sender;

use super::store::{Closed, Store};
use super::{FileOptions, Shared};
use crate::credit::ledger::record::{Record, Reserve, Settle, encode};
use crate::credit::ledger::reservation::{Dropped, Reservation, Return, Ticket};
use crate::credit::ledger::state::State;
use crate::credit::ledger::{LedgerError, ReserveError, Settled, Settlement, Wish};
use crate::credit::window::Clock;

/// Most commands that share a sync: enough for any rush, and nobody waits much longer than for one.
const BATCH: usize = 1024;

/// What the thread is asked to do.
pub enum Command {
    /// To reserve.
    Reserve(Wish, Sender<Result<Reservation, ReserveError>>),
    /// To settle; it is answered when it is written.
    Settle(Ticket, Settlement, Sender<()>),
    /// To take back what somebody dropped.
    Return(Ticket, Dropped),
    /// To let somebody look.
    Read(Look),
}

/// What somebody looks for, in the account of today.
pub type Look = Box<dyn FnOnce(Result<&State, LedgerError>, Date) + Send>;

/// What the thread owns.
pub struct Writer {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    options: FileOptions,
    shared: Arc<Shared>,
    back: Return,
    access: Access,
    /// None if the file is there and cannot be read.
    state: Option<State>,
}

/// Whether the file can be written.
enum Access {
    /// It can.
    Open(Store),
    /// It could not be opened, at this time.
    Closed(Instant),
    /// It could be, until this time: what it holds is not known, and the account in memory counts.
    Failed(Store, Instant),
}

/// Lines that are written together, and who waits for them.
#[derive(Default)]
struct Batch {
    lines: Vec<u8>,
    /// Whether somebody acts on a line as soon as it is written.
    sync: bool,
    granted: Vec<(Reservation, Sender<Result<Reservation, ReserveError>>)>,
    settled: Vec<Sender<()>>,
}

impl Writer {
    /// Opens the file, or knows why not.
    pub fn open(
        folder: PathBuf,
        clock: Arc<dyn Clock>,
        options: FileOptions,
        shared: Arc<Shared>,
        back: Return,
    ) -> Self {
        let access = Access::Closed(Instant::now());
        let mut writer = Self { folder, clock, options, shared, back, access, state: None };
        writer.reopen();
        writer
    }

    /// Works until nobody can ask any more.
    pub fn run(mut self, mut commands: UnboundedReceiver<Command>) {
        while let Some(first) = commands.blocking_recv() {
            let mut batch = Batch::default();
            self.take(first, &mut batch);
            for _ in 1..BATCH {
                let Ok(next) = commands.try_recv() else { break };
                self.take(next, &mut batch);
            }
            self.commit(batch);
        }
        if let Access::Open(store) = &self.access
            && let Err(error) = store.sync()
        {
            tracing::error!("the ledger was not written to the end: {error}");
        }
    }

    fn take(&mut self, command: Command, batch: &mut Batch) {
        match command {
            Command::Reserve(wish, answer) => match self.reserve(wish, batch) {
                Ok(reservation) => batch.granted.push((reservation, answer)),
                // Nobody may be waiting any more, here and below.
                Err(error) => {
                    let _ = answer.send(Err(error));
                }
            },
            Command::Settle(ticket, settlement, answer) => {
                self.settle(ticket, &settlement, batch);
                batch.settled.push(answer);
            }
            Command::Return(ticket, Dropped::Unseen) => self.record(Record::Release { id: ticket.id }, batch),
            Command::Return(ticket, Dropped::Held) => {
                Settled::new(ticket.most, &Settlement::UNKNOWN).warn(&ticket);
                self.settle(ticket, &Settlement::UNKNOWN, batch);
            }
            Command::Read(look) => {
                self.try_again();
                look(self.state.as_ref().ok_or_else(|| self.trouble()), self.today());
            }
        }
    }

    fn reserve(&mut self, wish: Wish, batch: &mut Batch) -> Result<Reservation, ReserveError> {
        self.try_again();
        let (Access::Open(_), Some(state)) = (&self.access, &self.state) else {
            return Err(self.trouble().into());
        };
        let ticket = state.admit(wish, self.clock.now())?;
        let reservation = Reservation::new(ticket.clone(), self.back.clone());
        self.record(Record::Reserve(ticket.into()), batch);
        batch.sync = true;
        Ok(reservation)
    }

    fn settle(&mut self, mut ticket: Ticket, settlement: &Settlement, batch: &mut Batch) {
        if let Some(state) = &self.state {
            state.limit_names(&mut ticket);
        }
        let settled = Settled::new(ticket.most, settlement);
        // Only an overrun is more than what a crash would charge.
        batch.sync |= settled.overrun.micro() > 0;
        self.record(Record::Settle(Settle::new(Reserve::from(ticket), settled, settlement)), batch);
    }

    /// Takes a record into account, and has it written.
    fn record(&mut self, record: Record, batch: &mut Batch) {
        let Some(state) = &mut self.state else { return };
        match encode(&record, &mut batch.lines) {
            Ok(()) => state.apply(record),
            Err(error) => {
                state.apply(record);
                self.fail(&error.into());
            }
        }
    }

    /// Writes, and only then answers.
    fn commit(&mut self, batch: Batch) {
        if let Access::Open(store) = &mut self.access
            && !batch.lines.is_empty()
            && let Err(error) = store.append(&batch.lines, batch.sync)
        {
            self.fail(&error);
        }
        let open = matches!(self.access, Access::Open(_));
        for (reservation, answer) in batch.granted {
            if open {
                let _ = answer.send(Ok(reservation));
            } else {
                if let (Some(ticket), Some(state)) = (reservation.take(), &mut self.state) {
                    state.apply(Record::Release { id: ticket.id });
                }
                let _ = answer.send(Err(self.trouble().into()));
            }
        }
        for answer in batch.settled {
            let _ = answer.send(());
        }
        self.shorten();
    }

    /// Writes the file anew if it has become long.
    fn shorten(&mut self) {
        let today = self.today();
        let (Access::Open(store), Some(state)) = (&mut self.access, &mut self.state) else { return };
        if store.is_long(self.options.rewrite_above) {
            state.fold(today);
            match store.write_new(state) {
                Ok(new) => {
                    if let Err(error) = store.replace(new) {
                        self.fail(&error);
                    }
                }
                Err(error) => {
                    tracing::warn!("the ledger could not be shortened, and grows on: {error}");
                    store.postpone();
                }
            }
        }
    }

    /// Nothing is written until the whole account could be.
    fn fail(&mut self, error: &std::io::Error) {
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
    fn try_again(&mut self) {
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

    fn reopen(&mut self) {
        match Store::open(&self.folder, self.clock.now()) {
            Ok((store, state, recovered)) => {
                (self.access, self.state) = (Access::Open(store), Some(state));
                *self.shared.recovered.lock().unwrap_or_else(PoisonError::into_inner) = recovered;
                self.set_trouble(None);
            }
            Err(Closed { state, reason }) => {
                if self.trouble().reason != reason {
                    tracing::error!("{}", LedgerError { reason: reason.clone() });
                }
                (self.access, self.state) = (Access::Closed(Instant::now()), state);
                self.set_trouble(Some(reason));
            }
        }
    }

    fn set_trouble(&self, reason: Option<String>) {
        let trouble = reason.map(|reason| LedgerError { reason });
        *self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn trouble(&self) -> LedgerError {
        let trouble = self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        trouble.unwrap_or(LedgerError { reason: "it is not open".into() })
    }

    fn today(&self) -> Date {
        self.clock.now().date()
    }
}

#[cfg(test)]
mod tests;
