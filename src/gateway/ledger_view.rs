//! The ledger as requests, health checks, metrics and usage reports see it: which providers have credit left, and what
//! was used.

use std::ops::RangeInclusive;
use std::time::Duration;

use time::Date;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::error::Attempt;
use super::{Gateway, Snapshot};
use crate::config::Config;
use crate::credit::{BudgetStatus, Credits, LedgerError, ReserveError, UsageGrouping, UsageReport};
use crate::observe::LedgerSnapshot;
use crate::provider::{Provider, ProviderInfo, Readiness};
use crate::shared::CommandError;

/// Time-out for reading the ledger. After it, the gateway answers without the ledger's numbers.
pub(super) const LEDGER_TIMEOUT: Duration = Duration::from_secs(2);

/// Which providers could be called now for one client, and what the budgets have left for their calls. It reads the
/// ledger at most once, and only if the result depends on it.
pub(super) struct BudgetView<'g> {
    gateway: &'g Gateway,
    snapshot: &'g Snapshot,
    account: Option<String>,
    standings: OnceCell<Vec<BudgetStatus>>,
}

impl<'g> BudgetView<'g> {
    /// `account`: the client; `None` for the command line, which has no client budget.
    pub(super) fn new(gateway: &'g Gateway, snapshot: &'g Snapshot, account: Option<String>) -> Self {
        Self { gateway, snapshot, account, standings: OnceCell::new() }
    }

    /// Why a provider cannot be called now for a photo of this many pixels (`None`: of any size); `None` if it can be
    /// called. This reserves nothing, so a reservation may still fail later.
    pub(super) async fn obstacle(&self, provider: &dyn Provider, pixels: Option<u64>) -> Option<Attempt> {
        let about = provider.info();
        if let Readiness::NotReady { why, retry_after } = provider.readiness() {
            return Some(Attempt::not_ready(&about.name, why, retry_after));
        }
        let most = self.max_cost(about, pixels);
        if most.is_zero() {
            return None;
        }
        let refused = match self.gateway.ledger.health() {
            Err(error) => ReserveError::Ledger(error),
            Ok(()) => ReserveError::Budget(BudgetStatus::refusal(self.standings().await, &about.name, most)?),
        };
        Some(Attempt::not_reserved(&about.name, refused))
    }

    /// The budget with the least credit left for a provider's calls; `None` if no budget limits them, if they are free,
    /// or if the ledger cannot be read.
    pub(super) async fn tightest(&self, about: &ProviderInfo, pixels: Option<u64>) -> Option<&BudgetStatus> {
        if self.max_cost(about, pixels).is_zero() || self.gateway.ledger.health().is_err() {
            return None;
        }
        BudgetStatus::tightest(self.standings().await, &about.name)
    }

    fn max_cost(&self, about: &ProviderInfo, pixels: Option<u64>) -> Credits {
        let sent = pixels.unwrap_or(u64::MAX).min(about.send_max_pixels);
        self.snapshot.max_cost(&about.name, sent)
    }

    async fn standings(&self) -> &[BudgetStatus] {
        let budgets = self.snapshot.config.budgets_of(self.account.as_deref());
        if budgets.is_empty() {
            return &[];
        }
        let ask = || async {
            let standings = self.gateway.ledger.standing(budgets.clone(), self.account.clone());
            // A ledger that does not work has already been ruled out by `health`. If only this read fails or is too
            // slow, no budget is an obstacle here, and the reservation decides.
            timeout(LEDGER_TIMEOUT, standings).await.ok().and_then(Result::ok).unwrap_or_default()
        };
        self.standings.get_or_init(ask).await
    }
}

impl Gateway {
    /// Whether a provider could be called now. A provider that costs credit also needs a working ledger. No request is
    /// sent.
    pub fn readiness(&self, snapshot: &Snapshot, provider: &dyn Provider) -> Readiness {
        let about = provider.info();
        match (provider.readiness(), self.ledger.health()) {
            (Readiness::Ready, Err(error))
                if !snapshot.max_cost(&about.name, about.send_max_pixels).is_zero() =>
            {
                Readiness::NotReady { why: error.to_string(), retry_after: None }
            }
            (readiness, _) => readiness,
        }
    }

    /// Usage on these days, both ends included.
    pub async fn usage(
        &self,
        snapshot: &Snapshot,
        days: RangeInclusive<Date>,
        by: UsageGrouping,
    ) -> Result<UsageReport, LedgerError> {
        let rows = self.ledger.usage(days).await?;
        Ok(UsageReport::new(&rows, by, |provider| snapshot.config.worth(provider)))
    }

    /// The state of the configured budgets and providers, for metrics; empty while the ledger cannot be read.
    pub async fn account(&self) -> LedgerSnapshot {
        let snapshot = self.snapshot();
        let Config { budgets, providers, .. } = &snapshot.config;
        let standings = self.ledger.standing(budgets.clone(), None).await.unwrap_or_default();
        let mut experience = self.ledger.experience().await.unwrap_or_default();
        experience.retain(|(provider, _), _| providers.contains_key(provider));
        LedgerSnapshot { standings, experience, writable: self.ledger.health().is_ok() }
    }

    /// An error if the ledger does not work, so that providers that cost credit cannot be called.
    pub fn ledger_health(&self) -> Result<(), LedgerError> {
        self.ledger.health()
    }

    /// Checks the Redis that replicas share, if any, and has the ledger check its own state. The error is that of
    /// Redis; `ledger_health` returns that of the ledger.
    pub async fn check_ledger(&self) -> Result<(), CommandError> {
        let answers = match self.shared() {
            Some(shared) => shared.ping().await,
            None => Ok(()),
        };
        self.ledger.look().await;
        answers
    }
}
