//! A ledger in Redis, for several replicas.
//!
//! A reservation is checked against all budgets, counted and noted in one script, and ended in another, which does
//! it once however often it is told. Both are sent by tasks of their own: who leaves meanwhile leaves nothing
//! half done. While Redis does not answer nothing is reserved, so that providers that cost something are off.
//!
//! `keys` says what is where, `account` writes it, `reading` reads it, `guard` says whether it can be trusted,
//! `loss` is the way out when it cannot, and this is the trait.

mod account;
mod epoch;
mod guard;
mod keys;
mod loss;
mod reading;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use time::Date;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use self::account::{RedisAccount, ReserveFailure};
use self::epoch::EpochFile;
use self::guard::unusable;
pub use self::loss::AcceptedLoss;
use super::reservation::{Dropped, Reservation, ReservationRecord, ReservationReturn};
use super::{Ledger, LedgerError, ReserveError, ReserveRequest, SettleResult, Settlement};
use crate::credit::budget::{BudgetStatus, Budgets};
use crate::credit::experience::{CallHistory, SizeClass};
use crate::credit::usage::UsageRow;
use crate::credit::window::Clock;
use crate::shared::{CommandError, SharedRedis};
use crate::tasks::Tasks;

/// How long the end of a reservation is told again while Redis does not answer. After that it stays charged.
const INSIST: Duration = Duration::from_secs(15 * 60);
/// How often meanwhile.
const AGAIN: Duration = Duration::from_secs(1);

/// The ledger in what replicas share.
pub struct RedisLedger(Arc<LedgerTasks>);

/// What tasks need of it.
struct LedgerTasks {
    account: RedisAccount,
    tasks: Tasks,
    back: ReservationReturn,
}

impl RedisLedger {
    /// The ledger in what is shared; its work is done in `tasks`. Without a clock it is Redis's own.
    pub fn new(shared: SharedRedis, clock: Option<Arc<dyn Clock>>, tasks: Tasks) -> Self {
        Self::open(shared, clock, tasks, None)
    }

    /// The same, with Redis's own clock, for a gateway with a state folder: it remembers there which account it knew,
    /// so that it notices another one after a restart.
    pub fn in_folder(shared: SharedRedis, tasks: Tasks, state_dir: &Path) -> Self {
        Self::open(shared, None, tasks, Some(EpochFile::new(state_dir)))
    }

    fn open(
        shared: SharedRedis,
        clock: Option<Arc<dyn Clock>>,
        tasks: Tasks,
        file: Option<EpochFile>,
    ) -> Self {
        Self(Arc::new_cyclic(|desk: &Weak<LedgerTasks>| {
            let desk = desk.clone();
            // A desk that is gone, or a program that ends, leaves the reservation charged.
            let back: ReservationReturn = Arc::new(move |ticket, dropped| {
                if let (Some(desk), Ok(_)) = (desk.upgrade(), Handle::try_current()) {
                    desk.tasks.clone().spawn(async move { desk.take_back(&ticket, dropped).await });
                }
            });
            LedgerTasks { account: RedisAccount::new(shared, clock, file), tasks, back }
        }))
    }
}

impl LedgerTasks {
    /// Reserves; what fails half-way is given back.
    async fn reserve(&self, wish: ReserveRequest) -> Result<Reservation, ReserveError> {
        match self.account.reserve(wish).await {
            Ok(Ok(ticket)) => Ok(Reservation::new(ticket, self.back.clone())),
            Ok(Err(exhausted)) => Err(exhausted.into()),
            Err(ReserveFailure::Ledger(error)) => Err(error.into()),
            Err(ReserveFailure::Redis(trouble, ticket)) => {
                if trouble.sent {
                    (self.back)(ticket, Dropped::Unseen);
                }
                Err(unusable(&trouble).into())
            }
        }
    }

    async fn take_back(&self, ticket: &ReservationRecord, dropped: Dropped) {
        match dropped {
            Dropped::Unseen => self.insist(|| self.account.release(ticket), |_| ()).await,
            Dropped::Held => {
                SettleResult::new(ticket.most, &Settlement::UNKNOWN).warn(ticket);
                self.settle(ticket, Settlement::UNKNOWN, |_| ()).await;
            }
        }
    }

    /// `first` is told how the first try went.
    async fn settle(&self, ticket: &ReservationRecord, settlement: Settlement, first: impl FnOnce(bool)) {
        if ticket.most.is_zero() {
            // It may be counted twice if it is told twice, and costs nothing if it is not counted.
            return first(self.account.settle(ticket, &settlement).await.is_ok());
        }
        self.insist(|| self.account.settle(ticket, &settlement), first).await;
    }

    async fn insist<F>(&self, tell: impl Fn() -> F, first: impl FnOnce(bool))
    where
        F: Future<Output = Result<(), CommandError>>,
    {
        let (start, mut told) = (Instant::now(), tell().await);
        first(told.is_ok());
        while told.is_err() && start.elapsed() < INSIST {
            tokio::time::sleep(AGAIN).await;
            told = tell().await;
        }
        if let Err(trouble) = told {
            tracing::error!(
                "the settlement of a call was not recorded, and its reservation stays charged: {trouble}"
            );
        }
    }

    /// Charges what nobody can hold any more: its process was killed.
    fn close(self: &Arc<Self>, abandoned: Vec<ReservationRecord>) {
        for ticket in abandoned {
            tracing::warn!(
                "a call of provider {} was running when its process ended: its cost is unknown, and the {} credits that were reserved for it are charged",
                ticket.provider,
                ticket.most
            );
            let desk = self.clone();
            self.tasks.spawn(async move { desk.settle(&ticket, Settlement::UNKNOWN, |_| ()).await });
        }
    }
}

fn stopped() -> LedgerError {
    LedgerError { reason: "its task has stopped; the log says more".into() }
}

#[async_trait]
impl Ledger for RedisLedger {
    async fn reserve(&self, wish: ReserveRequest) -> Result<Reservation, ReserveError> {
        let Self(desk) = self;
        if wish.most.is_zero() {
            let ticket = ReservationRecord::new(0, desk.account.now(), wish);
            return Ok(Reservation::new(ticket, desk.back.clone()).hand_over());
        }
        let (answer, answered) = oneshot::channel();
        let working = desk.clone();
        desk.tasks.spawn(async move {
            // Where nobody waits any more the reservation is dropped here, unseen, and given back.
            let _ = answer.send(working.reserve(wish).await);
        });
        answered.await.map_err(|_| stopped())?.map(Reservation::hand_over)
    }

    async fn settle(&self, reservation: Reservation, settlement: Settlement) -> SettleResult {
        let Self(desk) = self;
        let settled = SettleResult::new(reservation.most(), &settlement);
        let Some(ticket) = reservation.take() else { return settled };
        settled.warn(&ticket);
        let (answer, answered) = oneshot::channel();
        let working = desk.clone();
        desk.tasks.spawn(async move {
            let first = |written| answer.send(written).unwrap_or_default();
            working.settle(&ticket, settlement, first).await;
        });
        if !answered.await.unwrap_or_default() {
            tracing::debug!("a settlement could not be written down at once");
        }
        settled
    }

    async fn usage(&self, days: RangeInclusive<Date>) -> Result<Vec<UsageRow>, LedgerError> {
        self.0.account.usage(&days).await.map_err(|trouble| unusable(&trouble))
    }

    async fn standing(
        &self,
        budgets: Budgets,
        client: Option<String>,
    ) -> Result<Vec<BudgetStatus>, LedgerError> {
        let standing = self.0.account.standing(&budgets, client.as_deref()).await;
        let (standings, abandoned) = standing.map_err(|trouble| unusable(&trouble))?;
        self.0.close(abandoned);
        Ok(standings)
    }

    async fn experience(&self) -> Result<BTreeMap<(String, SizeClass), CallHistory>, LedgerError> {
        self.0.account.experience().await.map_err(|trouble| unusable(&trouble))
    }

    fn health(&self) -> Result<(), LedgerError> {
        self.0.account.health()
    }

    async fn look(&self) {
        // The guard and the connection keep what is wrong for `health`.
        let _ = self.0.account.guard.look().await;
    }
}
