//! A ledger in one file, for one machine.
//!
//! One thread owns the file and the totals in memory. So a reservation is checked, counted and written in one step,
//! and requests that arrive during a sync share the next sync. `recovery` reads the file, `checkpoint` records how
//! much of it was synced, `survey` compares the file with the checkpoint, `store` writes both, and `writer` is the
//! thread. A ledger that lost records is not used until a person restores it or accepts the loss (`acceptance`).

mod acceptance;
mod beside;
mod checkpoint;
mod recovery;
mod store;
mod survey;
mod writer;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use time::Date;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

pub use acceptance::Acceptance;
pub use recovery::Recovered;

use super::reservation::{Reservation, ReservationRecord, ReservationReturn};
use super::state::LedgerState;
use super::{Ledger, LedgerError, ReserveError, ReserveRequest, SettleResult, Settlement};
use crate::credit::budget::{BudgetStatus, Budgets};
use crate::credit::experience::{CallHistory, SizeClass};
use crate::credit::usage::UsageRow;
use crate::credit::window::Clock;
use survey::LedgerSurvey;
use writer::{LedgerWriter, WriterCommand};

#[derive(Clone, Copy, Debug)]
pub struct FileOptions {
    /// A file longer than this many bytes is rewritten, with totals in place of calls. It is rewritten again when it is
    /// four times as long as after its last rewrite.
    pub rewrite_above: u64,
    /// The time after which opening or writing an unusable ledger is retried.
    pub retry: Duration,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self { rewrite_above: 1 << 20, retry: Duration::from_secs(5) }
    }
}

/// The ledger in the files of a folder: `ledger`, `ledger.checkpoint`, `ledger.lock`, and copies of damaged files.
pub struct FileLedger {
    /// `None` only during the drop.
    commands: Option<UnboundedSender<WriterCommand>>,
    back: ReservationReturn,
    shared: Arc<SharedState>,
    clock: Arc<dyn Clock>,
    thread: Option<JoinHandle<()>>,
}

/// State that can be read without a command to the thread.
#[derive(Default)]
struct SharedState {
    trouble: Mutex<Option<LedgerError>>,
    recovered: Mutex<Recovered>,
    /// Whether the thread has been asked to check the file and has not begun the check.
    checking: AtomicBool,
}

impl FileLedger {
    /// Opens the ledger of a folder, or creates it. Blocks on the disk. An unusable ledger is not an error here and
    /// is not logged: `health` returns the reason, free calls continue, and opening is retried later. Fails if no
    /// thread can be started.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>, options: FileOptions) -> std::io::Result<Self> {
        let (commands, received) = unbounded_channel();
        let weak = commands.downgrade();
        // If the ledger is closed already, the reservation is charged when the ledger is opened again.
        let back: ReservationReturn = Arc::new(move |ticket, dropped| {
            let _ = weak.upgrade().map(|commands| commands.send(WriterCommand::Return(ticket, dropped)));
        });
        let shared = Arc::new(SharedState::default());
        let folder: PathBuf = folder.to_owned();
        let writer = LedgerWriter::open(folder, clock.clone(), options, shared.clone(), back.clone());
        let thread = std::thread::Builder::new().name("ledger".into()).spawn(move || writer.run(received))?;
        Ok(Self { commands: Some(commands), back, shared, clock, thread: Some(thread) })
    }

    /// The usage of these days, and a description of the loss if the ledger has lost records. Another process may write
    /// the ledger at the same time, because no lock is taken. Blocks on the disk.
    pub fn read_usage(
        folder: &Path,
        days: &RangeInclusive<Date>,
    ) -> Result<(Vec<UsageRow>, Option<String>), LedgerError> {
        let survey = LedgerSurvey::of(folder)?;
        // A ledger that was rewritten after its checkpoint was read looks like a loss, so both are read a second time.
        let LedgerSurvey { found, synced, .. } =
            if survey.synced.is_ok() { survey } else { LedgerSurvey::of(folder)? };
        Ok((
            found.map(|found| found.state.usage(days)).unwrap_or_default(),
            synced.err().map(|loss| loss.to_string()),
        ))
    }

    /// What was found in the file when it was last opened for writing.
    pub fn recovered(&self) -> Recovered {
        self.shared.recovered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn send(&self, command: WriterCommand) -> Result<(), LedgerError> {
        let sent = self.commands.as_ref().map(|commands| commands.send(command));
        sent.and_then(Result::ok).ok_or_else(stopped)
    }

    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&LedgerState, Date) -> T + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (answer, answered) = oneshot::channel();
        self.send(WriterCommand::Read(Box::new(move |state, today| {
            // The caller may have stopped waiting.
            let _ = answer.send(state.map(|state| look(state, today)));
        })))?;
        answered.await.map_err(|_| stopped())?
    }
}

fn stopped() -> LedgerError {
    LedgerError { reason: "its thread has stopped; the log says more".into() }
}

#[async_trait]
impl Ledger for FileLedger {
    async fn reserve(&self, wish: ReserveRequest) -> Result<Reservation, ReserveError> {
        if wish.most.is_zero() {
            let ticket = ReservationRecord::new(0, self.clock.now(), wish);
            return Ok(Reservation::new(ticket, self.back.clone()).hand_over());
        }
        let (answer, answered) = oneshot::channel();
        self.send(WriterCommand::Reserve(wish, answer))?;
        answered.await.map_err(|_| stopped())?.map(Reservation::hand_over)
    }

    async fn settle(&self, reservation: Reservation, settlement: Settlement) -> SettleResult {
        let most = reservation.most();
        let settled = SettleResult::new(most, &settlement);
        let Some(ticket) = reservation.take() else { return settled };
        settled.warn(&ticket);
        let (answer, answered) = oneshot::channel();
        let sent = self.send(WriterCommand::Settle(ticket, settlement, answer));
        // The settlement of a free call need not be durable, and must not wait for a slow disk.
        let written = match sent {
            Ok(()) if !most.is_zero() => answered.await.is_ok(),
            sent => sent.is_ok(),
        };
        if !written {
            tracing::error!("a settlement was not written: the thread of the ledger has stopped");
        }
        settled
    }

    async fn usage(&self, days: RangeInclusive<Date>) -> Result<Vec<UsageRow>, LedgerError> {
        self.read(move |state, _| state.usage(&days)).await
    }

    async fn standing(
        &self,
        budgets: Budgets,
        client: Option<String>,
    ) -> Result<Vec<BudgetStatus>, LedgerError> {
        self.read(move |state, today| state.standing(&budgets, client.as_deref(), today)).await
    }

    async fn experience(&self) -> Result<BTreeMap<(String, SizeClass), CallHistory>, LedgerError> {
        self.read(|state, _| state.experience().clone()).await
    }

    async fn look(&self) {
        let (answer, answered) = oneshot::channel();
        // `health` returns the result.
        if self.send(WriterCommand::Check(Some(answer))).is_ok() {
            let _ = answered.await;
        }
    }

    fn health(&self) -> Result<(), LedgerError> {
        // The thread stores the result for the next call of `health`.
        if !self.shared.checking.swap(true, Ordering::Relaxed) {
            let _ = self.send(WriterCommand::Check(None));
        }
        let trouble = self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.clone().map_or(Ok(()), Err)
    }
}

impl Drop for FileLedger {
    /// Waits until the thread has written all pending records.
    fn drop(&mut self) {
        self.commands = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the ledger stopped unexpectedly");
        }
    }
}
