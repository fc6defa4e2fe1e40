//! The one place where errors become HTTP: `application/problem+json` (RFC 9457) with a stable `type`, a
//! title, and a detail that a person can act on.

use std::io::Cursor;
use std::time::Duration;

use rocket::http::{ContentType, Header, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use serde::Serialize;
use time::format_description::well_known::Rfc3339;

use super::admission::seconds;
use super::facades::{self, Rendering};
use crate::credit::Exhausted;
use crate::datastore::{NameError, StoreError};
use crate::gateway::{Attempt, Error};
use crate::photo::PhotoError;
use crate::provider::{FailureKind, InputError};
use crate::quota::Refusal;

/// What the type of every problem begins with.
const URN: &str = "urn:pixcolor:problem:";

/// What went wrong, in HTTP.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// A stable name, as a URN.
    #[serde(rename = "type")]
    kind: String,
    /// The name in words; the same for every occurrence.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, and what to do.
    pub detail: String,
    /// Seconds after which it makes sense to ask again; the `Retry-After` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The limits that were passed, by name, under the name that draft-ietf-httpapi-ratelimit-headers-10 gives
    /// this member.
    #[serde(rename = "violated-policies", skip_serializing_if = "Vec::is_empty")]
    limits: Vec<String>,
    /// Which providers were asked, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<AttemptFacts>,
    /// The budget that is spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<Box<BudgetFacts>>,
    /// `colour` where the upload was refused because it is in colour; the `X-PixColor-Input` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'static str>,
    /// The parameter that is at fault, where a facade tells it.
    #[serde(skip)]
    param: Option<&'static str>,
    /// How the cache dealt with the request, if it was asked; the `Cache-Status` header.
    #[serde(skip)]
    cache: Option<String>,
    #[serde(skip)]
    allow: Option<String>,
    #[serde(skip)]
    close: bool,
}

/// A budget with too little left, as clients see it. Amounts are decimals, as text.
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

/// A failed attempt, as clients see it.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptFacts {
    provider: String,
    failure: &'static str,
    reason: String,
    /// Decimal, as text; `null` when nobody knows whether, or how much, it has cost.
    credits: Option<String>,
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

impl Problem {
    /// A problem of this status, named and entitled by it.
    pub fn new(status: Status, detail: impl Into<String>) -> Self {
        let (name, title) = name(status);
        Self {
            kind: format!("{URN}{name}"),
            title,
            status: status.code,
            detail: detail.into(),
            retry_after: None,
            limits: Vec::new(),
            attempts: Vec::new(),
            budget: None,
            input: None,
            param: None,
            cache: None,
            allow: None,
            close: false,
        }
    }

    /// A request that makes no sense.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(Status::BadRequest, detail)
    }

    /// An upload over the limit. The connection is closed: there may be more of it.
    pub fn too_large(limit: u64) -> Self {
        let mib = limit as f64 / f64::from(1 << 20);
        let detail = format!("What was sent is larger than {mib:.1} MiB. Send a smaller file.");
        Self::new(Status::PayloadTooLarge, detail).closing()
    }

    /// A method that a known path does not have.
    pub fn method_not_allowed(allow: String) -> Self {
        let detail = format!("This address answers to {allow} only.");
        Self { allow: Some(allow), ..Self::new(Status::MethodNotAllowed, detail) }
    }

    /// The same, and which parameter is at fault.
    pub fn about(self, param: &'static str) -> Self {
        Self { param: Some(param), ..self }
    }

    /// The parameter that is at fault.
    pub fn param(&self) -> Option<&'static str> {
        self.param
    }

    /// Its stable name.
    pub fn name(&self) -> &str {
        self.kind.strip_prefix(URN).unwrap_or(&self.kind)
    }

    /// Whether providers may have been paid all the same.
    pub fn may_have_cost(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.credits.as_deref() != Some("0"))
    }

    /// The same, and the connection is closed after it: its body was not read to the end.
    pub fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    /// The same, after the cache was asked and had no answer: why the request went further (RFC 9211, section
    /// 2.2), and that nothing came of it.
    pub fn not_in_cache(self, forward: &str) -> Self {
        let name = self.kind.rsplit(':').next().unwrap_or_default();
        Self { cache: Some(format!("PixColor; fwd={forward}; detail={name}")), ..self }
    }

    /// The same, and when it makes sense to ask again.
    pub fn retry_after(self, after: Option<Duration>) -> Self {
        // Rounded up: whoever waits exactly that long must not be too early.
        Self { retry_after: after.map(seconds), ..self }
    }

    /// What its headers say, whatever form its body has.
    pub fn headers(&self) -> Vec<Header<'static>> {
        let retry_after = self.retry_after.map(|seconds| Header::new("Retry-After", seconds.to_string()));
        let allow = self.allow.clone().map(|allow| Header::new("Allow", allow));
        let input = self.input.map(|input| Header::new("X-PixColor-Input", input));
        let cache = self.cache.clone().map(|cache| Header::new("Cache-Status", cache));
        let close = self.close.then(|| Header::new("Connection", "close"));
        let key =
            (self.status == Status::Unauthorized.code).then(|| Header::new("WWW-Authenticate", "Bearer"));
        let all =
            [Some(Header::new("Cache-Control", "no-store")), retry_after, allow, input, cache, key, close];
        all.into_iter().flatten().collect()
    }

    /// As our own API tells it.
    fn rendering(&self) -> Rendering {
        Rendering {
            status: self.http_status(),
            media_type: ContentType::new("application", "problem+json"),
            // Strings and numbers only: this cannot fail, and were it to, an empty object is still JSON.
            body: serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned()),
            headers: Vec::new(),
        }
    }

    /// The status.
    pub fn http_status(&self) -> Status {
        Status::new(self.status)
    }
}

/// The stable name and the title of each status in use.
fn name(status: Status) -> (&'static str, &'static str) {
    match status.code {
        400 => ("bad-request", "The request makes no sense"),
        401 => ("unauthorized", "A key or a token is needed"),
        402 => ("payment-required", "The budget is spent"),
        403 => ("forbidden", "Not allowed"),
        404 => ("not-found", "Not found"),
        405 => ("method-not-allowed", "Wrong method"),
        408 => ("request-timeout", "The upload took too long"),
        409 => ("conflict", "Something is in the way"),
        413 => ("too-large", "The picture is too large"),
        415 => ("not-a-picture", "Not a picture that can be read"),
        422 => ("unusable-picture", "The picture cannot be used"),
        429 => ("too-many-requests", "Too many requests"),
        502 => ("provider-failed", "No provider could colour the picture"),
        503 => ("unavailable", "Not available right now"),
        504 => ("timeout", "It took too long"),
        507 => ("storage-full", "There is no room"),
        508 => ("loop", "The gateway asks itself"),
        code if code < 500 => ("bad-request", "The request makes no sense"),
        _ => ("internal", "An internal error"),
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            Error::Photo(photo) => photo.into(),
            Error::UnknownProvider { .. } => Self::bad_request(detail),
            Error::InColour => {
                Self { input: Some("colour"), ..Self::new(Status::UnprocessableEntity, detail) }
            }
            Error::Busy { retry_after, .. } => {
                Self::new(Status::ServiceUnavailable, detail).retry_after(Some(retry_after))
            }
            Error::Quota { refusal } => refusal.into(),
            Error::Deadline { .. } => Self::new(Status::GatewayTimeout, detail),
            Error::NoProvider { attempts } => {
                let after = attempts.iter().filter_map(|attempt| attempt.retry_after).min();
                // Of several the one that renews first: then there is somebody again.
                let budgets = attempts.iter().filter_map(|attempt| attempt.budget.as_ref());
                let budget = budgets.min_by_key(|budget| (budget.renews.is_none(), budget.renews));
                let facts = attempts.iter().map(AttemptFacts::from).collect();
                let problem = Self::new(no_provider(&attempts), detail);
                Self { attempts: facts, budget: budget.map(|budget| Box::new(budget.into())), ..problem }
                    .retry_after(after)
            }
            Error::ShuttingDown => Self::new(Status::ServiceUnavailable, detail),
            Error::Internal => Self::new(Status::InternalServerError, detail),
        }
    }
}

/// The status when every provider failed: whether it makes sense to come back decides.
fn no_provider(attempts: &[Attempt]) -> Status {
    let all = |kinds: &[FailureKind]| attempts.iter().all(|attempt| kinds.contains(&attempt.kind));
    let budget = attempts.iter().any(|attempt| attempt.kind == FailureKind::Budget);
    if budget && attempts.iter().all(|attempt| !attempt.kind.was_asked()) {
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

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let wait = seconds(refusal.wait);
        let detail = format!("This is more than {refusal} allows. Ask again in {wait} seconds.");
        let limits = refusal.levels.iter().map(|level| level.limit.name().to_owned()).collect();
        Self { limits, ..Self::new(Status::TooManyRequests, detail) }.retry_after(Some(refusal.wait))
    }
}

impl From<PhotoError> for Problem {
    fn from(error: PhotoError) -> Self {
        let detail = sentence(&error.to_string());
        let status = match error {
            PhotoError::Unsupported(_) => Status::UnsupportedMediaType,
            PhotoError::TooManyPixels(_) | PhotoError::Broken(_) | PhotoError::Unwritable(_) => {
                Status::UnprocessableEntity
            }
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

/// Errors begin small and end open, as Rust's do; a detail is a sentence.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

impl<'r> Responder<'r, 'static> for Problem {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let Rendering { status, media_type, body, headers } =
            facades::rendering(request, &self).unwrap_or_else(|| self.rendering());
        let mut response = Response::build();
        response.status(status).header(media_type).sized_body(body.len(), Cursor::new(body));
        for header in self.headers().into_iter().chain(headers) {
            response.header(header);
        }
        response.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up() {
        let problem = Problem::bad_request("no").retry_after(Some(Duration::from_millis(1_001)));
        assert_eq!(problem.retry_after, Some(2));
    }

    #[test]
    fn an_error_becomes_a_sentence() {
        assert_eq!(sentence("the file is empty"), "The file is empty.");
        assert_eq!(sentence("Really?"), "Really?");
        assert_eq!(sentence(""), ".");
    }
}
