//! Providers: what all kinds have in common, and the one place here that knows all kinds.
//!
//! A new kind is a struct of its own, an arm of `KindConfig` and a row of `KINDS`.

use std::time::Duration;

use super::algorithmia::{self, AlgorithmiaConfig};
use super::exec::ExecConfig;
use super::http::{HttpConfig, ReplyOutput};
use super::on_disconnect::{self, OnDisconnect};
use super::onnx::OnnxConfig;
use super::price;
use super::problem::dotted;
use super::reference::Words;
use super::remote::RemoteConfig;
use super::table::Table;
use crate::credit::price::PricedUnit;
use crate::credit::{CallFacts, Credits, Price};

/// Longest name of a provider or a budget.
pub(super) const MAX_NAME: usize = 64;

const WORDS: Words = &[
    ("kind", "The kind of provider."),
    ("timeout", "Time-out of a call, in seconds."),
    (
        "send_max_pixels",
        "Maximum pixels of the grey image that is sent. Fewer pixels are faster and often cheaper.",
    ),
    (
        "luma_lock",
        "Whether its colour is merged with the photo's own luminance (luma-lock). If not, its image is the result.",
    ),
    ("cache", "Whether its results are cached."),
    ("price", "The price of its calls. Required for kind `http`; `price.terms = []` means free."),
];

/// One provider.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// Its name: what the route, requests, metrics and the ledger call it.
    pub name: String,
    /// What every kind has.
    pub common: Common,
    /// What its kind has.
    pub kind: KindConfig,
    /// What its calls cost.
    pub price: Price,
    /// What happens to a call that has not begun when its clients have left.
    pub on_disconnect: OnDisconnect,
}

/// What every kind of provider has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Common {
    /// How long one call may take.
    pub timeout: Duration,
    /// Most pixels of the grey picture it is sent.
    pub send_max_pixels: u64,
    /// Whether its chroma is laid on the photo's own luminance; if not, its own pixels are the answer.
    pub luma_lock: bool,
    /// Whether its results are kept, and looked for before it is called.
    pub cache: bool,
}

impl Default for Common {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(60), send_max_pixels: 500_000, luma_lock: true, cache: true }
    }
}

/// What a provider's kind needs to know.
#[derive(Clone, Debug)]
pub enum KindConfig {
    /// A host that speaks Algorithmia's protocol.
    Algorithmia(Box<AlgorithmiaConfig>),
    /// Any HTTP API, described by its file.
    Http(Box<HttpConfig>),
    /// A program that is started for each picture.
    Exec(Box<ExecConfig>),
    /// A network that runs in this process.
    Onnx(OnnxConfig),
}

impl KindConfig {
    /// What calls cost unless the configuration says otherwise.
    fn price(&self) -> Price {
        match self {
            Self::Algorithmia(_) => algorithmia::price(),
            Self::Exec(_) | Self::Http(_) | Self::Onnx(_) => Price::FREE,
        }
    }

    /// Why no number can be read in a reply, where that is so.
    fn without_numbers(&self) -> Option<&'static str> {
        match self {
            Self::Http(config) if config.reply.output == ReplyOutput::Raw => {
                Some("with `reply.output = \"raw\"` the reply is the picture and no JSON")
            }
            Self::Exec(_) => Some("a program answers with a picture and no JSON"),
            Self::Onnx(_) => Some("a network in this process answers with no JSON"),
            Self::Http(_) | Self::Algorithmia(_) => None,
        }
    }

    /// Whether it is known where to call it; what runs on this machine needs no address.
    pub(super) fn has_address(&self) -> bool {
        match self {
            Self::Algorithmia(config) => config.base_url.is_some(),
            Self::Http(config) => config.missing().is_none(),
            Self::Exec(_) | Self::Onnx(_) => true,
        }
    }

    /// Why it will not be called, if that is known from its file alone.
    pub(super) fn missing(&self) -> Option<String> {
        match self {
            // Secrets that are not set are told with their lines.
            Self::Http(config) => config.no_address(),
            // It has words of its own for each way to set it up.
            Self::Algorithmia(_) | Self::Exec(_) | Self::Onnx(_) => None,
        }
    }

    /// What every provider elsewhere has; none for what runs on this machine.
    pub fn remote(&self) -> Option<&RemoteConfig> {
        match self {
            Self::Algorithmia(config) => Some(&config.remote),
            Self::Http(config) => Some(&config.remote),
            Self::Exec(_) | Self::Onnx(_) => None,
        }
    }
}

/// None when what is wrong leaves nothing to work with.
type ReadKind = fn(&mut Table<'_>) -> Option<KindConfig>;

/// Every kind by the word that names it.
const KINDS: &[(&str, ReadKind)] = &[
    ("onnx", |table| Some(KindConfig::Onnx(OnnxConfig::read(table)))),
    ("algorithmia", |table| Some(KindConfig::Algorithmia(Box::new(AlgorithmiaConfig::read(table))))),
    ("http", |table| HttpConfig::read(table).map(|config| KindConfig::Http(Box::new(config)))),
    ("exec", |table| Some(KindConfig::Exec(Box::new(ExecConfig::read(table))))),
];

impl Common {
    fn read(table: &mut Table<'_>) -> Self {
        let default = Self::default();
        Self {
            timeout: table.seconds("timeout", default.timeout, 0.1..=3600.0),
            send_max_pixels: table.whole("send_max_pixels", default.send_max_pixels, 1024..=1_000_000_000),
            luma_lock: table.flag("luma_lock", default.luma_lock),
            cache: table.flag("cache", default.cache),
        }
    }

    /// What is known of a call. Protocols tell a host in whole seconds how long it may work.
    fn call(&self, sent_pixels: u64) -> CallFacts {
        let seconds = self.timeout.as_secs() + u64::from(self.timeout.subsec_nanos() > 0);
        CallFacts { sent_pixels, timeout: Duration::from_secs(seconds) }
    }
}

impl ProviderConfig {
    /// Reads one provider; none if it cannot be told what it is, which is noted.
    pub(super) fn read(name: &str, table: &mut Table<'_>) -> Option<Self> {
        if !is_name(name) {
            let message = format!(
                "a provider cannot be named {name:?}: a name is 1 to {MAX_NAME} of a-z, 0-9, `-` and single `_`, \
                 and begins with a letter or a digit"
            );
            table.problem(&[], message);
        }
        table.describe(WORDS);
        table.describe(on_disconnect::WORDS);
        let kind = table.required_choice("kind", KINDS);
        let common = Common::read(table);
        match kind {
            Some(read) => {
                let kind = read(table);
                if matches!(kind, Some(KindConfig::Http(_))) && !table.has("price") {
                    table.problem(&[], unpriced(name));
                }
                let usual = kind.as_ref().map_or(Price::FREE, KindConfig::price);
                let price = table.table("price", |table| price::read(table, &usual));
                if let Some(without) = kind.as_ref().and_then(KindConfig::without_numbers) {
                    uncountable(table, &price, without);
                }
                let free = price.most(&common.call(common.send_max_pixels)).is_zero();
                let on_disconnect = OnDisconnect::read(table, free);
                Some(Self { name: name.to_owned(), common, kind: kind?, price, on_disconnect })
            }
            // Without a kind nobody knows which further keys it may have.
            None => {
                table.accept_all();
                None
            }
        }
    }
}

impl ProviderConfig {
    /// The most that one call may cost.
    pub fn most(&self) -> Credits {
        self.most_for(self.common.send_max_pixels)
    }

    /// The most that a call with a picture of so many pixels may cost.
    pub fn most_for(&self, sent_pixels: u64) -> Credits {
        self.price.most(&self.common.call(sent_pixels))
    }

    /// The least that it costs.
    pub fn least_for(&self, sent_pixels: u64) -> Credits {
        self.price.least(&self.common.call(sent_pixels))
    }
}

/// A price that counts with a number of a reply which has none could never be known.
fn uncountable(table: &Table<'_>, price: &Price, without: &str) {
    let numbers =
        price.terms.iter().enumerate().filter(|(_, term)| matches!(term.per, PricedUnit::Number { .. }));
    for (index, _) in numbers {
        let path = ["price", "terms", &index.to_string()];
        let message = format!(
            "`{}` uses a number in the reply, and {without}: the cost of a call would never be known. Use per = \"call\" or per = \"megapixel\"",
            dotted(&table.at(&path))
        );
        table.problem(&path, message);
    }
}

/// What an API costs is for its file to say: taken for nothing, it would be spent without a budget.
fn unpriced(name: &str) -> String {
    format!(
        "`providers.{name}` has no `price`: set the cost of a call, such as price.terms = [{{ per = \"call\", rate = 1 }}], or price.terms = [] if it is free"
    )
}

/// Names appear in URLs, metrics and environment variables, where `__` separates keys.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=MAX_NAME).contains(&name.len())
        && name.starts_with(plain)
        && name.chars().all(|c| plain(c) || matches!(c, '-' | '_'))
        && !name.contains("__")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_safe_in_urls_metrics_and_variables() {
        for good in ["local", "deep-ai", "a_b", "0", &"a".repeat(64)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "A", "a b", "a.b", "-a", "_a", "a__b", "é", "a/b", "a\n", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
