//! The ledger: the durable account of what was used, and the one place that lets a call be made.
//!
//! A call is paid for in three steps. *Reserve* the most that it may cost: checked against every budget
//! concerned and set aside in one atomic step, so that concurrent calls can never pass a budget together,
//! and durable before the call is made, so that a crash never undercounts. *Call*. *Settle* to what it
//! cost. Who asks whom, and what a call is, is no concern of this room.
//!
//! The trait is shaped for a network; the file of one machine is just fast. One conformance suite
//! (`tests/credit`) is passed by every implementation.

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
/// Every method may take as long as a disk or a network does; a caller with a deadline keeps it himself,
/// and may drop the future at any moment: what was not handed out is given back.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Sets the most that a call may cost aside, if every budget concerned has so much left: all of them,
    /// or none. When this returns, the reservation outlives a crash. A wish for nothing is always granted
    /// and leaves no trace, also while the ledger cannot be written.
    async fn reserve(&self, wish: ReserveRequest) -> Result<Reservation, ReserveError>;

    /// Replaces a reservation by what the call has cost. It counts on the day of the reservation. Where
    /// that cannot be written down, the ledger says so itself, and the reservation stays charged.
    async fn settle(&self, reservation: Reservation, settlement: Settlement) -> SettleResult;

    /// What was used on these days, both ends included, in order of day, provider and client.
    async fn usage(&self, days: RangeInclusive<Date>) -> Result<Vec<UsageRow>, LedgerError>;

    /// How budgets stand now, in their order. Those for each client are about this client, and are left
    /// out without one.
    async fn standing(
        &self,
        budgets: Budgets,
        client: Option<String>,
    ) -> Result<Vec<BudgetStatus>, LedgerError>;

    /// What calls have cost and taken so far, by provider and size of the photograph.
    async fn experience(&self) -> Result<BTreeMap<(String, SizeClass), CallHistory>, LedgerError>;

    /// Whether reservations are possible, as of the last time that one was wanted or that `look` looked; if not,
    /// why not. Asks nobody.
    fn health(&self) -> Result<(), LedgerError>;

    /// Looks whether reservations are possible, so that `health` is true though none is wanted. Does nothing where
    /// the ledger notices by itself.
    async fn look(&self) {}
}

/// What is wanted before a call.
#[derive(Clone, Debug)]
pub struct ReserveRequest {
    /// Who is to be called.
    pub provider: String,
    /// Who causes it; none is no client, such as the command line. Kept in the ledger: not a secret.
    pub client: Option<String>,
    /// The most that the call may cost.
    pub most: Credits,
    /// Pixels of the photograph.
    pub pixels: u64,
    /// Pixels of the picture that is to be sent.
    pub sent_pixels: u64,
    /// All budgets there are; the ledger knows which are concerned.
    pub budgets: Budgets,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// What it has cost; none when nobody knows, and then all that was reserved is charged.
    pub credits: Option<Credits>,
    /// Whether it gave colour.
    pub colored: bool,
    /// How long the provider took.
    pub took: Duration,
    /// Processor time on this machine.
    pub cpu: Duration,
}

impl Settlement {
    /// Nobody knows how the call ended, or whether it was made.
    pub const UNKNOWN: Self =
        Self { credits: None, colored: false, took: Duration::ZERO, cpu: Duration::ZERO };
    /// The call was not made, or cannot have cost anything.
    pub const FREE: Self = Self { credits: Some(Credits::ZERO), ..Self::UNKNOWN };
}

/// What became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettleResult {
    /// What was charged.
    pub charged: Credits,
    /// Whether the cost is unknown, so that all that was reserved was charged.
    pub unknown: bool,
    /// How much more than was reserved.
    pub overrun: Credits,
}

impl SettleResult {
    /// What a settlement of so much reserved credit comes to.
    fn new(reserved: Credits, settlement: &Settlement) -> Self {
        let charged = settlement.credits.unwrap_or(reserved);
        let overrun = charged.minus(reserved).max(Credits::ZERO);
        // What can cost nothing is known to.
        let unknown = settlement.credits.is_none() && !reserved.is_zero();
        Self { charged, unknown, overrun }
    }

    /// Tells the operator what he should know of it.
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

/// Why nothing was reserved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReserveError {
    /// A budget has too little left. Of several, the one that renews last.
    #[error(transparent)]
    Budget(#[from] Exhausted),
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Why the ledger cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("providers that cost something are off, because the ledger cannot be used: {reason}")]
pub struct LedgerError {
    /// In words that an operator can act on.
    pub reason: String,
}
