//! Budgets: caps on credit, each for a scope and a window.

use std::fmt;
use std::sync::Arc;

use time::OffsetDateTime;

use super::amount::Credits;
use super::window::Window;

/// A cap on what may be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Its name in the configuration, in metrics and in errors.
    pub name: String,
    /// Whose spending counts.
    pub scope: BudgetScope,
    /// For how long the credit has to last.
    pub window: Window,
    /// The most that may be spent in one period of the window.
    pub limit: Credits,
}

/// Every budget that there is.
pub type Budgets = Arc<[Budget]>;

/// Whose spending a budget counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BudgetScope {
    /// Everything.
    All,
    /// One provider's calls.
    Provider(String),
    /// Each client's own, whichever provider it causes calls of.
    Client,
}

impl fmt::Display for BudgetScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Provider(name) => write!(f, "provider:{name}"),
            Self::Client => f.write_str("client"),
        }
    }
}

/// Whose spending something is: what budgets are counted on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BudgetAccount {
    /// Everybody's.
    All,
    /// A provider's.
    Provider(String),
    /// A client's.
    Client(String),
}

impl BudgetAccount {
    /// All the accounts that a call is counted on.
    pub fn of(provider: &str, client: Option<&str>) -> impl Iterator<Item = Self> {
        let client = client.map(|client| Self::Client(client.to_owned()));
        [Self::All, Self::Provider(provider.to_owned())].into_iter().chain(client)
    }
}

impl Budget {
    /// The provider whose calls it caps; empty if it is not about one.
    pub(super) fn provider(&self) -> &str {
        match &self.scope {
            BudgetScope::Provider(name) => name,
            BudgetScope::All | BudgetScope::Client => "",
        }
    }

    /// That so little of it is left that a call which may cost `wanted` is refused; `renews` is when its
    /// next period begins.
    pub(super) fn refuses(
        &self,
        wanted: Credits,
        left: Credits,
        renews: Option<OffsetDateTime>,
    ) -> Option<Exhausted> {
        (wanted > left).then(|| Exhausted {
            budget: self.name.clone(),
            scope: self.scope.clone(),
            limit: self.limit,
            left,
            wanted,
            renews,
        })
    }

    /// The account that it caps for this call; none if the call is no concern of it. Callers without an
    /// identity, such as the command line, are no client.
    pub fn account(&self, provider: &str, client: Option<&str>) -> Option<BudgetAccount> {
        match &self.scope {
            BudgetScope::All => Some(BudgetAccount::All),
            BudgetScope::Provider(name) => (name == provider).then(|| BudgetAccount::Provider(name.clone())),
            BudgetScope::Client => client.map(|client| BudgetAccount::Client(client.to_owned())),
        }
    }
}

/// A budget has too little left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "budget `{budget}` has {left} of {limit} credits left, and this may cost {wanted}{}",
    renews.map_or(String::new(), |when| format!("; it renews on {}", when.date()))
)]
pub struct Exhausted {
    /// The budget's name.
    pub budget: String,
    /// Whose spending it counts.
    pub scope: BudgetScope,
    /// Its limit.
    pub limit: Credits,
    /// What is left of it; never below zero.
    pub left: Credits,
    /// What the call may have cost.
    pub wanted: Credits,
    /// When its next period begins; never for a total.
    pub renews: Option<OffsetDateTime>,
}

impl Exhausted {
    /// Of several the one that renews last. A total renews never, which is later than any time.
    pub(super) fn last(refused: impl Iterator<Item = Self>) -> Option<Self> {
        refused.max_by_key(|exhausted| (exhausted.renews.is_none(), exhausted.renews))
    }
}

/// How a budget stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetStatus {
    /// The budget.
    pub budget: Budget,
    /// What has been charged in this period.
    pub spent: Credits,
    /// What is set aside for calls under way.
    pub reserved: Credits,
    /// When its next period begins; never for a total.
    pub renews: Option<OffsetDateTime>,
}

impl BudgetStatus {
    /// What may still be reserved; zero after an overrun.
    pub fn left(&self) -> Credits {
        self.budget.limit.minus(self.spent).minus(self.reserved).max(Credits::ZERO)
    }

    /// The budget that would refuse a call of a provider now, if the call may cost so much. Of several, the
    /// one that renews last. A reservation later may find another answer.
    pub fn refusal(standings: &[Self], provider: &str, wanted: Credits) -> Option<Exhausted> {
        let concerned = standings.iter().filter(|Self { budget, .. }| match &budget.scope {
            BudgetScope::Provider(name) => name == provider,
            // Those for each client are about this client, or not among them.
            BudgetScope::All | BudgetScope::Client => true,
        });
        Exhausted::last(
            concerned
                .filter_map(|standing| standing.budget.refuses(wanted, standing.left(), standing.renews)),
        )
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn of_the_budgets_concerned_the_one_that_renews_last_refuses() {
        let standing = |name: &str, scope: BudgetScope, left: i64, renews| BudgetStatus {
            budget: Budget {
                name: name.to_owned(),
                scope,
                window: Window::Day,
                limit: Credits::from_micro(left),
            },
            spent: Credits::ZERO,
            reserved: Credits::ZERO,
            renews,
        };
        let tomorrow = Some(datetime!(2026-03-02 0:00 UTC));
        let standings = [
            standing("all", BudgetScope::All, 10, tomorrow),
            standing("mine", BudgetScope::Client, 5, None),
            standing("other", BudgetScope::Provider("other".into()), 0, None),
        ];
        let refusal = |wanted| {
            let refusal = BudgetStatus::refusal(&standings, "paid", Credits::from_micro(wanted));
            refusal.map(|exhausted| (exhausted.budget, exhausted.left.micro()))
        };
        assert_eq!(refusal(5), None);
        assert_eq!(refusal(6), Some(("mine".to_owned(), 5)));
        assert_eq!(refusal(11), Some(("mine".to_owned(), 5)), "a total renews never");
        let free = BudgetStatus::refusal(&standings, "other", Credits::ZERO);
        assert_eq!(free, None, "what costs nothing needs no budget");
    }
}
