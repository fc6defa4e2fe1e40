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
    pub scope: Scope,
    /// For how long the credit has to last.
    pub window: Window,
    /// The most that may be spent in one period of the window.
    pub limit: Credits,
}

/// Every budget that there is.
pub type Budgets = Arc<[Budget]>;

/// Whose spending a budget counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything.
    All,
    /// One provider's calls.
    Provider(String),
    /// Each client's own, whichever provider it causes calls of.
    Client,
}

impl fmt::Display for Scope {
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
pub enum Account {
    /// Everybody's.
    All,
    /// A provider's.
    Provider(String),
    /// A client's.
    Client(String),
}

impl Account {
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
            Scope::Provider(name) => name,
            Scope::All | Scope::Client => "",
        }
    }

    /// The account that it caps for this call; none if the call is no concern of it. Callers without an
    /// identity, such as the command line, are no client.
    pub fn account(&self, provider: &str, client: Option<&str>) -> Option<Account> {
        match &self.scope {
            Scope::All => Some(Account::All),
            Scope::Provider(name) => (name == provider).then(|| Account::Provider(name.clone())),
            Scope::Client => client.map(|client| Account::Client(client.to_owned())),
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
    /// Its limit.
    pub limit: Credits,
    /// What is left of it; never below zero.
    pub left: Credits,
    /// What the call may have cost.
    pub wanted: Credits,
    /// When its next period begins; never for a total.
    pub renews: Option<OffsetDateTime>,
}

/// How a budget stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The budget.
    pub budget: Budget,
    /// What has been charged in this period.
    pub spent: Credits,
    /// What is set aside for calls under way.
    pub reserved: Credits,
    /// When its next period begins; never for a total.
    pub renews: Option<OffsetDateTime>,
}

impl Standing {
    /// What may still be reserved; zero after an overrun.
    pub fn left(&self) -> Credits {
        self.budget.limit.minus(self.spent).minus(self.reserved).max(Credits::ZERO)
    }
}
