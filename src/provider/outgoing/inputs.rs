//! Fetches pictures for clients that send an address instead of a picture. The operator lists the allowed hosts.
//! Special IP addresses are refused; `allow_private` allows the private ones.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

use super::{AddressPolicy, FetchError, MAX_ADDRESS, Names, OutgoingError, System, follow, host, literal};
use crate::config::InputHost;
use crate::provider::{HttpClient, HttpError, HttpTimeouts};

const TIMEOUTS: HttpTimeouts =
    HttpTimeouts { connect: Duration::from_secs(10), first_byte: Duration::from_secs(30) };

#[derive(Clone)]
pub struct Inputs {
    hosts: Vec<InputHost>,
    reach: AddressPolicy,
    http: HttpClient,
}

/// Why a picture was not fetched. The messages reveal nothing about this machine's network; the log has the details.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    #[error("pictures are not fetched from this address: send the picture itself")]
    Refused,
    #[error("the picture at this address cannot be fetched: send the picture itself")]
    Failed,
    #[error("the picture at this address cannot be fetched: its host answers with status {0}")]
    Status(u16),
    #[error("the picture at this address is larger than {0} bytes")]
    TooLarge(u64),
}

impl Inputs {
    /// The first call reads the system's certificates, so it must not run on an async thread.
    pub fn new(hosts: Vec<InputHost>, allow_private: bool) -> Result<Self, String> {
        let reach = if allow_private { AddressPolicy::Private } else { AddressPolicy::Public };
        let http = HttpClient::without_redirects(TIMEOUTS, Names::new(Arc::new(System), reach))?;
        Ok(Self { hosts, reach, http })
    }

    /// Fetches at most `max_bytes` until the deadline.
    pub async fn fetch(&self, address: &str, max_bytes: u64, deadline: Instant) -> Result<Bytes, InputError> {
        let url = Url::parse(address.trim()).ok().filter(|_| address.len() <= MAX_ADDRESS);
        let url = url.ok_or(InputError::Refused)?;
        let nothing = |_: &Url| HeaderMap::new();
        let reply = follow(&self.http, &url, nothing, |url| self.admit(url), max_bytes, deadline).await;
        let reply = reply.map_err(|error| {
            tracing::warn!("a picture was not fetched from the address that a client sent: {error}");
            match error {
                FetchError::Http(HttpError::TooLarge(max_bytes)) => InputError::TooLarge(max_bytes),
                FetchError::Http(HttpError::Forbidden(_)) => InputError::Refused,
                FetchError::Http(_) => InputError::Failed,
                FetchError::Refused(_) | FetchError::Redirected(_) | FetchError::TooMany => {
                    InputError::Refused
                }
            }
        })?;
        match reply.status {
            StatusCode::OK => Ok(reply.body),
            status => Err(InputError::Status(status.as_u16())),
        }
    }

    /// Checks an address, without a DNS lookup.
    fn admit(&self, url: &Url) -> Result<(), OutgoingError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OutgoingError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutgoingError::Password);
        }
        if !self.hosts.iter().any(|pattern| pattern.matches(url)) {
            return Err(OutgoingError::NotServed(host(url)));
        }
        literal(url, self.reach).map_err(OutgoingError::Forbidden)
    }
}

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inputs").field("hosts", &self.hosts).field("reach", &self.reach).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(hosts: &[&str], allow_private: bool) -> Inputs {
        let main = format!("[facades.algorithmia]\nhosts = {hosts:?}\nallow_private = {allow_private}\n");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pixcolor.toml"), main).unwrap();
        let source = crate::config::ConfigSource {
            dir: Some(folder.path().to_owned()),
            ..crate::config::ConfigSource::default()
        };
        let config = crate::config::load(&source).unwrap().config;
        Inputs::new(config.facades.algorithmia.hosts, allow_private).unwrap()
    }

    #[test]
    fn only_listed_hosts_at_public_addresses_are_fetched_from() {
        let any = inputs(&["*"], false);
        let some = inputs(&["*.example.com", "127.0.0.1:8000"], true);
        for (address, of_any, of_some) in [
            ("https://a.example.com/x.png", true, true),
            ("http://a.example.com/x.png", true, true),
            ("https://example.org/x.png", true, false),
            ("http://127.0.0.1:8000/x", false, true),
            ("http://127.0.0.1:9000/x", false, false),
            ("http://2130706433/x", false, false),
            ("http://[::1]/x", false, false),
            ("http://169.254.169.254/latest/meta-data/", false, false),
            ("http://user:pass@a.example.com/", false, false),
            ("file:///etc/passwd", false, false),
            ("ftp://a.example.com/x", false, false),
            ("gopher://a.example.com/x", false, false),
        ] {
            let url = Url::parse(address).unwrap();
            assert_eq!(any.admit(&url).is_ok(), of_any, "{address}");
            assert_eq!(some.admit(&url).is_ok(), of_some, "{address}");
        }
    }
}
