//! Budgets: caps on credit for a scope and a window.

use std::fmt;
use std::sync::Arc;

use time::OffsetDateTime;

use super::amount::Credits;
use super::window::Window;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The name in the configuration, metrics and errors.
    pub name: String,
    pub scope: BudgetScope,
    pub window: Window,
    /// The cap for one period of the window.
    pub limit: Credits,
}

/// All budgets of a configuration.
pub type Budgets = Arc<[Budget]>;

/// The calls whose credit a budget counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BudgetScope {
    All,
    Provider(String),
    /// Each client separately, for all providers.
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

/// An account to which calls are charged. A budget limits the credit that is charged or reserved on an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BudgetAccount {
    /// All calls.
    All,
    Provider(String),
    Client(String),
}

impl BudgetAccount {
    /// The accounts to which a call is charged.
    pub fn of(provider: &str, client: Option<&str>) -> impl Iterator<Item = Self> {
        let client = client.map(|client| Self::Client(client.to_owned()));
        [Self::All, Self::Provider(provider.to_owned())].into_iter().chain(client)
    }
}

impl Budget {
    /// The provider that the budget caps; empty if its scope is not a provider.
    pub(super) fn provider(&self) -> &str {
        match &self.scope {
            BudgetScope::Provider(name) => name,
            BudgetScope::All | BudgetScope::Client => "",
        }
    }

    /// The error if the budget has less than `wanted` left for a call, or else `None`. `renews` is the start of the
    /// budget's next period.
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

    /// The account that this budget caps for a call; `None` if the budget does not apply to the call. A budget per
    /// client does not apply to calls without a client, such as those of the command line.
    pub fn account(&self, provider: &str, client: Option<&str>) -> Option<BudgetAccount> {
        match &self.scope {
            BudgetScope::All => Some(BudgetAccount::All),
            BudgetScope::Provider(name) => (name == provider).then(|| BudgetAccount::Provider(name.clone())),
            BudgetScope::Client => client.map(|client| BudgetAccount::Client(client.to_owned())),
        }
    }
}

/// The error for a budget that has too little credit left for a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "budget `{budget}` has {left} of {limit} credits left, and this call may cost {wanted}{}",
    renews.map_or(String::new(), |when| format!("; it renews on {}", when.date()))
)]
pub struct Exhausted {
    pub budget: String,
    pub scope: BudgetScope,
    /// The cap.
    pub limit: Credits,
    /// The credit that is left; never below zero.
    pub left: Credits,
    /// The maximum cost of the refused call.
    pub wanted: Credits,
    /// The start of the next period; `None` for `total`.
    pub renews: Option<OffsetDateTime>,
}

impl Exhausted {
    /// The error of the budget that renews last. A budget for all time never renews, so it counts as renewing
    /// last.
    pub(super) fn last(refused: impl Iterator<Item = Self>) -> Option<Self> {
        refused.max_by_key(|exhausted| (exhausted.renews.is_none(), exhausted.renews))
    }
}

/// The amounts of a budget in its present period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetStatus {
    pub budget: Budget,
    /// Credit charged in the present period.
    pub spent: Credits,
    /// Credit reserved in the present period for calls that are not settled yet.
    pub reserved: Credits,
    /// The start of the next period; `None` for `total`.
    pub renews: Option<OffsetDateTime>,
}

impl BudgetStatus {
    /// Credit that may still be reserved; zero if the limit is reached or exceeded.
    pub fn left(&self) -> Credits {
        self.budget.limit.minus(self.spent).minus(self.reserved).max(Credits::ZERO)
    }

    /// Whether the budget applies to a call of this provider.
    fn applies_to(&self, provider: &str) -> bool {
        match &self.budget.scope {
            BudgetScope::Provider(name) => name == provider,
            // For a budget per client, the status has the amounts of the client that makes the call.
            BudgetScope::All | BudgetScope::Client => true,
        }
    }

    /// The error with which a budget would refuse a call of this maximum cost now; `None` if no budget would. If
    /// several budgets would refuse it, the error is that of the budget that renews last. The result may differ from
    /// that of a later reservation.
    pub fn refusal(standings: &[Self], provider: &str, wanted: Credits) -> Option<Exhausted> {
        let concerned = standings.iter().filter(|standing| standing.applies_to(provider));
        Exhausted::last(
            concerned
                .filter_map(|standing| standing.budget.refuses(wanted, standing.left(), standing.renews)),
        )
    }

    /// Of the budgets that apply to calls of this provider, the one with the least credit left.
    pub fn tightest<'s>(standings: &'s [Self], provider: &str) -> Option<&'s Self> {
        standings
            .iter()
            .filter(|standing| standing.applies_to(provider))
            .min_by_key(|standing| standing.left())
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn of_the_budgets_that_apply_the_one_that_renews_last_refuses() {
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
        assert_eq!(refusal(11), Some(("mine".to_owned(), 5)), "a budget for all time never renews");
        let free = BudgetStatus::refusal(&standings, "other", Credits::ZERO);
        assert_eq!(free, None, "a free call needs no budget");
        let tightest = |provider| {
            BudgetStatus::tightest(&standings, provider).map(|standing| standing.budget.name.as_str())
        };
        assert_eq!((tightest("paid"), tightest("other")), (Some("mine"), Some("other")));
        assert_eq!(BudgetStatus::tightest(&[], "paid"), None);
    }
}
