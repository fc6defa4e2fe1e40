//! Fetching from addresses that a host's reply names. Whoever controls the reply would otherwise choose
//! what this machine asks inside its own network (server-side request forgery).
//!
//! An address is fetched if its host is the provider's own or one that the operator has listed, if it is no
//! special address (`address`), by itself or by name (`names`), and if a secure host does not lead to an
//! insecure one. Each of at most three redirects is checked again. Bytes and time are capped.

mod address;
mod inputs;
mod names;

use std::time::Instant;

use reqwest::Method;
use reqwest::header::HeaderMap;
use url::Url;

pub use address::{Forbidden, Reach, literal};
pub use inputs::{InputError, Inputs};
pub use names::{Names, System};

use super::words::quote;
use super::{FailureKind, HttpClient, HttpError, ProviderError, Reply};
use crate::config::HostPattern;

/// Most redirects that are followed.
const MOST_REDIRECTS: usize = 3;

/// Longest address that is read.
const LONGEST: usize = 8192;

/// Which addresses may be fetched for one provider.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The provider's own host.
    pub own: Url,
    /// Others.
    pub hosts: Vec<HostPattern>,
    /// Which addresses they may have.
    pub reach: Reach,
}

/// Why an address is not fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not an address at all.
    #[error("is no address")]
    NoAddress,
    /// It is not one of the web.
    #[error("is not an http or https address")]
    Scheme,
    /// It holds a name or a password.
    #[error("holds a name or a password")]
    Password,
    /// It is in the clear, and the provider's own is not.
    #[error("is not secure, and the provider's own address is")]
    Insecure,
    /// Its host is not listed.
    #[error("is at {0}, which is neither its own host nor among its `reply.hosts`")]
    NotListed(String),
    /// Its host is none from which pictures of clients are fetched.
    #[error("is at {0}, which is not among the hosts that pictures are fetched from")]
    NotServed(String),
    /// Only the provider's own host is allowed.
    #[error("is at {0} and not at its own host, where alone its key may be sent")]
    NotOwn(String),
    /// Its host is a special address.
    #[error("is not asked: {0}")]
    Forbidden(Forbidden),
}

/// Why nothing was fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The address is refused.
    #[error("its address {0}")]
    Refused(Refusal),
    /// A redirect leads to an address that is refused.
    #[error("it redirects to an address that {0}")]
    Redirected(Refusal),
    /// It redirects again and again.
    #[error("it redirects more than {MOST_REDIRECTS} times")]
    TooMany,
    /// It could not be fetched.
    #[error("{0}")]
    Http(HttpError),
}

impl FetchError {
    /// What it means for a call.
    pub fn failure(&self) -> ProviderError {
        match self {
            Self::Http(error) => error.failure(),
            _ => ProviderError::new(FailureKind::BadAnswer, self.to_string()),
        }
    }
}

impl Rules {
    /// An address as a reply writes it, in full or relative to the provider's own.
    pub fn read(&self, text: &str) -> Result<Url, Refusal> {
        if text.len() > LONGEST {
            return Err(Refusal::NoAddress);
        }
        let url = self.own.join(text.trim()).map_err(|_| Refusal::NoAddress)?;
        self.admit(&url).map(|()| url)
    }

    /// The same, at the provider's own host.
    pub fn read_own(&self, text: &str) -> Result<Url, Refusal> {
        let url = self.read(text)?;
        if self.is_own(&url) { Ok(url) } else { Err(Refusal::NotOwn(host(&url))) }
    }

    /// Whether it is the provider's own host: scheme, name and port.
    pub fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.own.origin()
    }

    /// Whether an address may be fetched, as far as that can be told without looking up a name.
    pub fn admit(&self, url: &Url) -> Result<(), Refusal> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refusal::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Password);
        }
        if !self.is_own(url) && !self.hosts.iter().any(|pattern| pattern.matches(url)) {
            return Err(Refusal::NotListed(host(url)));
        }
        if url.scheme() == "http" && self.own.scheme() == "https" {
            return Err(Refusal::Insecure);
        }
        literal(url, self.reach).map_err(Refusal::Forbidden)
    }

    /// Fetches an admitted address, at most `most` bytes, until the deadline. `headers` go to the
    /// provider's own host only. `http` follows no redirects by itself.
    pub async fn fetch(
        &self,
        http: &HttpClient,
        address: &Url,
        headers: &HeaderMap,
        most: u64,
        deadline: Instant,
    ) -> Result<Reply, FetchError> {
        let headers = |url: &Url| if self.is_own(url) { headers.clone() } else { HeaderMap::new() };
        follow(http, address, headers, |url| self.admit(url), most, deadline).await
    }
}

/// Fetches an address and follows at most three redirects; `admit` says of each whether it may be asked, and
/// `headers` what it is sent.
async fn follow(
    http: &HttpClient,
    address: &Url,
    headers: impl Fn(&Url) -> HeaderMap,
    admit: impl Fn(&Url) -> Result<(), Refusal>,
    most: u64,
    deadline: Instant,
) -> Result<Reply, FetchError> {
    admit(address).map_err(FetchError::Refused)?;
    let mut url = address.clone();
    for _ in 0..=MOST_REDIRECTS {
        let request = http.request(Method::GET, url.clone()).headers(headers(&url));
        let reply = http.send_once(request, most, deadline).await.map_err(FetchError::Http)?;
        let Some(location) = reply.location() else { return Ok(reply) };
        let refused = FetchError::Redirected;
        let location = location.to_str().map_err(|_| refused(Refusal::NoAddress))?;
        url = url.join(location).map_err(|_| refused(Refusal::NoAddress))?;
        admit(&url).map_err(refused)?;
    }
    Err(FetchError::TooMany)
}

/// A host in words.
fn host(url: &Url) -> String {
    quote(url.host_str().unwrap_or("no host"), "")
}

#[cfg(test)]
mod tests;
