//! Failed calls: what kind of failure, whether it cost something, and whether to ask again.

use std::time::Duration;

use crate::credit::{Credits, Usage};

/// Why a call failed, and what that means for money and for trying again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    /// What kind of failure, for metrics and for the next step.
    pub kind: FailureKind,
    /// In words a person can act on; never a key, never a body.
    pub message: String,
    /// Whether the provider has charged for it.
    pub billed: Billed,
    /// How long the provider asked to wait before the next try.
    pub retry_after: Option<Duration>,
    /// Processor time that it has taken all the same, if that is known.
    pub cpu: Option<Duration>,
}

impl ProviderError {
    /// A failure that cannot have cost anything.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), billed: Billed::No, retry_after: None, cpu: None }
    }

    /// A call that did not begin, because every client that waited for it had left.
    pub fn abandoned() -> Self {
        Self::new(FailureKind::Abandoned, "every client that waited for it left before the call began")
    }

    /// The same, but it has cost something, or may have.
    #[must_use]
    pub fn billed(self, billed: Billed) -> Self {
        Self { billed, ..self }
    }

    /// The same, and when it makes sense to try again.
    #[must_use]
    pub fn retry_after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }

    /// The same, and the processor time that it has taken.
    #[must_use]
    pub fn cpu(self, cpu: Duration) -> Self {
        Self { cpu: Some(cpu), ..self }
    }

    /// What the call consumed, as far as is known.
    pub fn usage(&self) -> Usage {
        let usage = self.billed.usage();
        Usage { cpu: usage.cpu.or(self.cpu), ..usage }
    }

    /// Whether the same call to the same provider may succeed in a moment, and whether it may be made
    /// again: what may have been paid for is never made twice by itself.
    pub fn again(&self) -> bool {
        self.kind.again() && self.billed == Billed::No
    }
}

/// What kind of failure. Says, too, whether the same call may succeed when it is made again and
/// whether another provider should be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// Not asked: no key, no address, a model that does not load, or left alone after many failures.
    NotReady,
    /// Not asked: a budget has too little left for it.
    Budget,
    /// Not asked: it costs something, and the ledger cannot be used.
    Ledger,
    /// Not begun: every client that waited for it had left.
    Abandoned,
    /// Too many calls already; its queue is full.
    Busy,
    /// No connection, or it broke.
    Unreachable,
    /// Could not begin: starting, overloaded or down for a moment.
    Unavailable,
    /// Took longer than allowed.
    Timeout,
    /// The provider refused the key or the account has no credit.
    Denied,
    /// The provider said that it failed.
    Failed,
    /// The provider refused this picture.
    Rejected,
    /// The answer is not what the protocol promises, or the guard refused it.
    BadAnswer,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::NotReady,
        Self::Budget,
        Self::Ledger,
        Self::Abandoned,
        Self::Busy,
        Self::Unreachable,
        Self::Unavailable,
        Self::Timeout,
        Self::Denied,
        Self::Failed,
        Self::Rejected,
        Self::BadAnswer,
    ];

    /// Whether the same call to the same provider may succeed in a moment.
    pub const fn again(self) -> bool {
        matches!(self, Self::Busy | Self::Unreachable | Self::Unavailable)
    }

    /// Whether the provider was asked at all.
    pub const fn was_asked(self) -> bool {
        !matches!(self, Self::NotReady | Self::Budget | Self::Ledger | Self::Abandoned)
    }

    /// The label in metrics and in attempts.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotReady => "not_ready",
            Self::Budget => "budget",
            Self::Ledger => "ledger",
            Self::Abandoned => "abandoned",
            Self::Busy => "busy",
            Self::Unreachable => "unreachable",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::BadAnswer => "bad_answer",
        }
    }
}

/// Whether a failed call has cost something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Billed {
    /// It cannot have.
    No,
    /// It has: this much.
    Yes(Usage),
    /// Nobody knows: the reservation is kept.
    Unknown,
}

impl Billed {
    /// What the call consumed, as far as is known.
    pub const fn usage(self) -> Usage {
        match self {
            Self::No => Usage { credits: Some(Credits::ZERO), cpu: None },
            Self::Yes(usage) => usage,
            Self::Unknown => Usage { credits: None, cpu: None },
        }
    }
}
