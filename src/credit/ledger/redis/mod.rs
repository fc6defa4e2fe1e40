//! A ledger in Redis, for several replicas.
//!
//! One script checks a reservation against all budgets and records it. Another script ends the reservation, exactly
//! once even if it is sent several times. Background tasks send both, so a cancelled request leaves nothing half done.
//! While Redis does not answer, nothing can be reserved and paid providers are off.
//!
//! `keys` names the keys, `account` writes the account, `reading` reads it, `guard` checks whether it can be used, and
//! `loss` accepts a loss. This file implements the `Ledger` trait.

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

/// How long a settlement is retried while Redis does not answer. After that the reservation stays charged.
const RETRY_FOR: Duration = Duration::from_secs(15 * 60);
/// The time between two retries.
const RETRY_EVERY: Duration = Duration::from_secs(1);

pub struct RedisLedger(Arc<LedgerTasks>);

/// The part of the ledger that background tasks use.
struct LedgerTasks {
    account: RedisAccount,
    tasks: Tasks,
    /// Returns or charges a dropped reservation.
    back: ReservationReturn,
}

impl RedisLedger {
    /// A ledger that sends its commands in `tasks`. Without `clock`, the time is that of Redis's own clock.
    pub fn new(shared: SharedRedis, clock: Option<Arc<dyn Clock>>, tasks: Tasks) -> Self {
        Self::open(shared, clock, tasks, None)
    }

    /// A ledger with Redis's own clock that stores the epoch in a state folder, so that the gateway notices a lost
    /// account after a restart.
    pub fn in_folder(shared: SharedRedis, tasks: Tasks, state_dir: &Path) -> Self {
        Self::open(shared, None, tasks, Some(EpochFile::new(state_dir)))
    }

    fn open(
        shared: SharedRedis,
        clock: Option<Arc<dyn Clock>>,
        tasks: Tasks,
        file: Option<EpochFile>,
    ) -> Self {
        Self(Arc::new_cyclic(|ledger: &Weak<LedgerTasks>| {
            let ledger = ledger.clone();
            // If the ledger is gone or the program is ending, the reservation stays charged.
            let back: ReservationReturn = Arc::new(move |ticket, dropped| {
                if let (Some(ledger), Ok(_)) = (ledger.upgrade(), Handle::try_current()) {
                    ledger.tasks.clone().spawn(async move { ledger.take_back(&ticket, dropped).await });
                }
            });
            LedgerTasks { account: RedisAccount::new(shared, clock, file), tasks, back }
        }))
    }
}

impl LedgerTasks {
    /// Reserves credit. If the result is unknown because Redis failed, the reservation is returned.
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
            Dropped::Unseen => self.retry(|| self.account.release(ticket), |_| ()).await,
            Dropped::Held => {
                SettleResult::new(ticket.most, &Settlement::UNKNOWN).warn(ticket);
                self.settle(ticket, Settlement::UNKNOWN, |_| ()).await;
            }
        }
    }

    /// Settles a call, with retries. `first` is called with whether the first try succeeded.
    async fn settle(&self, ticket: &ReservationRecord, settlement: Settlement, first: impl FnOnce(bool)) {
        if ticket.most.is_zero() {
            // Without retries: the script cannot recognise a repeated settlement of a free call, and a missing
            // settlement of a free call costs nothing.
            return first(self.account.settle(ticket, &settlement).await.is_ok());
        }
        self.retry(|| self.account.settle(ticket, &settlement), first).await;
    }

    async fn retry<F>(&self, attempt: impl Fn() -> F, first: impl FnOnce(bool))
    where
        F: Future<Output = Result<(), CommandError>>,
    {
        let (start, mut result) = (Instant::now(), attempt().await);
        first(result.is_ok());
        while result.is_err() && start.elapsed() < RETRY_FOR {
            tokio::time::sleep(RETRY_EVERY).await;
            result = attempt().await;
        }
        if let Err(trouble) = result {
            tracing::error!(
                "the settlement of a call was not recorded, and its reservation stays charged: {trouble}"
            );
        }
    }

    /// Charges abandoned reservations, whose process was killed, in full.
    fn close(self: &Arc<Self>, abandoned: Vec<ReservationRecord>) {
        for ticket in abandoned {
            tracing::warn!(
                "a call of provider {} was running when its process ended: its cost is unknown, and the {} credits that were reserved for it are charged",
                ticket.provider,
                ticket.most
            );
            let ledger = self.clone();
            self.tasks.spawn(async move { ledger.settle(&ticket, Settlement::UNKNOWN, |_| ()).await });
        }
    }
}

fn stopped() -> LedgerError {
    LedgerError { reason: "its task has stopped; the log says more".into() }
}

#[async_trait]
impl Ledger for RedisLedger {
    async fn reserve(&self, wish: ReserveRequest) -> Result<Reservation, ReserveError> {
        let Self(ledger) = self;
        if wish.most.is_zero() {
            let ticket = ReservationRecord::new(0, ledger.account.now(), wish);
            return Ok(Reservation::new(ticket, ledger.back.clone()).hand_over());
        }
        let (answer, answered) = oneshot::channel();
        let working = ledger.clone();
        ledger.tasks.spawn(async move {
            // If the caller is gone, the reservation is dropped here and returned.
            let _ = answer.send(working.reserve(wish).await);
        });
        answered.await.map_err(|_| stopped())?.map(Reservation::hand_over)
    }

    async fn settle(&self, reservation: Reservation, settlement: Settlement) -> SettleResult {
        let Self(ledger) = self;
        let settled = SettleResult::new(reservation.most(), &settlement);
        let Some(ticket) = reservation.take() else { return settled };
        settled.warn(&ticket);
        let (answer, answered) = oneshot::channel();
        let working = ledger.clone();
        ledger.tasks.spawn(async move {
            let first = |written| answer.send(written).unwrap_or_default();
            working.settle(&ticket, settlement, first).await;
        });
        if !answered.await.unwrap_or_default() {
            tracing::debug!("a settlement was not recorded at the first try");
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
        // The guard and the connection store the result for `health`.
        let _ = self.0.account.guard.look().await;
    }
}
