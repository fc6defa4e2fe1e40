//! The host of an Algorithmia provider: its address, its API key and its connections.

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::config::{AlgorithmiaConfig, Common, Secret};
use crate::provider::outgoing::{self, AddressPolicy};
use crate::provider::remote::TRANSFER;
use crate::provider::{FailureKind, HttpClient, HttpTimeouts, ProviderError};

pub struct AlgorithmiaHost {
    pub http: HttpClient,
    /// The API key, which is masked in the host's messages.
    pub key: SecretString,
    pub authorization: HeaderValue,
    pub base: Url,
}

impl AlgorithmiaHost {
    /// The error is a message for the operator.
    pub fn new(common: &Common, config: &AlgorithmiaConfig) -> Result<Self, String> {
        let base = config.base_url.clone().ok_or("it has no address: set `base_url`, or ALGORITHMIA_API")?;
        let missing = |secret: &Secret| format!("it has no key: {}", secret.why_unset().unwrap_or_default());
        let written = config.api_key.expose().ok_or_else(|| missing(&config.api_key))?.expose_secret();
        // The key of an on-premises installation may include the authorization scheme.
        let (scheme, key) = match written.split_once(' ') {
            Some((scheme @ ("Simple" | "Bearer"), key)) => (scheme, key),
            _ => ("Simple", written),
        };
        let header = format!("{scheme} {key}");
        let mut authorization = HeaderValue::from_bytes(header.as_bytes())
            .map_err(|_| "its key cannot be sent: it contains characters that are not allowed in a header")?;
        authorization.set_sensitive(true);
        let remote = &config.remote;
        let reach = reach(config);
        outgoing::literal(&base, reach).map_err(|why| format!("its `base_url` is not allowed: {why}"))?;
        let first_byte = remote.first_byte_timeout.unwrap_or(common.timeout + TRANSFER);
        let http = HttpClient::new(HttpTimeouts { connect: remote.connect_timeout, first_byte }, reach)?;
        Ok(Self { http, base, key: SecretString::from(key), authorization })
    }
}

/// The IP addresses that are allowed for the host.
pub fn reach(config: &AlgorithmiaConfig) -> AddressPolicy {
    if config.allow_private { AddressPolicy::Anywhere } else { AddressPolicy::Public }
}

/// The URL of a path below `base`, with each segment percent-encoded.
pub fn url<'s>(base: &Url, segments: impl IntoIterator<Item = &'s str>) -> Result<Url, ProviderError> {
    let mut url = base.clone();
    let made = url.path_segments_mut().map(|mut path| {
        path.pop_if_empty().extend(segments);
    });
    made.map(|()| url)
        .map_err(|()| ProviderError::new(FailureKind::NotReady, "no path can be added to its `base_url`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_address_and_names_are_encoded() {
        for (base, expected) in [
            ("http://h:9000", "http://h:9000/v1/connector/data/.my/a%20%C3%A4%3F%23/x%252f.png"),
            ("http://h:9000/", "http://h:9000/v1/connector/data/.my/a%20%C3%A4%3F%23/x%252f.png"),
            ("https://h/sub", "https://h/sub/v1/connector/data/.my/a%20%C3%A4%3F%23/x%252f.png"),
        ] {
            let url =
                url(&Url::parse(base).unwrap(), ["v1", "connector", "data", ".my", "a ä?#", "x%2f.png"])
                    .unwrap();
            assert_eq!(url.as_str(), expected);
        }
    }
}
