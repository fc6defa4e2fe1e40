//! Why a picture did not get its colour.

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;

use crate::credit::{Exhausted, ReserveError};
use crate::photo::{Damage, PhotoError};
use crate::provider::{Billed, FailureKind, ProviderError};
use crate::quota::RateLimited;

/// Why a request got no rendition. `web::problem` says what each is in HTTP.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The upload cannot be read, or the rendition not be written.
    #[error(transparent)]
    Photo(#[from] PhotoError),
    /// A provider was named that there is none of.
    #[error("there is no provider `{name}`; there is: {known}")]
    UnknownProvider {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The upload is in colour already, and such are refused.
    #[error(
        "this photograph is in colour already, and this gateway colours black-and-white ones only; nothing was \
         spent. Send a black-and-white photograph, or have whoever runs the gateway change `on_colour`"
    )]
    InColor,
    /// The upload is damaged, and such are refused.
    #[error(
        "this file is damaged: {0} This gateway colours whole pictures only; nothing was spent. Send an undamaged \
         copy of the file, or have the person who runs the gateway set `on_damage` to \"accept\""
    )]
    Damaged(Damage),
    /// Too much is going on; nothing was begun.
    #[error("the gateway is busy: {waiting}")]
    Busy {
        /// What there is a queue for.
        waiting: String,
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
    /// The client has asked for too much lately.
    #[error("this is more than {refusal} allows")]
    Quota {
        /// The limits, and the time to wait.
        refusal: RateLimited,
    },
    /// The time for a request was over.
    #[error("the picture was not ready within {} seconds", limit.as_secs())]
    Deadline {
        /// The time a request has.
        limit: Duration,
    },
    /// No provider on the route gave colour.
    #[error("{}", describe(attempts))]
    NoProvider {
        /// What was tried, in order; never empty.
        attempts: Vec<Attempt>,
    },
    /// Every client that waited for the picture left before a call that costs credit began, and the provider's
    /// `on_disconnect` is "drop". The call was not made.
    #[error(
        "every client that waited for this picture left before provider `{provider}` was called, so the call was not \
         made and nothing was charged for it; send the picture again"
    )]
    Abandoned {
        /// The provider that was not called.
        provider: String,
    },
    /// The gateway is on its way out.
    #[error("the gateway is shutting down")]
    ShuttingDown,
    /// A defect: the work stopped without saying why.
    #[error("the work on this picture stopped unexpectedly; the log says more")]
    Internal,
}

impl Error {
    /// Whether it says something only about the request that met it: another for the same picture, with
    /// more time left, may still succeed, and nothing was paid for.
    pub(super) const fn is_the_leaders_own(&self) -> bool {
        matches!(self, Self::Deadline { .. } | Self::Abandoned { .. } | Self::Internal)
    }
}

/// A provider that was asked, or passed over, without success.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The provider's name.
    pub provider: String,
    /// What kind of failure.
    pub kind: FailureKind,
    /// In words; never a key, never a body.
    pub reason: String,
    /// Whether it was paid for nevertheless.
    pub billed: Billed,
    /// When it makes sense to ask again, if the provider said.
    pub retry_after: Option<Duration>,
    /// The budget that had too little left for it.
    pub budget: Option<Exhausted>,
    /// How long it took.
    pub took: Duration,
}

impl Attempt {
    /// The attempt that ended in this error.
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

    /// A provider that was not asked, because nothing could be set aside for the call.
    pub fn unpaid(provider: &str, error: ReserveError) -> Self {
        let (kind, reason) = match &error {
            ReserveError::Budget(_) => (FailureKind::Budget, error.to_string()),
            ReserveError::Ledger(_) => (FailureKind::Ledger, error.to_string()),
        };
        let budget = match error {
            ReserveError::Budget(exhausted) => Some(exhausted),
            ReserveError::Ledger(_) => None,
        };
        // It is spent until its next period begins; a total for ever.
        let renews = budget.as_ref().and_then(|budget| budget.renews);
        let left = renews.and_then(|renews| Duration::try_from(renews - OffsetDateTime::now_utc()).ok());
        let refused = ProviderError::new(kind, reason).retry_after(left);
        Self { budget, ..Self::new(provider, refused, Duration::ZERO) }
    }

    /// Whether it was money that stood in the way.
    pub const fn for_money(&self) -> bool {
        matches!(self.kind, FailureKind::Budget | FailureKind::Ledger)
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.provider, self.reason)
    }
}

fn describe(attempts: &[Attempt]) -> String {
    let tried: Vec<String> = attempts.iter().map(Attempt::to_string).collect();
    format!("no provider could colour this picture ({})", tried.join("; "))
}
