//! Credit: amounts, prices, budgets, and the ledger.
//!
//! No credit is spent without a reservation, no reservation exceeds a budget, and an unknown amount never counts as 0.
//! This module handles neither images nor HTTP; `gateway` calls it, and `config` creates its prices and budgets.

pub mod amount;
mod budget;
mod days;
mod experience;
pub mod ledger;
pub mod price;
mod usage;
mod window;

use std::time::Duration;

pub use amount::{Credits, Currency, Money, Worth};
pub use budget::{Budget, BudgetScope, BudgetStatus, Budgets, Exhausted};
pub use days::{DaysError, days};
pub use experience::{CallHistory, Range, SizeClass};
pub use ledger::{
    ANONYMOUS_CLIENTS_A_DAY, CallBegun, FileLedger, Ledger, LedgerError, Reservation, ReserveError,
    ReserveRequest, SettleResult, Settlement,
};
pub use price::{CallFacts, Price, UnknownCost};
pub use usage::{Tally, UsageGrouping, UsageLine, UsageReport, UsageRow};
pub use window::{Clock, SystemClock, Window};

/// What a call consumed. An unknown amount is `None`, never 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Credit charged for the call; `None` if the reply lacks it.
    pub credits: Option<Credits>,
    /// Processor time on this machine, by the thread's clock; `None` for remote providers.
    pub cpu: Option<Duration>,
}

impl Usage {
    /// The sum. Its credit is unknown if the credit of one of the two is unknown.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let credits = self.credits.zip(other.credits).map(|(one, two)| one.plus(two));
        let cpu = [self.cpu, other.cpu].into_iter().flatten().reduce(Duration::saturating_add);
        Self { credits, cpu }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_credit_makes_the_credit_of_a_sum_unknown() {
        let credits = |micro| Some(Credits::from_micro(micro));
        let known = Usage { credits: credits(2), cpu: Some(Duration::from_secs(1)) };
        let remote = Usage { credits: credits(3), cpu: None };
        let unknown = Usage { credits: None, cpu: Some(Duration::from_secs(2)) };
        assert_eq!(known.plus(remote), Usage { credits: credits(5), cpu: Some(Duration::from_secs(1)) });
        assert_eq!(known.plus(unknown), Usage { credits: None, cpu: Some(Duration::from_secs(3)) });
    }
}
