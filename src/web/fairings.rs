//! Fairings: the method as sent, security headers, chunk size, `Cache-Status`, the request log and request metrics.

use rocket::fairing::{Fairing, Info, Kind};
use rocket::form::Form;
use rocket::http::{Header, Method};
use rocket::{Data, Request, Response};

use super::guards;
use super::identity::{REQUEST_ID, RequestIdentity};

/// The page loads resources from this server only. The images at `blob:` and `data:` URLs are part of the page itself.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob: data:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// A worker obeys the policy of its own script. `sandbox` would prevent its start.
const SCRIPT_POLICY: &str =
    "default-src 'none'; script-src 'self'; connect-src 'self'; frame-ancestors 'none'";

/// Other responses must not run scripts or load anything when a browser opens them.
const OTHER_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// Restores the method of a form that was sent with `POST`. If the first field of a form is `_method`, Rocket uses the
/// field's value as the method. Rocket does so before any fairing runs, and no setting prevents it. So a form on any
/// web page could send `DELETE` or `PUT`, which browsers do not let a form send.
pub struct SentMethod;

/// The number of bytes in which Rocket looks for the field `_method`.
const METHOD_FIELD: usize = "_method=delete".len();

#[rocket::async_trait]
impl Fairing for SentMethod {
    fn info(&self) -> Info {
        Info { name: "method as sent", kind: Kind::Request }
    }

    async fn on_request(&self, request: &mut Request<'_>, data: &mut Data<'_>) {
        if request.method() == Method::Post || !request.content_type().is_some_and(|kind| kind.is_form()) {
            return;
        }
        let begin = std::str::from_utf8(data.peek(METHOD_FIELD).await);
        let first = begin.ok().and_then(|form| Form::values(form).next());
        if first.is_some_and(|field| field.name == "_method") {
            request.set_method(Method::Post);
        }
    }
}

/// Sets security headers on every response, stricter on images and data than on pages.
pub struct Headers;

#[rocket::async_trait]
impl Fairing for Headers {
    fn info(&self) -> Info {
        Info { name: "security headers", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let policy = match response.content_type() {
            Some(kind) if kind.is_html() => PAGE_POLICY,
            Some(kind) if kind.is_javascript() => SCRIPT_POLICY,
            _ => OTHER_POLICY,
        };
        response.set_header(Header::new("Content-Security-Policy", policy));
        response.set_header(Header::new("X-Content-Type-Options", "nosniff"));
        // With `no-referrer` a browser would send the page's own form with `Origin: null`.
        response.set_header(Header::new("Referrer-Policy", "same-origin"));
        // A stopping server closes the connection without reading another request.
        if guards::gateway(request).is_some_and(|gateway| gateway.tasks().stopping()) {
            response.set_header(Header::new("Connection", "close"));
        }
    }
}

/// Sets how many bytes of a body Rocket copies and writes at a time. With Rocket's default of 4 KiB, an image of 300 kB
/// takes 75 writes. `sized_body` resets the setting, so this fairing sets it after every responder, including Rocket's
/// own (`Json`, `String`).
pub struct ChunkSize;

/// Maximum bytes that are copied at a time. A client that does not read a large response occupies 0.8 MB of memory.
/// With 512 KiB, such a client would occupy 1.5 MB, and sending a result of 300 kB would not be faster.
const CHUNK_BYTES: usize = 128 << 10;

#[rocket::async_trait]
impl Fairing for ChunkSize {
    fn info(&self) -> Info {
        Info { name: "chunk size", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, _: &'r Request<'_>, response: &mut Response<'r>) {
        if let Some(length) = response.body().preset_size() {
            // With one byte more than the body, Rocket finds the body's end without a second buffer.
            #[expect(clippy::disallowed_methods, reason = "set here only, after the body")]
            response.set_max_chunk_size(length.saturating_add(1).min(CHUNK_BYTES));
        }
    }
}

/// Sets `Cache-Status` (RFC 9211) on each response of a cached route that does not have this header yet. Most such
/// responses reject a request before the cache lookup.
pub struct CacheStatus;

/// The routes that use the cache.
const CACHED: [&str; 3] = ["/v1/colorize", "/image", "/v1/results/"];

#[rocket::async_trait]
impl Fairing for CacheStatus {
    fn info(&self) -> Info {
        Info { name: "cache status", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let path = request.uri().path();
        let cached =
            CACHED.iter().any(|known| path == *known || (known.ends_with('/') && path.starts_with(known)));
        let page = path == "/" && request.method() == Method::Post;
        if (cached || page) && !response.headers().contains("Cache-Status") {
            response.set_raw_header("Cache-Status", "PixColor; detail=not-asked");
        }
    }
}

/// The `method` label of metrics: one of three values, whatever a client sends.
const fn folded(method: Method) -> &'static str {
    match method {
        Method::Get | Method::Head => "GET",
        Method::Post => "POST",
        _ => "other",
    }
}

/// The result of the cache lookup as one word for the log.
fn outcome(cache_status: &str) -> &'static str {
    match cache_status {
        hit if hit.contains("; hit") => "hit",
        shared if shared.contains("; collapsed") => "shared",
        made if made.contains("; fwd=") => "miss",
        refused if refused.contains("not-asked") => "refused",
        _ => "passed",
    }
}

/// Counts, times and logs requests, and sets the request ID on each response. It logs route patterns instead of paths
/// and queries, and networks instead of client addresses.
pub struct Log;

/// The method that the client sent.
struct Sent(Method);

impl Sent {
    fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        request.local_cache(|| Self(request.method()))
    }
}

/// Whether the client sent `HEAD`. Rocket then calls the handler of `GET`.
pub fn is_head(request: &Request<'_>) -> bool {
    Sent::of(request).0 == Method::Head
}

#[rocket::async_trait]
impl Fairing for Log {
    fn info(&self) -> Info {
        Info { name: "request log and metrics", kind: Kind::Request | Kind::Response }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        Sent::of(request);
        RequestIdentity::of(request);
        if let Some(gateway) = guards::gateway(request) {
            gateway.metrics().request_began();
        }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let identity = RequestIdentity::of(request);
        let took = identity.received.elapsed();
        let route = request.route().map_or("none", |route| route.uri.path());
        let (method, status) = (request.method(), response.status().code);
        if let Some(gateway) = guards::gateway(request) {
            gateway.metrics().request_ended(folded(method), status, took);
        }
        let milliseconds = (took.as_secs_f64() * 1e4).round() / 10.0;
        let config = guards::snapshot(request).map(|snapshot| snapshot.config.log);
        let client = config.zip(guards::origin(request)).map(|(log, origin)| log.network(origin.address));
        let key = guards::key_name(request).await;
        let header = |name| response.headers().get_one(name);
        let outcome = header("Cache-Status").map(outcome);
        let (provider, credits) = (header("X-PixColor-Provider"), header("X-PixColor-Credits"));
        let warning = header("X-PixColor-Warning");
        identity.span.in_scope(|| {
            tracing::info!(
                %method, route, status, milliseconds, client = client.map(tracing::field::display), key, outcome,
                provider, credits, warning, "{method} {route} {status} in {milliseconds:.1} ms"
            );
        });
        response.set_header(Header::new(REQUEST_ID, identity.id.clone()));
    }
}
