//! What the ledger says, as the rest of the gateway and its operator see it.

use std::ops::RangeInclusive;

use time::Date;

use super::{Gateway, Snapshot};
use crate::credit::{By, LedgerError, Report};
use crate::provider::{Provider, Readiness};

impl Gateway {
    /// Whether a provider could be called now: by its own word, and by the ledger's if it costs something.
    /// Asks nobody.
    pub fn readiness(&self, snapshot: &Snapshot, provider: &dyn Provider) -> Readiness {
        let about = provider.about();
        match (provider.readiness(), self.ledger.health()) {
            (Readiness::Ready, Err(error))
                if !snapshot.most(&about.name, about.send_max_pixels).is_zero() =>
            {
                Readiness::NotReady { why: error.to_string(), retry_after: None }
            }
            (readiness, _) => readiness,
        }
    }

    /// What was used on these days, both ends included.
    pub async fn usage(
        &self,
        snapshot: &Snapshot,
        days: RangeInclusive<Date>,
        by: By,
    ) -> Result<Report, LedgerError> {
        let rows = self.ledger.usage(days).await?;
        Ok(Report::new(&rows, by, |provider| snapshot.config.worth(provider)))
    }

    /// Brings the gauges of all budgets up to date. While the ledger cannot be read there are none.
    pub async fn show_budgets(&self) {
        let budgets = self.snapshot().config.budgets.clone();
        let standings = self.ledger.standing(budgets, None).await.unwrap_or_default();
        self.metrics.budgets(&standings);
    }

    /// Whether providers that cost something can be called; if not, why not.
    pub fn ledger_health(&self) -> Result<(), LedgerError> {
        self.ledger.health()
    }
}
