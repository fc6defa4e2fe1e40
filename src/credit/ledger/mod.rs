//! The ledger: the durable account of usage. No paid call is made without its permission.
//!
//! A paid call has three steps. *Reserve* the most that it may cost. The amount is checked against every budget that
//! applies and reserved in one atomic step, so that concurrent calls cannot exceed a budget together. The reservation
//! is durable before the call, so that the ledger never counts too little after a crash. *Call* the provider: this
//! module does not do that. *Settle* the actual cost.
//!
//! Callers of the trait must expect the delays of a remote server, although a local file is faster. Every
//! implementation must pass the conformance suite in `tests/credit`.

mod file;
mod record;
mod redis;
mod reservation;
mod state;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use async_trait::async_trait;
use time::Date;

pub use self::redis::{AcceptedLoss, RedisLedger};
pub use file::{Acceptance, FileLedger, FileOptions, Recovered};
use reservation::ReservationRecord;
pub use reservation::{ANONYMOUS_CLIENTS_A_DAY, CallBegun, Reservation};

use super::amount::Credits;
use super::budget::{BudgetStatus, Budgets, Exhausted};
use super::experience::{CallHistory, SizeClass};
use super::usage::UsageRow;

/// The durable account of usage.
///
/// Every async method may wait for a disk or for Redis. A caller with a deadline may drop the future at any moment: a
/// reservation that the caller has not received is released.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Reserves the most that a call may cost, in all budgets that apply, or in none if one of them has less left. The
    /// returned reservation survives a crash. A request of zero credits is always granted, even while the ledger is
    /// unusable, and only its settlement is recorded.
    async fn reserve(&self, wish: ReserveRequest) -> Result<Reservation, ReserveError>;

    /// Replaces a reservation by the actual cost, which is charged to the day of the reservation. If that cannot be
    /// recorded, the ledger logs the failure, and the whole reservation counts as spent.
    async fn settle(&self, reservation: Reservation, settlement: Settlement) -> SettleResult;

    /// The usage of these days, both ends included, in order of day, provider and client.
    async fn usage(&self, days: RangeInclusive<Date>) -> Result<Vec<UsageRow>, LedgerError>;

    /// The status of each budget, in the given order. For a budget per client, it has the amounts of `client`; if
    /// `client` is `None`, such a budget is left out.
    async fn standing(
        &self,
        budgets: Budgets,
        client: Option<String>,
    ) -> Result<Vec<BudgetStatus>, LedgerError>;

    /// Cost and time of past calls, by provider and size of the photo.
    async fn experience(&self) -> Result<BTreeMap<(String, SizeClass), CallHistory>, LedgerError>;

    /// Whether reservations were possible at the last reservation or check; the error says why not. Does not block.
    fn health(&self) -> Result<(), LedgerError>;

    /// Checks whether reservations are possible, so that `health` is up to date even if no reservation is made. By
    /// default, it does nothing.
    async fn look(&self) {}
}

/// A request for a reservation.
#[derive(Clone, Debug)]
pub struct ReserveRequest {
    pub provider: String,
    /// The client; `None` on the command line. Stored in the ledger: not a secret.
    pub client: Option<String>,
    /// The most that the call may cost.
    pub most: Credits,
    /// Pixels of the photo.
    pub pixels: u64,
    /// Pixels of the image to send.
    pub sent_pixels: u64,
    /// All budgets; the ledger finds those that apply.
    pub budgets: Budgets,
}

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The cost; `None` if unknown, which charges the whole reservation.
    pub credits: Option<Credits>,
    /// Whether the call succeeded.
    pub colored: bool,
    /// How long the provider took.
    pub took: Duration,
    /// Processor time on this machine.
    pub cpu: Duration,
}

impl Settlement {
    /// It is unknown what the call cost, or even whether it was made.
    pub const UNKNOWN: Self =
        Self { credits: None, colored: false, took: Duration::ZERO, cpu: Duration::ZERO };
    /// The call was not made or cannot have cost credit.
    pub const FREE: Self = Self { credits: Some(Credits::ZERO), ..Self::UNKNOWN };
}

/// The result of a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettleResult {
    pub charged: Credits,
    /// Whether the cost is unknown, so that the whole reservation was charged.
    pub unknown: bool,
    /// The part of the charge that exceeds the reservation.
    pub overrun: Credits,
}

impl SettleResult {
    /// The result of settling this reservation.
    fn new(reserved: Credits, settlement: &Settlement) -> Self {
        let charged = settlement.credits.unwrap_or(reserved);
        let overrun = charged.minus(reserved).max(Credits::ZERO);
        // The cost of a free call is known.
        let unknown = settlement.credits.is_none() && !reserved.is_zero();
        Self { charged, unknown, overrun }
    }

    /// Logs unknown costs and overruns.
    fn warn(&self, ticket: &ReservationRecord) {
        let ReservationRecord { provider, most, .. } = ticket;
        if self.unknown {
            tracing::warn!(%provider, charged = %self.charged, "the cost of a call of provider {provider} is unknown: all {most} reserved credits are charged");
        }
        if self.overrun > Credits::ZERO {
            tracing::warn!(%provider, charged = %self.charged, overrun = %self.overrun, "provider {provider} has \
                charged {} credits for a call, which is {} more than were reserved: its price in the configuration \
                is too low", self.charged, self.overrun);
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReserveError {
    /// A budget has too little left; of several, the one that renews last.
    #[error(transparent)]
    Budget(#[from] Exhausted),
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("providers that cost something are off, because the ledger cannot be used: {reason}")]
pub struct LedgerError {
    /// A sentence that an operator can act on.
    pub reason: String,
}
