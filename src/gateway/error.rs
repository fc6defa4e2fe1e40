//! Why a picture did not get its colour.

use std::fmt;
use std::time::Duration;

use crate::photo::PhotoError;
use crate::provider::{FailureKind, ProviderError};
use crate::quota::Refusal;

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
        refusal: Refusal,
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
    /// The gateway is on its way out.
    #[error("the gateway is shutting down")]
    ShuttingDown,
    /// A defect: the work stopped without saying why.
    #[error("the work on this picture stopped unexpectedly; the log says more")]
    Internal,
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
    /// When it makes sense to ask again, if the provider said.
    pub retry_after: Option<Duration>,
}

impl Attempt {
    /// The attempt that ended in this error.
    pub fn new(provider: &str, error: ProviderError) -> Self {
        Self {
            provider: provider.to_owned(),
            kind: error.kind,
            reason: error.message,
            retry_after: error.retry_after,
        }
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
