//! Maps errors to HTTP: `application/problem+json` (RFC 9457) with a stable `type`, a title, and a detail that a
//! person can act on.

mod errors;

use std::io::Cursor;
use std::time::Duration;

use rocket::data;
use rocket::http::{ContentType, Header, Status};
use rocket::outcome::Outcome;
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use serde::Serialize;

pub use errors::{AttemptFacts, BudgetFacts};

/// The prefix of every problem type.
const URN: &str = "urn:pixcolor:problem:";

/// A problem as a response in the format of one protocol.
pub struct Rendering {
    pub status: Status,
    pub media_type: ContentType,
    pub body: String,
    /// Headers in addition to those of the problem.
    pub headers: Vec<Header<'static>>,
}

/// A function that renders problems in the formats of other protocols and returns `None` for requests to PixColor's own
/// API. It is part of Rocket's managed state.
pub struct Renderer(pub fn(&Request<'_>, &Problem) -> Option<Rendering>);

#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// The stable type, a URN.
    #[serde(rename = "type")]
    kind: String,
    /// The title, the same for every occurrence of a type.
    pub title: &'static str,
    pub status: u16,
    /// What happened, and what to do.
    pub detail: String,
    /// Seconds until a retry makes sense; the `Retry-After` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The names of the exceeded rate limits; draft-ietf-httpapi-ratelimit-headers-10 names this member.
    #[serde(rename = "violated-policies", skip_serializing_if = "Vec::is_empty")]
    limits: Vec<String>,
    /// The failed attempts, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<AttemptFacts>,
    /// The spent budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<Box<BudgetFacts>>,
    /// `colour` if the upload was rejected because it is in colour; the `X-PixColor-Input` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'static str>,
    /// The invalid parameter, for facades.
    #[serde(skip)]
    param: Option<&'static str>,
    /// The result of the cache lookup, if any; the `Cache-Status` header.
    #[serde(skip)]
    cache: Option<String>,
    #[serde(skip)]
    allow: Option<String>,
    #[serde(skip)]
    close: bool,
}

impl Problem {
    /// A problem with the default type and title of this status.
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

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(Status::BadRequest, detail)
    }

    /// An upload over the size limit. The problem closes the connection, because more of the upload may follow.
    pub fn too_large(limit: u64) -> Self {
        let mib = limit as f64 / f64::from(1 << 20);
        let detail = format!("The upload is larger than {mib:.1} MiB. Send a smaller file.");
        Self::new(Status::PayloadTooLarge, detail).closing()
    }

    /// A method that a known path does not support.
    pub fn method_not_allowed(allow: String) -> Self {
        let detail = format!("This path accepts {allow} only.");
        Self { allow: Some(allow), ..Self::new(Status::MethodNotAllowed, detail) }
    }

    /// An empty file.
    pub fn empty_picture() -> Self {
        let detail = "The picture is empty: choose a file and send it again.";
        Self::new(Status::UnsupportedMediaType, detail)
    }

    /// Sets the type and title, for a status that several problems share.
    pub fn named(self, name: &str, title: &'static str) -> Self {
        Self { kind: format!("{URN}{name}"), title, ..self }
    }

    /// Sets the invalid parameter.
    pub fn about(self, param: &'static str) -> Self {
        Self { param: Some(param), ..self }
    }

    pub fn param(&self) -> Option<&'static str> {
        self.param
    }

    /// The type without its prefix.
    pub fn name(&self) -> &str {
        self.kind.strip_prefix(URN).unwrap_or(&self.kind)
    }

    /// Whether the failed attempts may have cost credit.
    pub fn may_have_cost(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.credits.as_deref() != Some("0"))
    }

    /// Closes the connection after the response, because the body was not read to its end.
    pub fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    /// Sets `Cache-Status` of a request without a cache hit: the reason for the miss (RFC 9211, section 2.2), and the
    /// name of this problem.
    pub fn not_in_cache(self, forward: &str) -> Self {
        let name = self.kind.rsplit(':').next().unwrap_or_default();
        Self { cache: Some(format!("PixColor; fwd={forward}; detail={name}")), ..self }
    }

    pub fn retry_after(self, after: Option<Duration>) -> Self {
        // Rounded up, so that a client that waits exactly this long does not retry too early.
        Self { retry_after: after.map(seconds), ..self }
    }

    /// The headers of the problem in any rendering.
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

    /// The rendering of our own API.
    fn rendering(&self) -> Rendering {
        Rendering {
            status: self.http_status(),
            media_type: ContentType::new("application", "problem+json"),
            // Strings and numbers always serialise; the fallback is still valid JSON.
            body: serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned()),
            headers: Vec::new(),
        }
    }

    /// This problem as the result of reading a body.
    pub fn outcome<'r, T>(self) -> data::Outcome<'r, T, Self> {
        Outcome::Error((self.http_status(), self))
    }

    pub fn http_status(&self) -> Status {
        Status::new(self.status)
    }
}

/// The default type and title of each status in use.
fn name(status: Status) -> (&'static str, &'static str) {
    match status.code {
        400 => ("bad-request", "Bad request"),
        401 => ("unauthorized", "A key or token is required"),
        402 => ("payment-required", "The budget is spent"),
        403 => ("forbidden", "Not allowed"),
        404 => ("not-found", "Not found"),
        405 => ("method-not-allowed", "Wrong method"),
        408 => ("request-timeout", "The upload took too long"),
        409 => ("conflict", "Conflict"),
        413 => ("too-large", "The picture is too large"),
        415 => ("not-a-picture", "Not a readable image"),
        421 => ("misdirected", "Unknown host name"),
        422 => ("unusable-picture", "The picture cannot be used"),
        429 => ("too-many-requests", "Too many requests"),
        499 => ("client-left", "The client left"),
        502 => ("provider-failed", "No provider could colour the picture"),
        503 => ("unavailable", "Not available right now"),
        504 => ("timeout", "Time-out"),
        507 => ("storage-full", "Storage is full"),
        508 => ("loop", "The gateway called itself"),
        code if code < 500 => ("bad-request", "Bad request"),
        _ => ("internal", "An internal error"),
    }
}

impl<'r> Responder<'r, 'static> for Problem {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let renderer = request.rocket().state::<Renderer>();
        let Rendering { status, media_type, body, headers } =
            renderer.and_then(|Renderer(render)| render(request, &self)).unwrap_or_else(|| self.rendering());
        let mut response = Response::build();
        response.status(status).header(media_type).sized_body(body.len(), Cursor::new(body));
        for header in self.headers().into_iter().chain(headers) {
            response.header(header);
        }
        response.ok()
    }
}

/// Whole seconds, rounded up, so that a client that waits this long does not retry too early.
pub fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up() {
        let problem = Problem::bad_request("no").retry_after(Some(Duration::from_millis(1_001)));
        assert_eq!(problem.retry_after, Some(2));
    }
}
