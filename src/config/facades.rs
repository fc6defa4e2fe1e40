//! Settings of the facades: other services' protocols that the gateway speaks, so that their clients work unchanged.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use smart_default::SmartDefault;
use url::Url;

use super::algorithmia::Algorithm;
use super::http::HostPattern;
use super::kinds::{List, Named, One, Size, kind};
use super::place::Place;
use super::provider::provider_hint;

/// Other services' protocols, for their clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FacadesConfig {
    /// Lets existing Algorithmia clients use this gateway.
    pub algorithmia: AlgorithmiaFacade,
}

/// Settings of Algorithmia's protocol.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema, SmartDefault)]
#[serde(default)]
pub struct AlgorithmiaFacade {
    /// What each algorithm OWNER/NAME does. By default `deeplearning/ColorfulImageColorization` is "route" and
    /// `demo/Hello` is "hello".
    #[serde(deserialize_with = "served")]
    #[schemars(with = "Named::<Served>")]
    pub algorithms: BTreeMap<String, Serves>,
    /// Hosts from which images may be fetched by URL; "*" means any. If empty, requests with a URL are rejected.
    #[serde(with = "List::<InputHostName>")]
    pub hosts: Vec<InputHost>,
    /// Whether those hosts may have private addresses.
    pub allow_private: bool,
    /// Whether clients may store files at `data://.my/`.
    pub storage: bool,
    /// Maximum bytes of all clients' files together.
    #[serde(with = "One::<Size>")]
    #[schemars(range(min = 0, max = 1u64 << 50))]
    #[default(1 << 30)]
    pub max_bytes: u64,
    /// Maximum bytes of one client's files.
    #[serde(with = "One::<Size>")]
    #[schemars(range(min = 0, max = 1u64 << 50))]
    #[default(100 << 20)]
    pub client_max_bytes: u64,
    /// Maximum bytes of results that are not cached; they are stored for a day.
    #[serde(with = "One::<Size>")]
    #[schemars(range(min = 0, max = 1u64 << 50))]
    #[default(1 << 30)]
    pub temp_max_bytes: u64,
}

/// What serves an algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serves {
    /// The configured route, which colours the photo.
    Route,
    Provider(String),
    /// A greeting instead of a provider, so that a client can be tested.
    Hello,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputHost {
    Any,
    Pattern(HostPattern),
}

kind!(InputHostName: InputHost, "input-host", "a host", "images.example.com", |text| {
    InputHost::parse(text)
});
kind!(Served: Option<Serves>, "serves", "\"route\", \"provider:NAME\", \"hello\" or \"off\"", "", |text| {
    match (text, text.strip_prefix("provider:")) {
        ("route", _) => Some(Some(Serves::Route)),
        ("hello", _) => Some(Some(Serves::Hello)),
        ("off", _) => Some(None),
        (_, provider) => provider.map(|name| Some(Serves::Provider(name.to_owned()))),
    }
});

impl InputHost {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" { Some(Self::Any) } else { HostPattern::parse(text).map(Self::Pattern) }
    }

    /// Whether the address's host matches.
    pub fn matches(&self, url: &Url) -> bool {
        match self {
            Self::Any => true,
            Self::Pattern(pattern) => pattern.matches(url),
        }
    }
}

impl fmt::Display for InputHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Pattern(pattern) => pattern.fmt(f),
        }
    }
}

/// Reads the algorithms, without those that are off.
fn served<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Serves>, D::Error> {
    let all = Named::<Served>::deserialize(deserializer)?.into_iter();
    Ok(all.filter_map(|(name, serves)| Some((name, serves?))).collect())
}

/// The default algorithms, as written in the configuration.
pub(super) const ALGORITHMS: [(&str, &str); 2] =
    [("deeplearning/ColorfulImageColorization", "route"), ("demo/Hello", "hello")];

impl AlgorithmiaFacade {
    /// Checks the settings against each other and the names of the providers.
    pub(super) fn check(&self, place: &Place<'_>, providers: &[String]) {
        // This includes the algorithms that are "off".
        for name in place.names(&["algorithms"]) {
            let path = ["algorithms", &name];
            let named = Algorithm::parse(&name).is_some_and(|algorithm| algorithm.to_string() == name);
            if !named || name.matches('/').count() != 1 {
                let key = place.key(&path);
                place.problem(&path, format!("`{key}`: an algorithm is named OWNER/NAME here"));
            }
        }
        for (name, serves) in &self.algorithms {
            let path = ["algorithms", name];
            let key = place.key(&path);
            if let Serves::Provider(provider) = serves
                && !providers.contains(provider)
            {
                let hint = provider_hint(provider, providers, "provider:");
                place.problem(&path, format!("`{key}`: there is no provider `{provider}`: {hint}"));
            }
        }
        if self.allow_private && self.hosts.contains(&InputHost::Any) {
            let message = "`facades.algorithmia.hosts` has \"*\" and `allow_private` is true: any client could \
                           make this machine send requests inside its own network. Name the hosts";
            place.problem(&["hosts"], message);
        }
    }
}
