//! Fetches from addresses that come from a provider's reply or a client, with protection against server-side request
//! forgery: without checks, the author of the address could make this machine send requests into its own network.
//!
//! An address is fetched only if its host is the provider's own or listed by the operator, and if neither the address
//! nor the host's name leads to a special IP address (`address`, `names`). An address in a reply must also be HTTPS,
//! unless the provider's own address is plain HTTP. At most three redirects are followed, each with the same checks.
//! The size of the response and the time for the whole fetch are limited.

mod address;
mod inputs;
mod names;

use std::time::Instant;

use reqwest::Method;
use reqwest::header::HeaderMap;
use url::Url;

pub use address::{AddressPolicy, ForbiddenAddress, literal};
pub use inputs::{InputError, Inputs};
pub use names::{Names, System};

use super::redact::quote;
use super::{FailureKind, HttpClient, HttpError, ProviderError, Reply};
use crate::config::HostPattern;

const MAX_REDIRECTS: usize = 3;

/// The longest accepted address, in bytes.
const MAX_ADDRESS: usize = 8192;

/// The addresses that may be fetched for one provider.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The address of the provider's own host.
    pub own: Url,
    /// Other allowed hosts.
    pub hosts: Vec<HostPattern>,
    /// The IP addresses that hosts may have.
    pub reach: AddressPolicy,
}

/// Why an address is not fetched. The message continues a sentence about the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutgoingError {
    #[error("is invalid or longer than {MAX_ADDRESS} bytes")]
    NoAddress,
    #[error("is not an http or https address")]
    Scheme,
    #[error("contains a user name or a password")]
    Password,
    /// The address is plain HTTP, and the provider's own is HTTPS.
    #[error("is not secure, and the provider's own address is")]
    Insecure,
    #[error("is at {0}, which is neither its own host nor among its `reply.hosts`")]
    NotListed(String),
    /// A client sent the address.
    #[error("is at {0}, which is not among the hosts that pictures are fetched from")]
    NotServed(String),
    /// Requests with the API key go only to the provider's own host.
    #[error("is at {0}, but its key may be sent only to its own host")]
    NotOwn(String),
    #[error("is not allowed: {0}")]
    Forbidden(ForbiddenAddress),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error("its address {0}")]
    Refused(OutgoingError),
    #[error("it redirects to an address that {0}")]
    Redirected(OutgoingError),
    #[error("it redirects more than {MAX_REDIRECTS} times")]
    TooMany,
    #[error("{0}")]
    Http(HttpError),
}

impl FetchError {
    /// The error of the call.
    pub fn failure(&self) -> ProviderError {
        match self {
            Self::Http(error) => error.failure(),
            _ => ProviderError::new(FailureKind::BadAnswer, self.to_string()),
        }
    }
}

impl Rules {
    /// Checks an address from a reply. It may be absolute, or relative to the provider's own address.
    pub fn read(&self, text: &str) -> Result<Url, OutgoingError> {
        if text.len() > MAX_ADDRESS {
            return Err(OutgoingError::NoAddress);
        }
        let url = self.own.join(text.trim()).map_err(|_| OutgoingError::NoAddress)?;
        self.admit(&url).map(|()| url)
    }

    /// Like `read`, but accepts only the provider's own host.
    pub fn read_own(&self, text: &str) -> Result<Url, OutgoingError> {
        let url = self.read(text)?;
        if self.is_own(&url) { Ok(url) } else { Err(OutgoingError::NotOwn(host(&url))) }
    }

    /// Whether scheme, host and port are the provider's own.
    pub fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.own.origin()
    }

    /// Checks an address, without a DNS lookup.
    pub fn admit(&self, url: &Url) -> Result<(), OutgoingError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OutgoingError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutgoingError::Password);
        }
        if !self.is_own(url) && !self.hosts.iter().any(|pattern| pattern.matches(url)) {
            return Err(OutgoingError::NotListed(host(url)));
        }
        if url.scheme() == "http" && self.own.scheme() == "https" {
            return Err(OutgoingError::Insecure);
        }
        literal(url, self.reach).map_err(OutgoingError::Forbidden)
    }

    /// Fetches at most `max_bytes` until the deadline. `headers` are sent only to the provider's own host. `http` must
    /// not follow redirects by itself.
    pub async fn fetch(
        &self,
        http: &HttpClient,
        address: &Url,
        headers: &HeaderMap,
        max_bytes: u64,
        deadline: Instant,
    ) -> Result<Reply, FetchError> {
        let headers = |url: &Url| if self.is_own(url) { headers.clone() } else { HeaderMap::new() };
        follow(http, address, headers, |url| self.admit(url), max_bytes, deadline).await
    }
}

/// Fetches an address and follows at most three redirects. `admit` checks each address; `headers` returns the headers
/// for each.
async fn follow(
    http: &HttpClient,
    address: &Url,
    headers: impl Fn(&Url) -> HeaderMap,
    admit: impl Fn(&Url) -> Result<(), OutgoingError>,
    max_bytes: u64,
    deadline: Instant,
) -> Result<Reply, FetchError> {
    admit(address).map_err(FetchError::Refused)?;
    let mut url = address.clone();
    for _ in 0..=MAX_REDIRECTS {
        let request = http.request(Method::GET, url.clone()).headers(headers(&url));
        let reply = http.send_once(request, max_bytes, deadline).await.map_err(FetchError::Http)?;
        let Some(location) = reply.location() else { return Ok(reply) };
        let refused = FetchError::Redirected;
        let location = location.to_str().map_err(|_| refused(OutgoingError::NoAddress))?;
        url = url.join(location).map_err(|_| refused(OutgoingError::NoAddress))?;
        admit(&url).map_err(refused)?;
    }
    Err(FetchError::TooMany)
}

/// The host of an address, as one short line for messages.
fn host(url: &Url) -> String {
    quote(url.host_str().unwrap_or("no host"), "")
}

#[cfg(test)]
mod tests;
