//! What the ledger says, as the rest of the gateway and its operator see it.

use std::ops::RangeInclusive;
use std::time::Duration;

use time::Date;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::error::Attempt;
use super::route::not_ready;
use super::{Gateway, Snapshot};
use crate::config::Config;
use crate::credit::{BudgetStatus, LedgerError, ReserveError, UsageGrouping, UsageReport};
use crate::observe::LedgerSnapshot;
use crate::provider::{Provider, Readiness};
use crate::shared::CommandError;

/// How long the ledger is waited for: an answer without it is better than none.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Who could be called now for a client, by what the ledger says; it is asked once at most, and only if
/// that decides anything.
pub(super) struct BudgetView<'g> {
    gateway: &'g Gateway,
    snapshot: &'g Snapshot,
    account: Option<String>,
    standings: OnceCell<Vec<BudgetStatus>>,
}

impl<'g> BudgetView<'g> {
    /// Of this client; none is nobody's client.
    pub(super) fn new(gateway: &'g Gateway, snapshot: &'g Snapshot, account: Option<String>) -> Self {
        Self { gateway, snapshot, account, standings: OnceCell::new() }
    }

    /// Why a provider cannot be called now for a photograph of so many pixels, or of any size; none if it
    /// can. Calls nobody, and sets nothing aside: a reservation later may find another answer.
    pub(super) async fn obstacle(&self, provider: &dyn Provider, pixels: Option<u64>) -> Option<Attempt> {
        let about = provider.about();
        if let Readiness::NotReady { why, retry_after } = provider.readiness() {
            return Some(Attempt::new(&about.name, not_ready(why, retry_after), Duration::ZERO));
        }
        let sent = pixels.unwrap_or(u64::MAX).min(about.send_max_pixels);
        let most = self.snapshot.most(&about.name, sent);
        if most.is_zero() {
            return None;
        }
        let refused = match self.gateway.ledger.health() {
            Err(error) => ReserveError::Ledger(error),
            Ok(()) => ReserveError::Budget(BudgetStatus::refusal(self.standings().await, &about.name, most)?),
        };
        Some(Attempt::unpaid(&about.name, refused))
    }

    async fn standings(&self) -> &[BudgetStatus] {
        let budgets = self.snapshot.config.budgets_of(self.account.as_deref());
        if budgets.is_empty() {
            return &[];
        }
        let ask = || async {
            let standings = self.gateway.ledger.standing(budgets.clone(), self.account.clone());
            // While it cannot be read nothing that costs is ready, which is said there.
            timeout(PATIENCE, standings).await.ok().and_then(Result::ok).unwrap_or_default()
        };
        self.standings.get_or_init(ask).await
    }
}

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
        by: UsageGrouping,
    ) -> Result<UsageReport, LedgerError> {
        let rows = self.ledger.usage(days).await?;
        Ok(UsageReport::new(&rows, by, |provider| snapshot.config.worth(provider)))
    }

    /// What the ledger says, for metrics: of the budgets and the providers that there are. While it cannot
    /// be read there is nothing.
    pub async fn account(&self) -> LedgerSnapshot {
        let snapshot = self.snapshot();
        let Config { budgets, providers, .. } = &snapshot.config;
        let standings = self.ledger.standing(budgets.clone(), None).await.unwrap_or_default();
        let mut experience = self.ledger.experience().await.unwrap_or_default();
        experience.retain(|(provider, _), _| providers.contains_key(provider));
        LedgerSnapshot { standings, experience, writable: self.ledger.health().is_ok() }
    }

    /// Whether providers that cost something can be called; if not, why not.
    pub fn ledger_health(&self) -> Result<(), LedgerError> {
        self.ledger.health()
    }

    /// Looks whether Redis, if replicas share one, can be used: by everything that is shared, and by the ledger.
    pub async fn look_at_account(&self) -> Result<(), CommandError> {
        let answers = match self.shared() {
            Some(shared) => shared.ping().await,
            None => Ok(()),
        };
        self.ledger.look().await;
        answers
    }
}
