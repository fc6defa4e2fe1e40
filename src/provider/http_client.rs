//! The one way out of this machine: every HTTP request to a provider, to another gateway or to a store is
//! made here.
//!
//! An answer is read at most up to a cap, counted after decompression, and within its time. Redirects are
//! followed on the same host only, so that pictures and keys go nowhere else. Proxies named in the
//! environment are not used: a picture takes the way the configuration says. Certificates are checked
//! against Mozilla's roots, which are compiled in, and against the system's (`SSL_CERT_FILE` names
//! others), so that it works on a machine without any and with a company's own.
//!
//! Errors are in words of ours: they never hold a URL, a header or a body, in which a key could stand.

use std::error::Error;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode, Url};
use rustls::{ClientConfig, RootCertStore};

use super::context::next_hop;
use super::outgoing::{Forbidden, Names, Reach, System};
use super::{FailureKind, ProviderError};

/// Most redirects that are followed.
const MOST_REDIRECTS: usize = 3;

/// The longest `Retry-After` that is believed: whoever says more is not asked again by one call anyway.
const LONGEST_RETRY: Duration = Duration::from_secs(86_400);

/// How long a connection is kept for the next request. Shorter than what servers grant, so that no
/// request is sent into a connection that the other side is just closing.
const IDLE: Duration = Duration::from_secs(30);

/// Most bytes that are set aside because a host says that it will send them.
const MOST_TRUSTED: u64 = 1 << 20;

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Name look-up, connection and TLS together.
    pub connect: Duration,
    /// From the start of a request to the head of its answer.
    pub first_byte: Duration,
}

/// Makes requests. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client,
    first_byte: Duration,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status, whatever it is.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, decompressed.
    pub body: Bytes,
}

/// Why there is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// There was no connection, so that nothing was sent.
    #[error("no connection: {0}")]
    NoConnection(String),
    /// The answer did not begin in time.
    #[error("no answer within {:.1} s", .0.as_secs_f64())]
    NoFirstByte(Duration),
    /// The answer was not whole in time.
    #[error("no whole answer in time")]
    Late,
    /// The connection broke, or what came was not HTTP.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The answer is larger than the cap.
    #[error("its answer is larger than {0} bytes")]
    TooLarge(u64),
    /// It redirects again and again.
    #[error("it redirects more than {MOST_REDIRECTS} times")]
    Astray,
    /// The answer is elsewhere, where nothing is sent.
    #[error("it redirects to another host, which is not followed")]
    Redirected,
    /// The host's name leads to an address that nothing is sent to.
    #[error("not asked: {0}")]
    Forbidden(Forbidden),
}

impl HttpError {
    /// Whether the host may have received the request.
    pub fn sent(&self) -> bool {
        !matches!(self, Self::NoConnection(_) | Self::Forbidden(_))
    }

    /// What it means for a call; whether that has cost something is for the protocol to say.
    pub fn failure(&self) -> ProviderError {
        let kind = match self {
            Self::NoConnection(_) | Self::Broken(_) => FailureKind::Unreachable,
            Self::NoFirstByte(_) | Self::Late => FailureKind::Timeout,
            Self::TooLarge(_) | Self::Astray | Self::Redirected | Self::Forbidden(_) => {
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
            // More than fits is long.
            true => Duration::from_secs(text.parse().unwrap_or(u64::MAX)),
            false => {
                let date = httpdate::parse_http_date(text).ok()?;
                date.duration_since(SystemTime::now()).unwrap_or_default()
            }
        };
        Some(wait.min(LONGEST_RETRY))
    }

    /// Where it redirects to, if it does.
    pub fn location(&self) -> Option<&HeaderValue> {
        self.headers.get(LOCATION).filter(|_| self.status.is_redirection())
    }
}

impl HttpClient {
    /// A client with its own connections, that follows redirects within a host; `reach` says which
    /// addresses it connects to. Reads the system's certificates the first time: not for async threads.
    /// An error is in words for the operator.
    pub fn new(times: Times, reach: Reach) -> Result<Self, String> {
        let mut builder = named(builder(times.connect)?)?;
        if reach != Reach::Anywhere {
            builder = builder.dns_resolver(Arc::new(Names::new(Arc::new(System), reach)));
        }
        Ok(Self { client: built(builder)?, first_byte: times.first_byte })
    }

    /// The same, that follows no redirect: each is handed back. It finds hosts by `names`.
    pub(super) fn without_redirects(times: Times, names: Names) -> Result<Self, String> {
        let builder = named(builder(times.connect)?)?.redirect(Policy::none()).dns_resolver(Arc::new(names));
        Ok(Self { client: built(builder)?, first_byte: times.first_byte })
    }

    /// What makes the requests, for a library that speaks a protocol of its own and bounds them itself:
    /// the same way out, and bodies are handed on as they come.
    pub fn bare(connect: Duration) -> Result<Client, String> {
        built(builder(connect)?.no_gzip())
    }

    /// Begins a request.
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Begins a `GET`.
    pub fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    /// Begins a `POST`.
    pub fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// Sends a request and reads its answer, at most `most` bytes of it, until the deadline. A redirect that
    /// was not followed is an error.
    pub async fn send(
        &self,
        request: RequestBuilder,
        most: u64,
        deadline: Instant,
    ) -> Result<Reply, HttpError> {
        let reply = self.send_once(request, most, deadline).await?;
        if reply.location().is_some() { Err(HttpError::Redirected) } else { Ok(reply) }
    }

    /// The same, but a redirect that was not followed is an answer.
    pub async fn send_once(
        &self,
        request: RequestBuilder,
        most: u64,
        deadline: Instant,
    ) -> Result<Reply, HttpError> {
        let request = match next_hop() {
            Some(place) => request.header("traceparent", place.to_string()),
            None => request,
        };
        let exchange = async {
            let response = tokio::time::timeout(self.first_byte, request.send())
                .await
                .map_err(|_| HttpError::NoFirstByte(self.first_byte))?
                .map_err(|error| classify(&error))?;
            read(response, most).await
        };
        tokio::time::timeout_at(deadline.into(), exchange).await.unwrap_or(Err(HttpError::Late))
    }
}

/// Names whoever has passed a request on (RFC 8586), so that a gateway that is set up to ask itself, through
/// whatever stands in between, notices at once.
pub const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// The name of this process there. Another gateway is not this one: two may well stand in a row.
pub fn own_name() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| format!("pixcolor-{}", uuid::Uuid::new_v4().simple()));
    &NAME
}

fn builder(connect: Duration) -> Result<ClientBuilder, String> {
    static TLS: LazyLock<Result<ClientConfig, String>> = LazyLock::new(tls);
    Ok(Client::builder()
        .tls_backend_preconfigured(TLS.clone()?)
        .user_agent(concat!("PixColor/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect)
        .pool_idle_timeout(IDLE)
        .redirect(Policy::custom(same_host))
        .referer(false)
        .no_proxy())
}

/// Whose requests say who makes them.
fn named(builder: ClientBuilder) -> Result<ClientBuilder, String> {
    let name = HeaderValue::from_str(own_name()).map_err(|error| error.to_string())?;
    Ok(builder.default_headers(HeaderMap::from_iter([(CDN_LOOP, name)])))
}

fn built(builder: ClientBuilder) -> Result<Client, String> {
    builder.build().map_err(|error| format!("the HTTP client cannot be set up: {}", cause(&error)))
}

async fn read(mut response: Response, most: u64) -> Result<Reply, HttpError> {
    let (status, headers) = (response.status(), response.headers().clone());
    if status.is_redirection() && headers.contains_key(LOCATION) {
        // Nobody wants its body.
        return Ok(Reply { status, headers, body: Bytes::new() });
    }
    let promised = response.content_length().unwrap_or(0);
    if promised > most {
        return Err(HttpError::TooLarge(most));
    }
    // A promise costs the host nothing; the memory for it comes with the bytes.
    let mut body = BytesMut::with_capacity(usize::try_from(promised.min(MOST_TRUSTED)).unwrap_or(0));
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error))? {
        if (body.len() + chunk.len()) as u64 > most {
            return Err(HttpError::TooLarge(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, headers, body: body.freeze() })
}

/// Follows a redirect within the same scheme, host and port; anything else is handed back as it is.
fn same_host(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let from = attempt.previous();
    let same = from.last().is_some_and(|from| from.origin() == attempt.url().origin());
    match same {
        true if from.len() <= MOST_REDIRECTS => attempt.follow(),
        true => attempt.error(HttpError::Astray),
        false => attempt.stop(),
    }
}

fn classify(error: &reqwest::Error) -> HttpError {
    if let Some(forbidden) = innermost(error).downcast_ref::<Forbidden>() {
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

/// The innermost reason. The outer ones repeat the URL.
fn cause(error: &reqwest::Error) -> String {
    let innermost = innermost(error);
    match innermost.downcast_ref::<reqwest::Error>() {
        Some(_) => "it could not be said why".to_owned(),
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
    // The provider is named, not installed for the process: nothing here depends on who came first.
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
            assert_eq!(with(long), Some(LONGEST_RETRY), "{long}");
        }
        assert_eq!(with("soon"), None);
    }
}
