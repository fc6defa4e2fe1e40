//! The errors of a request: why a picture was not coloured.

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;

use crate::credit::{BudgetScope, Exhausted, ReserveError};
use crate::photo::{Damage, OutputFormat, PhotoError};
use crate::provider::{Billed, FailureKind, ProviderError};
use crate::quota::RateLimited;

/// Why a request has no rendition. `web::problem` maps each variant to an HTTP response.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The upload cannot be decoded, or the rendition cannot be encoded.
    #[error(transparent)]
    Photo(#[from] PhotoError),
    /// The request names a provider that is not configured.
    #[error("there is no provider `{name}`; the providers are: {known}")]
    UnknownProvider {
        name: String,
        /// The names of all providers.
        known: String,
    },
    /// The request asks for 16 bits per sample, and the rendition's format has 8.
    #[error("{} has 8 bits per sample: add `format=png` or `format=tiff`", name_of(*format))]
    UnsupportedDepth { format: OutputFormat },
    /// The upload is already in colour, and `on_colour` is "refuse".
    #[error(
        "this photograph is in colour already, and this gateway colours black-and-white photographs only; nothing was \
        spent. Send a black-and-white photograph, or ask the person who runs the gateway to change `on_colour`"
    )]
    InColor,
    /// The upload is damaged, and `on_damage` is "refuse".
    #[error(
        "this file is damaged: {0} This gateway colours undamaged pictures only; nothing was spent. Send an undamaged \
        copy of the file, or ask the person who runs the gateway to set `on_damage` to \"accept\""
    )]
    Damaged(Damage),
    /// A queue is full, or the client already uses its whole share of it. No work was started.
    #[error("the gateway is busy: {waiting}")]
    Busy {
        /// Which queue or share, in words.
        waiting: String,
        /// When the client should try again.
        retry_after: Duration,
    },
    /// The request exceeds a rate limit.
    #[error("the request exceeds {refusal}")]
    Quota {
        /// The exceeded limits, and the time to wait.
        refusal: RateLimited,
    },
    /// The request's deadline was reached.
    #[error("the picture was not ready within {} seconds", limit.as_secs())]
    Deadline {
        /// The time that the request had.
        limit: Duration,
    },
    /// No provider of the route returned usable colour.
    #[error("{}", describe(attempts))]
    NoProvider {
        /// All failed attempts, in order; never empty.
        attempts: Vec<Attempt>,
    },
    /// Every client that waited for the picture left before the call began, and the provider's `on_disconnect` is
    /// "drop". The call was not made.
    #[error(
        "every client that waited for this picture left before provider `{provider}` was called, so the call was not \
         made and nothing was charged for it; send the picture again"
    )]
    Abandoned {
        /// The provider that was not called.
        provider: String,
    },
    #[error("the gateway is shutting down")]
    ShuttingDown,
    /// A defect: the work panicked.
    #[error("the work on this picture stopped unexpectedly; the log says more")]
    Internal,
}

impl Error {
    /// Whether the error is specific to the leader, so that another request for the same picture may still succeed.
    pub(super) const fn is_specific_to_leader(&self) -> bool {
        matches!(self, Self::Deadline { .. } | Self::Abandoned { .. } | Self::Internal)
    }
}

/// A provider of the route that failed or was skipped.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub provider: String,
    pub kind: FailureKind,
    /// The reason in words. It never contains an API key or the body of a reply.
    pub reason: String,
    /// Whether the failed call costs credit.
    pub billed: Billed,
    /// When the client should try again, if that is known.
    pub retry_after: Option<Duration>,
    /// The budget that had too little credit left.
    pub budget: Option<Exhausted>,
    pub took: Duration,
}

impl Attempt {
    pub fn new(provider: &str, error: ProviderError, took: Duration) -> Self {
        Self {
            provider: provider.to_owned(),
            kind: error.kind,
            reason: error.message,
            billed: error.billed,
            retry_after: error.retry_after,
            budget: None,
            took,
        }
    }

    /// A provider that was skipped, because no credit could be reserved.
    pub fn not_reserved(provider: &str, error: ReserveError) -> Self {
        let (kind, reason) = match &error {
            ReserveError::Budget(_) => (FailureKind::Budget, error.to_string()),
            ReserveError::Ledger(_) => (FailureKind::Ledger, error.to_string()),
        };
        let budget = match error {
            ReserveError::Budget(exhausted) => Some(exhausted),
            ReserveError::Ledger(_) => None,
        };
        // A spent budget is renewed when its next window begins. A budget for all time is never renewed.
        let renews = budget.as_ref().and_then(|budget| budget.renews);
        let left = renews.and_then(|renews| Duration::try_from(renews - OffsetDateTime::now_utc()).ok());
        let refused = ProviderError::new(kind, reason).retry_after(left);
        Self { budget, ..Self::new(provider, refused, Duration::ZERO) }
    }

    /// A provider that was skipped because it is not ready.
    pub fn not_ready(provider: &str, why: String, retry_after: Option<Duration>) -> Self {
        let error = ProviderError::new(FailureKind::NotReady, why).retry_after(retry_after);
        Self::new(provider, error, Duration::ZERO)
    }

    /// Whether a budget with scope `client` refused the call.
    pub fn is_over_client_budget(&self) -> bool {
        self.budget.as_ref().is_some_and(|budget| budget.scope == BudgetScope::Client)
    }

    /// Whether the provider was skipped for lack of credit.
    pub const fn is_credit_failure(&self) -> bool {
        matches!(self.kind, FailureKind::Budget | FailureKind::Ledger)
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.provider, self.reason)
    }
}

/// A format's name in prose.
const fn name_of(format: OutputFormat) -> &'static str {
    match format {
        OutputFormat::Png => "PNG",
        OutputFormat::Jpeg => "JPEG",
        OutputFormat::WebP => "WebP",
        OutputFormat::Tiff => "TIFF",
    }
}

fn describe(attempts: &[Attempt]) -> String {
    let tried: Vec<String> = attempts.iter().map(Attempt::to_string).collect();
    format!("no provider could colour this picture ({})", tried.join("; "))
}
