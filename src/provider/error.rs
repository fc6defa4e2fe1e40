//! Errors of calls: the kind of failure, whether the call was billed, and whether a retry may help.

use std::time::Duration;

use crate::credit::{Credits, Usage};

/// A failed call.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    pub kind: FailureKind,
    /// A message for people. It contains no API key and no whole body, but may quote the provider's error message.
    pub message: String,
    pub billed: Billed,
    /// How long to wait before a retry, if known.
    pub retry_after: Option<Duration>,
    /// Processor time of the failed call, if known.
    pub cpu: Option<Duration>,
}

impl ProviderError {
    /// An error of a call that was not billed.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), billed: Billed::No, retry_after: None, cpu: None }
    }

    /// An error of a call that did not begin because all of its clients had disconnected.
    pub fn abandoned() -> Self {
        Self::new(FailureKind::Abandoned, "every client disconnected before the call began")
    }

    #[must_use]
    pub fn billed(self, billed: Billed) -> Self {
        Self { billed, ..self }
    }

    #[must_use]
    pub fn retry_after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }

    #[must_use]
    pub fn cpu(self, cpu: Duration) -> Self {
        Self { cpu: Some(cpu), ..self }
    }

    /// The known usage of the call.
    pub fn usage(&self) -> Usage {
        let usage = self.billed.usage();
        Usage { cpu: usage.cpu.or(self.cpu), ..usage }
    }

    /// Whether the call may be retried. A call that may have been billed is never retried.
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable() && self.billed == Billed::No
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// Not called: no API key, no address, a model that does not load, or an open circuit breaker.
    NotReady,
    /// Not called: a budget has too little credit left.
    Budget,
    /// Not called: the call costs credit, and the ledger is unavailable.
    Ledger,
    /// Not called: all clients had disconnected.
    Abandoned,
    /// The queue is full, or the provider accepts no more calls at the moment.
    Busy,
    /// No connection, or the connection broke.
    Unreachable,
    /// The provider is starting, overloaded or temporarily down.
    Unavailable,
    Timeout,
    /// The provider rejected the API key, or its account has no credit.
    Denied,
    /// The provider reported a failure.
    Failed,
    /// The provider rejected this picture.
    Rejected,
    /// The response violates the protocol, or the output guard rejected the image.
    BadAnswer,
}

impl FailureKind {
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

    /// Whether the same call to the same provider may succeed on a retry.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Busy | Self::Unreachable | Self::Unavailable)
    }

    /// Whether the failure counts as that of a call. If not, the provider was skipped.
    pub const fn was_called(self) -> bool {
        !matches!(self, Self::NotReady | Self::Budget | Self::Ledger | Self::Abandoned)
    }

    /// The label in metrics and in a response's list of attempts.
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

/// Whether a failed call was billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Billed {
    No,
    Yes(Usage),
    /// The reservation is charged in full.
    Unknown,
}

impl Billed {
    /// The known usage of the call.
    pub const fn usage(self) -> Usage {
        match self {
            Self::No => Usage { credits: Some(Credits::ZERO), cpu: None },
            Self::Yes(usage) => usage,
            Self::Unknown => Usage { credits: None, cpu: None },
        }
    }
}
