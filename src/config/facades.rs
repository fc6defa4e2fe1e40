//! Settings of the facades: other services' protocols that the gateway speaks, so that their clients work unchanged.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value as Json;
use url::Url;

use super::algorithmia::Algorithm;
use super::http::HostPattern;
use super::problem::{ValueOrigin, dotted, nearest};
use super::reference::Words;
use super::shown::shown;
use super::table::Table;

const WORDS: Words = &[("algorithmia", "Lets existing Algorithmia clients use this gateway.")];

const ALGORITHMIA_WORDS: Words = &[
    (
        "algorithms",
        "What each algorithm OWNER/NAME does. By default `deeplearning/ColorfulImageColorization` is \"route\" and `demo/Hello` is \"hello\".",
    ),
    (
        "hosts",
        "Hosts from which images may be fetched by URL; \"*\" means any. If empty, requests with a URL are rejected.",
    ),
    ("allow_private", "Whether those hosts may have private addresses."),
    ("storage", "Whether clients may store files at `data://.my/`."),
    ("max_bytes", "Maximum bytes of all clients' files together."),
    ("client_max_bytes", "Maximum bytes of one client's files."),
    ("temp_max_bytes", "Maximum bytes of results that are not cached; they are stored for a day."),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacadesConfig {
    pub algorithmia: AlgorithmiaFacade,
}

/// Settings of Algorithmia's protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlgorithmiaFacade {
    /// What serves each algorithm, by `OWNER/NAME`.
    pub algorithms: BTreeMap<String, Serves>,
    /// Hosts from which the gateway fetches images whose address a client sends; if empty, it fetches none.
    pub hosts: Vec<InputHost>,
    pub allow_private: bool,
    /// Whether clients may store files.
    pub storage: bool,
    /// Maximum size of all clients' files together, in bytes.
    pub max_bytes: u64,
    /// Maximum size of one client's files, in bytes.
    pub client_max_bytes: u64,
    /// Maximum size of results that are stored for a day because the cache does not store them, in bytes.
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

impl InputHost {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" { Some(Self::Any) } else { HostPattern::parse(text).map(Self::Pattern) }
    }

    /// Whether the address's host is one of these.
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

/// The default algorithms, as written in the configuration.
const SHIPPED: [(&str, &str); 2] =
    [("deeplearning/ColorfulImageColorization", "route"), ("demo/Hello", "hello")];

/// What a value of `algorithms` must be; continues a sentence that begins with "must be".
const SERVES: &str = "\"route\", \"provider:NAME\", \"hello\" or \"off\"";

impl FacadesConfig {
    pub(super) fn read(table: &mut Table<'_>, providers: &[String]) -> Self {
        table.describe(WORDS);
        Self { algorithmia: table.table("algorithmia", |table| AlgorithmiaFacade::read(table, providers)) }
    }
}

impl AlgorithmiaFacade {
    const MAX_BYTES: u64 = 1 << 30;
    const CLIENT_MAX_BYTES: u64 = 100 << 20;
    const TEMP_MAX_BYTES: u64 = 1 << 30;

    fn read(table: &mut Table<'_>, providers: &[String]) -> Self {
        const MOST: u64 = 1 << 50;
        table.describe(ALGORITHMIA_WORDS);
        let host = ("a host", "images.example.com");
        let facade = Self {
            algorithms: algorithms(table, providers),
            hosts: table.list("hosts", Vec::new(), host, InputHost::parse),
            allow_private: table.flag("allow_private", false),
            storage: table.flag("storage", false),
            max_bytes: table.bytes("max_bytes", Self::MAX_BYTES, 0..=MOST),
            client_max_bytes: table.bytes("client_max_bytes", Self::CLIENT_MAX_BYTES, 0..=MOST),
            temp_max_bytes: table.bytes("temp_max_bytes", Self::TEMP_MAX_BYTES, 0..=MOST),
        };
        if facade.allow_private && facade.hosts.contains(&InputHost::Any) {
            let message = "`facades.algorithmia.hosts` has \"*\" and `allow_private` is true: any client could \
                           have this machine ask inside its own network. Name the hosts";
            table.problem(&["hosts"], message);
        }
        facade
    }
}

/// Reads `algorithms`: the defaults, changed entry by entry.
fn algorithms(table: &mut Table<'_>, providers: &[String]) -> BTreeMap<String, Serves> {
    let mut words: BTreeMap<String, (String, ValueOrigin)> = SHIPPED
        .iter()
        .map(|(name, word)| ((*name).to_owned(), ((*word).to_owned(), ValueOrigin::Default)))
        .collect();
    for (name, value, origin) in table.free_keys("algorithms", SERVES) {
        let path = dotted(&table.at(&["algorithms", name]));
        let named = Algorithm::parse(name).is_ok_and(|algorithm| algorithm.to_string() == name)
            && name.matches('/').count() == 1;
        match value.as_str() {
            _ if !named => {
                table.note_problem(origin, format!("`{path}`: an algorithm is named OWNER/NAME here"));
            }
            None => table.note_problem(origin, format!("`{path}` must be {SERVES}, not {}", shown(value))),
            Some(word) => {
                words.insert(name.to_owned(), (word.to_owned(), origin));
            }
        }
    }
    let mut algorithms = BTreeMap::new();
    for (name, (word, origin)) in words {
        let path = dotted(&table.at(&["algorithms", &name]));
        table.note_entry_at(&["algorithms", &name], Json::from(word.as_str()), false, origin.clone());
        match (word.as_str(), word.strip_prefix("provider:")) {
            ("off", _) => {}
            ("route", _) => {
                algorithms.insert(name, Serves::Route);
            }
            ("hello", _) => {
                algorithms.insert(name, Serves::Hello);
            }
            (_, Some(provider)) if providers.iter().any(|known| known == provider) => {
                algorithms.insert(name, Serves::Provider(provider.to_owned()));
            }
            (_, Some(provider)) => {
                let hint = nearest(provider, providers.iter().map(String::as_str)).map_or_else(
                    || format!("the providers are {}", providers.join(", ")),
                    |meant| format!("did you mean `provider:{meant}`?"),
                );
                table.note_problem(origin, format!("`{path}`: there is no provider `{provider}`: {hint}"));
            }
            _ => table.note_problem(origin, format!("`{path}` must be {SERVES}, not {word:?}")),
        }
    }
    algorithms
}
