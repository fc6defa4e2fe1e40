//! Request IDs. The client or a proxy may set the ID. The response and every log line of the request contain it. The
//! request's trace context is stored with it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rocket::route::{Handler, Outcome};
use rocket::{Data, Request, Route};
use tracing::{Instrument, Span};

use crate::observe::TraceParent;

/// The header of the ID, in requests and responses.
pub const REQUEST_ID: &str = "X-Request-Id";

/// Maximum length of an accepted ID.
const LONGEST: usize = 128;

pub struct RequestIdentity {
    pub id: String,
    /// The trace context, if any.
    pub parent: Option<TraceParent>,
    /// The span of the request's log lines.
    pub span: Span,
    /// When the request arrived.
    pub received: Instant,
}

impl RequestIdentity {
    /// The identity of a request, which stays the same until the response is sent.
    pub fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        request.local_cache(|| {
            let id = one(request, REQUEST_ID).filter(|id| well_formed(id)).map(str::to_owned);
            let id = id.unwrap_or_else(new_id);
            let parent = one(request, "traceparent").and_then(TraceParent::parse);
            let trace_id = parent.map(|parent| parent.trace_id());
            // At error level, so that the ID is present at every log level.
            let span = tracing::error_span!("request", request_id = id, trace_id);
            Self { id, parent, span, received: Instant::now() }
        })
    }
}

/// A random ID. If the system provides no random numbers, the ID is the process ID and a counter.
fn new_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut random = [0; 16];
    match getrandom::fill(&mut random) {
        Ok(()) => uuid::Builder::from_random_bytes(random).into_uuid().to_string(),
        Err(_) => format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)),
    }
}

/// The value of a header; `None` if it is absent or repeated.
fn one<'r>(request: &'r Request<'_>, name: &str) -> Option<&'r str> {
    let mut values = request.headers().get(name);
    values.next().filter(|_| values.next().is_none())
}

/// Whether an ID consists of characters of common formats (UUIDs, hexadecimal digits, base64, `Root=1-...`), so that
/// it is one harmless word in a log or response.
fn well_formed(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:~=+/@".contains(&byte);
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(plain)
}

/// Wraps routes so that their log lines carry the request ID.
pub fn within(routes: Vec<Route>) -> Vec<Route> {
    let spanned = |mut route: Route| {
        route.handler = Box::new(SpannedHandler(route.handler));
        route
    };
    routes.into_iter().map(spanned).collect()
}

#[derive(Clone)]
struct SpannedHandler(Box<dyn Handler>);

#[rocket::async_trait]
impl Handler for SpannedHandler {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        let span = RequestIdentity::of(request).span.clone();
        self.0.handle(request, data).instrument(span).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_accepted_only_as_one_word_of_harmless_characters() {
        for id in [
            "a",
            "7b44c6e1-53f1-4a3e-bd5e-0b1a5a5a5a5a",
            "Root=1-67891233-abcdef012345678912345678",
            "a/b+c==",
        ] {
            assert!(well_formed(id), "{id}");
        }
        for id in ["", "a b", "a\"b", "a\\b", "a\nb", "a{b}", "a,b", "a;b", "<b>", "é", &"a".repeat(129)] {
            assert!(!well_formed(id), "{id}");
        }
    }
}
