//! The thread that owns a ledger's file.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use time::{Date, OffsetDateTime};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot::Sender;

use super::recovery::Recovered;
use super::store::{Closed, Store};
use super::survey::Loss;
use super::{FileOptions, Shared};
use crate::credit::ledger::record::{Record, Reserve, Settle, decode, encode};
use crate::credit::ledger::reservation::{Dropped, Reservation, Return, Ticket};
use crate::credit::ledger::state::State;
use crate::credit::ledger::{LedgerError, ReserveError, Settled, Settlement, Wish};
use crate::credit::window::Clock;

/// Most commands that share a sync: enough for any rush, and nobody waits much longer than for one.
const BATCH: usize = 1024;
/// So far apart clocks may be.
pub const SKEW: time::Duration = time::Duration::minutes(5);

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
    /// To see whether the file is still there, or again.
    Check,
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
    /// Whether the account in memory was ever that of an open file: then it is right, whatever became of the file.
    owned: bool,
    /// Ends of reservations that were told while the file was closed, as lines.
    unwritten: Vec<u8>,
    /// Whether it was warned that the clock is behind the ledger.
    warned: bool,
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
    /// Those of them that end reservations.
    ends: Vec<u8>,
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
        let (state, owned, unwritten, warned) = (None, false, Vec::new(), false);
        let mut writer =
            Self { folder, clock, options, shared, back, access, state, owned, unwritten, warned };
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
        if let (Access::Open(store), Some(state)) = (&mut self.access, &self.state)
            && let Err(error) = store.sync(state, true)
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
                look(self.state.as_ref().ok_or_else(|| self.trouble()), self.clock.now().date());
            }
            Command::Check => {
                self.shared.checking.store(false, Ordering::Relaxed);
                self.try_again();
                // What is still to be written would look like what another program wrote.
                if batch.lines.is_empty() {
                    self.check_place();
                }
            }
        }
    }

    fn reserve(&mut self, wish: Wish, batch: &mut Batch) -> Result<Reservation, ReserveError> {
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

    /// Writes, and only then answers.
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

    /// Notices a file that was replaced, removed or cut while it was open.
    fn check_place(&mut self) {
        if let Access::Open(store) = &self.access
            && let Some(what) = store.displaced()
        {
            self.lose(what);
        }
    }

    /// Lets go of a file that is not the ledger any more. The account in memory is right, and is saved beside it, but a
    /// person has to look: nothing is spent meanwhile, and the lock is free for who repairs it.
    fn lose(&mut self, what: String) {
        let access = std::mem::replace(&mut self.access, Access::Closed(Instant::now()));
        let (Access::Open(mut store), Some(state)) = (access, &self.state) else { return };
        let saved = store.save(state).inspect_err(|error| {
            tracing::error!("the account could not be saved beside the ledger: {error}");
        });
        let reason = Loss { what, saved: saved.ok() }.to_string();
        tracing::error!("{}", LedgerError { reason: reason.clone() });
        self.set_trouble(Some(reason));
    }

    /// Writes the file anew if it has become long.
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
        match Store::open(&self.folder, self.clock.now(), &self.in_hand()) {
            Ok((store, state, recovered)) => self.opened(store, state, recovered),
            Err(Closed { state, reason }) => {
                if self.trouble().reason != reason {
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
        let open = self.state.iter().filter(|_| self.owned).flat_map(State::open).map(|open| open.id);
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
    fn opened(&mut self, mut store: Store, mut state: State, recovered: Recovered) {
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

    fn set_trouble(&self, reason: Option<String>) {
        let trouble = reason.map(|reason| LedgerError { reason });
        *self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn trouble(&self) -> LedgerError {
        let trouble = self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        trouble.unwrap_or(LedgerError { reason: "it is not open".into() })
    }
}

/// Whether a record ends a reservation that may be in a file.
fn ends(record: &Record) -> bool {
    match record {
        Record::Settle(settle) => settle.reserve.id != 0,
        Record::Release { .. } => true,
        _ => false,
    }
}

/// Warns, once, when the clock is behind the ledger by more than clocks are apart; says whether it is.
fn warn_of_clock(state: &State, clock: OffsetDateTime, warned: bool) -> bool {
    let Some(latest) = state.latest().filter(|latest| *latest - clock > SKEW) else { return false };
    if !warned {
        tracing::warn!(
            "the clock says {clock}, but the ledger has a call of {latest}: budgets stay in the day and the month of \
             that call until the clock has reached them. If the clock is right and was ahead before, stop the \
             gateway and run `pixcolor ledger accept-loss`"
        );
    }
    true
}

#[cfg(test)]
mod tests;
