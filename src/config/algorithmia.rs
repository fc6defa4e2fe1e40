//! The kind `algorithmia`: a host that speaks Algorithmia's protocol.
//!
//! The usual variables of Algorithmia's clients work here too: `ALGORITHMIA_API_KEY` and, as in the original app,
//! `API_KEY` supply the key; `ALGORITHMIA_API` supplies the address. The public service closed in 2021. Variables
//! cannot send photos to its domain, because its present owner would receive the photos and the key: that address
//! counts only if the operator writes it in a file.

use serde_json::Value as Json;
use url::Url;

use super::address::{HOST, address};
use super::problem::ValueOrigin;
use super::reference::Words;
use super::remote::RemoteConfig;
use super::secret::Secret;
use super::table::{ExpectedText, Table};
use crate::credit::amount::{Rate, Round};
use crate::credit::price::{JsonPointer, PriceTerm, PricedUnit, QuantityBound};
use crate::credit::{Credits, Currency, Price, Worth};

/// Supplies the address, as in Algorithmia's clients.
const ADDRESS_VARIABLE: &str = "ALGORITHMIA_API";
/// Supply the key: the name in Algorithmia's clients, then the name in the original app.
const KEY_VARIABLES: [&str; 2] = ["ALGORITHMIA_API_KEY", "API_KEY"];
const KEY: &str = "api_key";
/// The domain of the closed public service.
const PUBLIC: &str = "algorithmia.com";

const WORDS: Words = &[
    (
        "base_url",
        "URL of the host, without `/v1`. Default: the variable `ALGORITHMIA_API`; without either nothing is sent.",
    ),
    ("api_key", "API key. Default: the variable `ALGORITHMIA_API_KEY` or `API_KEY` (the original app's)."),
    ("allow_private", "Whether the host may have a private address."),
    ("algorithm", "The algorithm to call. A version prevents changes of colour when a new version appears."),
];

#[derive(Clone, Debug)]
pub struct AlgorithmiaConfig {
    /// The host, without `/v1`. Without an address the provider is not ready.
    pub base_url: Option<Url>,
    /// Without a value the provider is not ready.
    pub api_key: Secret,
    /// Whether the host may have a private address. The gateway never fetches addresses from its replies.
    pub allow_private: bool,
    pub algorithm: Algorithm,
    pub remote: RemoteConfig,
}

/// An algorithm: `OWNER/NAME` or `OWNER/NAME/VERSION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Algorithm {
    pub owner: String,
    pub name: String,
    /// None is the latest version.
    pub version: Option<String>,
}

impl AlgorithmiaConfig {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        table.describe(WORDS);
        let api_key = table.secret_or_variables("api_key", &KEY_VARIABLES);
        Self {
            base_url: if table.has("base_url") { written(table) } else { from_variable(table) },
            api_key,
            allow_private: table.flag("allow_private", true),
            algorithm: table.text("algorithm", Algorithm::default(), Algorithm::parse),
            remote: RemoteConfig::read(table),
        }
    }
}

/// The price of the public service: one credit per started second of work, at least one credit per call; 10,000
/// credits for 1 USD. An algorithm's royalty is configured as one more term per call.
pub(super) fn price() -> Price {
    let duration = JsonPointer::parse("/metadata/duration").map(|pointer| PriceTerm {
        per: PricedUnit::Number { pointer, most: QuantityBound::Timeout },
        rate: Rate::ONE,
        round: Round::Up,
        minimum: Credits::from_micro(1_000_000),
    });
    let worth = Rate::parse("0.0001").ok().zip(Currency::parse("USD"));
    Price {
        terms: duration.into_iter().collect(),
        minimum: Credits::from_micro(1_000_000),
        worth: worth.map(|(one, currency)| Worth { one, currency }),
    }
}

/// Reads the address from the configuration.
fn written(table: &mut Table<'_>) -> Option<Url> {
    let (value, origin) = table.take("base_url", Json::Null, false, || HOST.to_owned())?;
    let text = value.as_str().unwrap_or_default();
    match address(text, KEY) {
        Ok(url) if is_public(&url) && !matches!(origin, ValueOrigin::File { built_in: false, .. }) => {
            dead(table, &origin.to_string());
            None
        }
        Ok(url) => {
            table.note_entry("base_url", Json::from(url.as_str()), false, origin);
            Some(url)
        }
        Err(wrong) => {
            // The message does not quote the value, because it may contain a password.
            let key = super::problem::dotted(&table.at(&["base_url"]));
            table.note_problem(origin, format!("`{key}` {wrong}"));
            None
        }
    }
}

/// Reads the address from the variable of Algorithmia's clients.
fn from_variable(table: &mut Table<'_>) -> Option<Url> {
    table.miss("base_url");
    let text = table.reader.source.var(ADDRESS_VARIABLE);
    let url = match text.map(|text| address(text, KEY)) {
        Some(Ok(url)) if is_public(&url) => {
            dead(table, &format!("environment variable {ADDRESS_VARIABLE}"));
            None
        }
        Some(Ok(url)) => Some(url),
        Some(Err(wrong)) => {
            table.warning(format!("environment variable {ADDRESS_VARIABLE} is ignored: it {wrong}"));
            None
        }
        None => None,
    };
    let (shown, origin) = match &url {
        Some(url) => (Json::from(url.as_str()), ValueOrigin::Env(ADDRESS_VARIABLE.to_owned())),
        None => (Json::Null, ValueOrigin::Default),
    };
    table.note_entry("base_url", shown, false, origin);
    url
}

fn dead(table: &mut Table<'_>, whose: &str) {
    table.warning(format!(
        "{whose} names {PUBLIC}, which is ignored: that service closed in 2021, and nothing is sent there unless a file in providers/ names it"
    ));
    let origin = ValueOrigin::Default;
    table.note_entry("base_url", Json::Null, false, origin);
}

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
    pub(super) fn parse(text: &str) -> Result<Self, ExpectedText> {
        let path = text.strip_prefix("algo://").or_else(|| text.strip_prefix('/')).unwrap_or(text);
        let parts: Vec<&str> = path.split('/').collect();
        let plain = |part: &&str| {
            !matches!(*part, "" | "." | "..")
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        };
        match parts.as_slice() {
            [owner, name, version @ ..] if version.len() <= 1 && parts.iter().all(plain) => Ok(Self {
                owner: (*owner).to_owned(),
                name: (*name).to_owned(),
                version: version.first().map(|version| (*version).to_owned()),
            }),
            _ => Err("an algorithm, such as \"OWNER/NAME\" or \"OWNER/NAME/1.1.5\"".to_owned()),
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
            assert!(Algorithm::parse(bad).is_err(), "{bad}");
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
