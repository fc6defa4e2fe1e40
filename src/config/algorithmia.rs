//! The kind `algorithmia`: a host that speaks Algorithmia's protocol.
//!
//! The usual variables of Algorithmia's clients work here too: `ALGORITHMIA_API_KEY` and, as in the original app,
//! `API_KEY` supply the key; `ALGORITHMIA_API` supplies the address. The public service closed in 2021. An address in
//! its domain is used only if a file of the operator contains it, and not if a variable does, because the domain's
//! present owner would receive the photos and the key.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;
use smart_default::SmartDefault;
use url::Url;

use super::address::{HOST, address};
use super::kinds::{One, Optional, kind};
use super::place::Place;
use super::problem::ValueOrigin;
use super::remote::RemoteConfig;
use super::secret::Secret;
use super::source::ConfigSource;

/// The variable that supplies the address, as in Algorithmia's clients.
pub(super) const ADDRESS_VARIABLE: &str = "ALGORITHMIA_API";
/// The variables that supply the key: the one of Algorithmia's clients, then the one of the original app.
pub(super) const KEY_VARIABLES: [&str; 2] = ["ALGORITHMIA_API_KEY", "API_KEY"];
const KEY: &str = "api_key";
/// The domain of the closed public service.
const PUBLIC: &str = "algorithmia.com";

#[derive(Clone, Debug, Deserialize, JsonSchema, SmartDefault)]
#[serde(default)]
pub struct AlgorithmiaConfig {
    /// URL of the host, without `/v1`. Default: the variable `ALGORITHMIA_API`; without either nothing is sent.
    #[serde(with = "Optional::<AlgorithmiaUrl>")]
    pub base_url: Option<Url>,
    /// API key. Default: the variable `ALGORITHMIA_API_KEY` or `API_KEY` (the original app's).
    // Without a value the provider is not ready.
    #[schemars(extend("default" = null))]
    #[default(Secret::from_env(KEY_VARIABLES[0], None))]
    pub api_key: Secret,
    /// Whether the host may have a private address.
    // The host's replies cannot name another host.
    #[default = true]
    pub allow_private: bool,
    /// The algorithm to call. With a version, the colours do not change when a new version is published.
    #[serde(with = "One::<AlgorithmName>")]
    pub algorithm: Algorithm,
    #[serde(flatten)]
    pub remote: RemoteConfig,
}

kind!(AlgorithmiaUrl: Url, "algorithmia-url", HOST, "", |text| address(text, KEY));
kind!(
    AlgorithmName: Algorithm, "algorithm", "an algorithm, such as \"OWNER/NAME\" or \"OWNER/NAME/1.1.5\"", "",
    |text| Algorithm::parse(text)
);

/// An algorithm: `OWNER/NAME` or `OWNER/NAME/VERSION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Algorithm {
    pub owner: String,
    pub name: String,
    /// `None` means the latest version.
    pub version: Option<String>,
}

impl AlgorithmiaConfig {
    /// Removes the address of the closed public service, unless a file of the operator names it.
    pub(super) fn check(&mut self, place: &Place<'_>) {
        let origin = place.origin(&["base_url"]);
        let own_file = matches!(origin, ValueOrigin::File { built_in: false, .. });
        if self.base_url.as_ref().is_some_and(is_public) && !own_file {
            place.warning(format!(
                "{origin} names {PUBLIC}, which is ignored: that service closed in 2021, and nothing is sent there unless a file in providers/ names it"
            ));
            place.report("base_url", Json::Null, ValueOrigin::Default);
            self.base_url = None;
        }
    }
}

/// The address from the variable of Algorithmia's clients, or the reason why the variable is ignored.
pub(super) fn address_of_clients(source: &ConfigSource) -> Option<Result<&str, String>> {
    let text = source.var(ADDRESS_VARIABLE)?;
    let checked = address(text, KEY).map(|_| text);
    Some(checked.map_err(|wrong| format!("environment variable {ADDRESS_VARIABLE} is ignored: it {wrong}")))
}

/// The price of the public service: one credit per started second of work, at least one credit per call; 10,000
/// credits for 1 USD. An algorithm's royalty is configured as one more term per call.
pub(super) const PRICE: &str = r#"
terms = [{ per = "second", rate = 1, pointer = "/metadata/duration", round = "up", minimum = 1 }]
minimum = 1
worth = 0.0001
currency = "USD"
"#;

fn is_public(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    host == PUBLIC || host.strip_suffix(PUBLIC).is_some_and(|rest| rest.ends_with('.'))
}

impl Default for Algorithm {
    /// The algorithm that the original app called.
    fn default() -> Self {
        Self {
            owner: "deeplearning".to_owned(),
            name: "ColorfulImageColorization".to_owned(),
            version: Some("1.1.5".to_owned()),
        }
    }
}

impl Algorithm {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let path = text.strip_prefix("algo://").or_else(|| text.strip_prefix('/')).unwrap_or(text);
        let parts: Vec<&str> = path.split('/').collect();
        let plain = |part: &&str| {
            !matches!(*part, "" | "." | "..")
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        };
        match parts.as_slice() {
            [owner, name, version @ ..] if version.len() <= 1 && parts.iter().all(plain) => Some(Self {
                owner: (*owner).to_owned(),
                name: (*name).to_owned(),
                version: version.first().map(|version| (*version).to_owned()),
            }),
            _ => None,
        }
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, "/{version}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_is_owner_name_and_optional_version() {
        for text in ["o/n/1.1.5", "/o/n/1.1.5", "algo://o/n/1.1.5"] {
            assert_eq!(Algorithm::parse(text).unwrap().to_string(), "o/n/1.1.5");
        }
        assert_eq!(Algorithm::parse("o/n").unwrap().to_string(), "o/n");
        for bad in ["", "o", "o/", "/n", "o/n/1/2", "o/../n", "o/n?timeout=3", "o/n m", "http://h/o/n", "ö/n"]
        {
            assert!(Algorithm::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn every_name_of_the_public_service_is_recognized() {
        for (text, public) in [
            ("https://api.algorithmia.com", true),
            ("http://ALGORITHMIA.com./", true),
            ("https://api.algorithmia.com:8443/x", true),
            ("https://notalgorithmia.com", false),
            ("https://algorithmia.com.example.org", false),
            ("https://algorithmia.example.com", false),
        ] {
            assert_eq!(is_public(&address(text, KEY).unwrap()), public, "{text}");
        }
    }
}
