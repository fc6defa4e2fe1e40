//! Which request is it? An id of its own, that the client or a proxy in front may have given it, goes into every line
//! that is logged while it is answered, and into its answer. With it goes the trace that it is part of.

use std::sync::atomic::{AtomicU64, Ordering};

use rocket::route::{Handler, Outcome};
use rocket::{Data, Request, Route};
use tracing::{Instrument, Span};

use crate::observe::TraceParent;

/// The header of the id, in requests and answers.
pub const REQUEST_ID: &str = "X-Request-Id";

/// Longest id that is taken over.
const LONGEST: usize = 128;

/// A request's own.
pub struct RequestIdentity {
    /// Its id.
    pub id: String,
    /// Its place in a trace, if it has one.
    pub parent: Option<TraceParent>,
    /// What is logged for it.
    pub span: Span,
}

impl RequestIdentity {
    /// The identity of a request; the same whenever it is asked for.
    pub fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        request.local_cache(|| {
            let id = one(request, REQUEST_ID).filter(|id| well_formed(id)).map(str::to_owned);
            let id = id.unwrap_or_else(new_id);
            let parent = one(request, "traceparent").and_then(TraceParent::parse);
            let trace_id = parent.map(|parent| parent.trace_id());
            // Also while only trouble is logged: it wants to be found, too.
            let span = tracing::error_span!("request", request_id = id, trace_id);
            Self { id, parent, span }
        })
    }
}

/// A random id; where the system gives no random numbers, which is no reason to answer nobody, one that this process
/// gives out once.
fn new_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut random = [0; 16];
    match getrandom::fill(&mut random) {
        Ok(()) => uuid::Builder::from_random_bytes(random).into_uuid().to_string(),
        Err(_) => format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)),
    }
}

/// A header that is there once.
fn one<'r>(request: &'r Request<'_>, name: &str) -> Option<&'r str> {
    let mut values = request.headers().get(name);
    values.next().filter(|_| values.next().is_none())
}

/// What is in use for ids (UUIDs, hexadecimal digits, base64, `Root=1-...`), and nothing that could pass for more than a
/// word in a log or an answer.
fn well_formed(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:~=+/@".contains(&byte);
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(plain)
}

/// The same routes; what they log is told with the request's id.
pub fn within(routes: Vec<Route>) -> Vec<Route> {
    let told = |mut route: Route| {
        route.handler = Box::new(SpannedHandler(route.handler));
        route
    };
    routes.into_iter().map(told).collect()
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
    fn an_id_is_taken_over_only_as_one_word_of_harmless_characters() {
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
