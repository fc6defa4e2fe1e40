//! The HTTP client for all outgoing requests: to providers, other gateways and object stores.
//!
//! A response has a size limit, which counts bytes after decompression, and a deadline. Redirects are followed only
//! within the same host, so that pictures and API keys reach no other host. Proxies from the environment are ignored.
//! Certificates are checked against Mozilla's root certificates, which are compiled in, and those of the system (or of
//! `SSL_CERT_FILE`). So the client works on machines without root certificates and with a company's own certificate
//! authority.
//!
//! Error messages contain no URL, header or body, because these may contain an API key.

use std::error::Error;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode, Url};
use rustls::{ClientConfig, RootCertStore};

use super::context::next_hop;
use super::outgoing::{AddressPolicy, ForbiddenAddress, Names, System};
use super::{FailureKind, ProviderError};

const MAX_REDIRECTS: usize = 3;

/// A longer `Retry-After` is shortened to this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// How long an idle connection may be reused. It is shorter than the usual keep-alive time of servers, so that no
/// request is sent on a connection that the server is closing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes that are allocated for a body before it arrives, whatever its `Content-Length`.
const MAX_PREALLOCATED: u64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpTimeouts {
    /// Time limit of DNS lookup, connection and TLS handshake together.
    pub connect: Duration,
    /// Time limit from the start of a request to the head of its response.
    pub first_byte: Duration,
}

/// Clones are cheap and share their connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client,
    first_byte: Duration,
}

/// A complete response.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The decompressed body.
    pub body: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Nothing was sent.
    #[error("no connection: {0}")]
    NoConnection(String),
    #[error("no answer within {:.1} s", .0.as_secs_f64())]
    NoFirstByte(Duration),
    #[error("the response was not complete in time")]
    Late,
    /// The connection broke, or the response was not HTTP.
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("its answer is larger than {0} bytes")]
    TooLarge(u64),
    #[error("it redirects more than {MAX_REDIRECTS} times")]
    TooManyRedirects,
    #[error("it redirects to another host; the redirect is not followed")]
    Redirected,
    /// The host's name resolves to a forbidden address.
    #[error("no request was sent: {0}")]
    Forbidden(ForbiddenAddress),
}

impl HttpError {
    /// Whether the host may have received the request.
    pub fn sent(&self) -> bool {
        !matches!(self, Self::NoConnection(_) | Self::Forbidden(_))
    }

    /// The error of the call. The caller sets whether the call was billed.
    pub fn failure(&self) -> ProviderError {
        let kind = match self {
            Self::NoConnection(_) | Self::Broken(_) => FailureKind::Unreachable,
            Self::NoFirstByte(_) | Self::Late => FailureKind::Timeout,
            Self::TooLarge(_) | Self::TooManyRedirects | Self::Redirected | Self::Forbidden(_) => {
                FailureKind::BadAnswer
            }
        };
        ProviderError::new(kind, self.to_string())
    }
}

impl Reply {
    /// `Retry-After` (RFC 9110): seconds, or a date. At most a day.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let seconds = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let wait = match seconds {
            // The number may be too large for the type.
            true => Duration::from_secs(text.parse().unwrap_or(u64::MAX)),
            false => {
                let date = httpdate::parse_http_date(text).ok()?;
                date.duration_since(SystemTime::now()).unwrap_or_default()
            }
        };
        Some(wait.min(MAX_RETRY_AFTER))
    }

    /// The target of a redirect.
    pub fn location(&self) -> Option<&HeaderValue> {
        self.headers.get(LOCATION).filter(|_| self.status.is_redirection())
    }
}

impl HttpClient {
    /// A client with its own connections that follows redirects within a host and connects only to addresses within
    /// `reach`. The first call reads the system's certificates, so it must not run on an async thread. The error is a
    /// message for the operator.
    pub fn new(times: HttpTimeouts, reach: AddressPolicy) -> Result<Self, String> {
        let mut builder = with_cdn_loop(base_builder(times.connect)?)?;
        if reach != AddressPolicy::Anywhere {
            builder = builder.dns_resolver(Arc::new(Names::new(Arc::new(System), reach)));
        }
        Ok(Self { client: build(builder)?, first_byte: times.first_byte })
    }

    /// A client that returns redirects instead of following them and resolves hosts with `names`.
    pub(super) fn without_redirects(times: HttpTimeouts, names: Names) -> Result<Self, String> {
        let builder = with_cdn_loop(base_builder(times.connect)?)?
            .redirect(Policy::none())
            .dns_resolver(Arc::new(names));
        Ok(Self { client: build(builder)?, first_byte: times.first_byte })
    }

    /// A `reqwest` client for a library that sets its own limits. It does not decompress bodies.
    pub fn bare(connect: Duration) -> Result<Client, String> {
        build(base_builder(connect)?.no_gzip())
    }

    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    pub fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    pub fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// Sends a request and reads the response, at most `max_bytes`, until the deadline. A redirect that was not
    /// followed is an error.
    pub async fn send(
        &self,
        request: RequestBuilder,
        max_bytes: u64,
        deadline: Instant,
    ) -> Result<Reply, HttpError> {
        let reply = self.send_once(request, max_bytes, deadline).await?;
        if reply.location().is_some() { Err(HttpError::Redirected) } else { Ok(reply) }
    }

    /// Like `send`, but returns a redirect that was not followed.
    pub async fn send_once(
        &self,
        request: RequestBuilder,
        max_bytes: u64,
        deadline: Instant,
    ) -> Result<Reply, HttpError> {
        let request = match next_hop() {
            Some(hop) => request.header("traceparent", hop.to_string()),
            None => request,
        };
        let exchange = async {
            let response = tokio::time::timeout(self.first_byte, request.send())
                .await
                .map_err(|_| HttpError::NoFirstByte(self.first_byte))?
                .map_err(|error| classify(&error))?;
            read(response, max_bytes).await
        };
        tokio::time::timeout_at(deadline.into(), exchange).await.unwrap_or(Err(HttpError::Late))
    }
}

/// The header that lists the gateways that forwarded a request (RFC 8586). With it, a gateway that is configured to
/// call itself, even through proxies, detects the loop.
pub const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// The name of this process in `CDN-Loop`. Each process has its own, because one gateway may call another.
pub fn cdn_loop_name() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| format!("pixcolor-{}", uuid::Uuid::new_v4().simple()));
    &NAME
}

fn base_builder(connect: Duration) -> Result<ClientBuilder, String> {
    static TLS: LazyLock<Result<ClientConfig, String>> = LazyLock::new(tls);
    Ok(Client::builder()
        .tls_backend_preconfigured(TLS.clone()?)
        .user_agent(concat!("PixColor/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .redirect(Policy::custom(same_host))
        .referer(false)
        .no_proxy())
}

/// Adds the `CDN-Loop` header to every request.
fn with_cdn_loop(builder: ClientBuilder) -> Result<ClientBuilder, String> {
    let name = HeaderValue::from_str(cdn_loop_name()).map_err(|error| error.to_string())?;
    Ok(builder.default_headers(HeaderMap::from_iter([(CDN_LOOP, name)])))
}

fn build(builder: ClientBuilder) -> Result<Client, String> {
    builder.build().map_err(|error| format!("the HTTP client cannot be set up: {}", cause(&error)))
}

async fn read(mut response: Response, max_bytes: u64) -> Result<Reply, HttpError> {
    let (status, headers) = (response.status(), response.headers().clone());
    if status.is_redirection() && headers.contains_key(LOCATION) {
        // The body of a redirect is not used.
        return Ok(Reply { status, headers, body: Bytes::new() });
    }
    let promised = response.content_length().unwrap_or(0);
    if promised > max_bytes {
        return Err(HttpError::TooLarge(max_bytes));
    }
    // A host can send any `Content-Length`, so memory beyond `MAX_PREALLOCATED` is allocated only as bytes arrive.
    let mut body = BytesMut::with_capacity(usize::try_from(promised.min(MAX_PREALLOCATED)).unwrap_or(0));
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error))? {
        if (body.len() + chunk.len()) as u64 > max_bytes {
            return Err(HttpError::TooLarge(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, headers, body: body.freeze() })
}

/// Follows a redirect within the same scheme, host and port; any other redirect is returned.
fn same_host(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let from = attempt.previous();
    let same = from.last().is_some_and(|from| from.origin() == attempt.url().origin());
    match same {
        true if from.len() <= MAX_REDIRECTS => attempt.follow(),
        true => attempt.error(HttpError::TooManyRedirects),
        false => attempt.stop(),
    }
}

fn classify(error: &reqwest::Error) -> HttpError {
    if let Some(forbidden) = innermost(error).downcast_ref::<ForbiddenAddress>() {
        return HttpError::Forbidden(forbidden.clone());
    }
    if let Some(own) = innermost(error).downcast_ref::<HttpError>() {
        return own.clone();
    }
    match error.is_connect() {
        true if error.is_timeout() => HttpError::NoConnection("the host did not answer in time".to_owned()),
        true => HttpError::NoConnection(cause(error)),
        false => HttpError::Broken(cause(error)),
    }
}

/// The message of the innermost error. The outer ones repeat the URL.
fn cause(error: &reqwest::Error) -> String {
    let innermost = innermost(error);
    match innermost.downcast_ref::<reqwest::Error>() {
        Some(_) => "unknown reason".to_owned(),
        None => innermost.to_string(),
    }
}

fn innermost(error: &reqwest::Error) -> &(dyn Error + 'static) {
    let mut innermost: &(dyn Error + 'static) = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost
}

fn tls() -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let system = rustls_native_certs::load_native_certs();
    for error in system.errors {
        tracing::debug!("some of the system's certificates cannot be read: {error}");
    }
    roots.add_parsable_certificates(system.certs);
    // The crypto provider is passed explicitly instead of installed for the process, so start-up order does not matter.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let with = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            Reply { status: StatusCode::TOO_MANY_REQUESTS, headers, body: Bytes::new() }.retry_after()
        };
        assert_eq!(with("7"), Some(Duration::from_secs(7)));
        assert_eq!(with("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        assert!((90..=100).contains(&with(&soon).unwrap().as_secs()));
        assert_eq!(with("-1"), None);
        for long in ["86401", "18446744073709551615", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"]
        {
            assert_eq!(with(long), Some(MAX_RETRY_AFTER), "{long}");
        }
        assert_eq!(with("soon"), None);
    }
}
