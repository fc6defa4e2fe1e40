//! What the ledger says, as the rest of the gateway and its operator see it.

use std::ops::RangeInclusive;

use time::Date;

use super::{Gateway, Snapshot};
use crate::config::Config;
use crate::credit::{By, LedgerError, Report};
use crate::observe::Account;
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

    /// What the ledger says, for metrics: of the budgets and the providers that there are. While it cannot
    /// be read there is nothing.
    pub async fn account(&self) -> Account {
        let snapshot = self.snapshot();
        let Config { budgets, providers, .. } = &snapshot.config;
        let standings = self.ledger.standing(budgets.clone(), None).await.unwrap_or_default();
        let mut experience = self.ledger.experience().await.unwrap_or_default();
        experience.retain(|(provider, _), _| providers.contains_key(provider));
        Account { standings, experience, writable: self.ledger.health().is_ok() }
    }

    /// Whether providers that cost something can be called; if not, why not.
    pub fn ledger_health(&self) -> Result<(), LedgerError> {
        self.ledger.health()
    }
}
