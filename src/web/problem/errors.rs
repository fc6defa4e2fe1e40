//! Maps each error to a problem.

use rocket::http::Status;
use serde::Serialize;
use time::format_description::well_known::Rfc3339;

use super::{Problem, seconds};
use crate::credit::Exhausted;
use crate::datastore::{NameError, StoreError};
use crate::gateway::{Attempt, Error};
use crate::photo::PhotoError;
use crate::provider::{FailureKind, InputError};
use crate::quota::RateLimited;

/// nginx's status for a client that left. No client receives it; only the log and the metrics show it.
const CLIENT_LEFT: Status = Status::new(499);

/// A budget with too little credit left. Amounts are decimals as text.
#[derive(Clone, Debug, Serialize)]
pub struct BudgetFacts {
    name: String,
    limit: String,
    left: String,
    wanted: String,
    /// RFC 3339, in UTC; `null` for a budget that never renews.
    renews: Option<String>,
}

impl From<&Exhausted> for BudgetFacts {
    fn from(Exhausted { budget, limit, left, wanted, renews, .. }: &Exhausted) -> Self {
        Self {
            name: budget.clone(),
            limit: limit.to_string(),
            left: left.to_string(),
            wanted: wanted.to_string(),
            renews: renews.and_then(|renews| renews.format(&Rfc3339).ok()),
        }
    }
}

/// A provider that failed or was skipped.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptFacts {
    provider: String,
    failure: &'static str,
    reason: String,
    /// Decimal as text; `null` if the cost is unknown.
    pub(super) credits: Option<String>,
    seconds: f64,
}

impl From<&Attempt> for AttemptFacts {
    fn from(attempt: &Attempt) -> Self {
        let Attempt { provider, kind, reason, billed, took, .. } = attempt;
        Self {
            provider: provider.clone(),
            failure: kind.label(),
            reason: reason.clone(),
            credits: billed.usage().credits.map(|credits| credits.to_string()),
            seconds: took.as_secs_f64(),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            Error::Photo(photo) => photo.into(),
            Error::UnknownProvider { .. } => Self::bad_request(detail),
            Error::UnsupportedDepth { .. } => Self::new(Status::UnprocessableEntity, detail)
                .named("unsupported-depth", "The format does not have this depth")
                .about("depth"),
            Error::InColor => {
                Self { input: Some("colour"), ..Self::new(Status::UnprocessableEntity, detail) }
            }
            Error::Damaged(_) => Self::new(Status::UnprocessableEntity, detail)
                .named("damaged-picture", "The picture is damaged"),
            Error::Busy { retry_after, .. } => {
                Self::new(Status::ServiceUnavailable, detail).retry_after(Some(retry_after))
            }
            Error::Quota { refusal } => refusal.into(),
            Error::Deadline { .. } => Self::new(Status::GatewayTimeout, detail),
            Error::NoProvider { attempts } => {
                let after = attempts.iter().filter_map(|attempt| attempt.retry_after).min();
                // The budget that renews first, because a provider becomes available then.
                let budgets = attempts.iter().filter_map(|attempt| attempt.budget.as_ref());
                let budget = budgets.min_by_key(|budget| (budget.renews.is_none(), budget.renews));
                let facts = attempts.iter().map(AttemptFacts::from).collect();
                let problem = Self::new(no_provider(&attempts), detail);
                Self { attempts: facts, budget: budget.map(|budget| Box::new(budget.into())), ..problem }
                    .retry_after(after)
            }
            Error::Abandoned { .. } => Self::new(CLIENT_LEFT, detail),
            Error::ShuttingDown => Self::new(Status::ServiceUnavailable, detail),
            Error::Internal => Self::new(Status::InternalServerError, detail),
        }
    }
}

/// The status if every provider failed or was skipped; it depends on the failures of all attempts.
fn no_provider(attempts: &[Attempt]) -> Status {
    let all = |kinds: &[FailureKind]| attempts.iter().all(|attempt| kinds.contains(&attempt.kind));
    let budget = attempts.iter().any(|attempt| attempt.kind == FailureKind::Budget);
    if budget && attempts.iter().all(|attempt| !attempt.kind.was_called()) {
        Status::PaymentRequired
    } else if all(&[
        FailureKind::Busy,
        FailureKind::NotReady,
        FailureKind::Budget,
        FailureKind::Ledger,
        FailureKind::Unavailable,
    ]) {
        Status::ServiceUnavailable
    } else if all(&[FailureKind::Timeout]) {
        Status::GatewayTimeout
    } else {
        Status::BadGateway
    }
}

impl From<RateLimited> for Problem {
    fn from(refusal: RateLimited) -> Self {
        let wait = seconds(refusal.wait);
        let detail = format!("This request exceeds {refusal}. Ask again in {wait} seconds.");
        let limits = refusal.levels.iter().map(|level| level.limit.name().to_owned()).collect();
        Self { limits, ..Self::new(Status::TooManyRequests, detail) }.retry_after(Some(refusal.wait))
    }
}

impl From<PhotoError> for Problem {
    fn from(error: PhotoError) -> Self {
        let detail = sentence(&error.to_string());
        let status = match error {
            PhotoError::NoSuchPage { .. } => {
                return Self::new(Status::UnprocessableEntity, detail)
                    .named("no-such-page", "The picture has no such page")
                    .about("page");
            }
            PhotoError::Unsupported(_) => Status::UnsupportedMediaType,
            PhotoError::TooManyPixels(_)
            | PhotoError::Broken(_)
            | PhotoError::Unwritable(_)
            | PhotoError::Panicked(..) => Status::UnprocessableEntity,
        };
        Self::new(status, detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            StoreError::NoCollection => Self::new(Status::NotFound, detail),
            StoreError::Exists | StoreError::NotEmpty(_) => Self::new(Status::Conflict, detail),
            StoreError::Full(_) => Self::new(Status::InsufficientStorage, detail),
            StoreError::Io { .. } | StoreError::Stopped => {
                tracing::error!("files of clients: {error}");
                Self::new(
                    Status::InternalServerError,
                    "Files cannot be read or written here now; the log says more.",
                )
            }
        }
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Self::bad_request(sentence(&error.to_string()))
    }
}

impl From<InputError> for Problem {
    fn from(error: InputError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            InputError::TooLarge(_) => Self::new(Status::PayloadTooLarge, detail),
            InputError::Refused | InputError::Failed | InputError::Status(_) => Self::bad_request(detail),
        }
    }
}

/// Turns an error's text, which starts in lower case and has no full stop, into a sentence.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::CodecStep;

    #[test]
    fn a_codec_panic_is_422_with_advice() {
        for step in CodecStep::ALL {
            let words = "Save the picture again, for example as PNG, and send that.";
            let problem = Problem::from(Error::Photo(PhotoError::Panicked(step, words.to_owned())));
            assert_eq!((problem.status, problem.detail.as_str()), (422, words));
            assert_eq!(problem.name(), "unusable-picture");
        }
    }

    #[test]
    fn an_error_becomes_a_sentence() {
        assert_eq!(sentence("the file is empty"), "The file is empty.");
        assert_eq!(sentence("Really?"), "Really?");
        assert_eq!(sentence(""), ".");
    }
}
