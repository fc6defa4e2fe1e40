//! Settings that all kinds of provider have. This file is the only one in this module that lists all kinds.
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

/// Maximum length of the name of a provider or a budget.
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

#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// The name in the route, requests, metrics and the ledger.
    pub name: String,
    pub common: Common,
    pub kind: KindConfig,
    pub price: Price,
    /// What to do with a call that has not begun after its clients have disconnected.
    pub on_disconnect: OnDisconnect,
}

/// The settings that every kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Common {
    /// Time-out of one call.
    pub timeout: Duration,
    /// Maximum number of pixels of the grey image that is sent to the provider.
    pub send_max_pixels: u64,
    /// Whether the provider's chroma is merged with the photo's own luminance; if false, the provider's own pixels
    /// are the result.
    pub luma_lock: bool,
    /// Whether the cache stores the provider's results and is looked up before a call.
    pub cache: bool,
}

impl Default for Common {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(60), send_max_pixels: 500_000, luma_lock: true, cache: true }
    }
}

/// The settings of one kind.
#[derive(Clone, Debug)]
pub enum KindConfig {
    Algorithmia(Box<AlgorithmiaConfig>),
    Http(Box<HttpConfig>),
    Exec(Box<ExecConfig>),
    Onnx(OnnxConfig),
}

impl KindConfig {
    /// The default price.
    fn price(&self) -> Price {
        match self {
            Self::Algorithmia(_) => algorithmia::price(),
            Self::Exec(_) | Self::Http(_) | Self::Onnx(_) => Price::FREE,
        }
    }

    /// The reason why this kind's replies contain no numbers, if they contain none.
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

    /// Whether the provider has an address. Kinds that run on this machine need none.
    pub(super) fn has_address(&self) -> bool {
        match self {
            Self::Algorithmia(config) => config.base_url.is_some(),
            Self::Http(config) => config.missing().is_none(),
            Self::Exec(_) | Self::Onnx(_) => true,
        }
    }

    /// The reason why the provider is not ready, if its file alone shows it.
    pub(super) fn missing(&self) -> Option<String> {
        match self {
            // Unset secrets are reported elsewhere, with their lines.
            Self::Http(config) => config.no_address(),
            // These kinds report the reasons themselves when they are set up.
            Self::Algorithmia(_) | Self::Exec(_) | Self::Onnx(_) => None,
        }
    }

    /// The settings of remote providers; none for kinds that run on this machine.
    pub fn remote(&self) -> Option<&RemoteConfig> {
        match self {
            Self::Algorithmia(config) => Some(&config.remote),
            Self::Http(config) => Some(&config.remote),
            Self::Exec(_) | Self::Onnx(_) => None,
        }
    }
}

/// Reads the settings of one kind. Returns none after a problem that leaves the settings unusable.
type ReadKind = fn(&mut Table<'_>) -> Option<KindConfig>;

/// All kinds, by their word in the configuration.
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

    /// The facts about a call that its price may depend on. The work time is in whole seconds, as in the protocols.
    fn call(&self, sent_pixels: u64) -> CallFacts {
        let seconds = self.timeout.as_secs() + u64::from(self.timeout.subsec_nanos() > 0);
        CallFacts { sent_pixels, timeout: Duration::from_secs(seconds) }
    }
}

impl ProviderConfig {
    /// Reads one provider. Returns none if its kind or an essential setting is invalid; the problem is noted.
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
            // The allowed keys depend on the kind, so without one no key is reported as unknown.
            None => {
                table.accept_all();
                None
            }
        }
    }
}

impl ProviderConfig {
    /// The maximum cost of one call.
    pub fn most(&self) -> Credits {
        self.most_for(self.common.send_max_pixels)
    }

    /// The maximum cost of a call with an image of this many pixels.
    pub fn most_for(&self, sent_pixels: u64) -> Credits {
        self.price.most(&self.common.call(sent_pixels))
    }

    /// The minimum cost of such a call.
    pub fn least_for(&self, sent_pixels: u64) -> Credits {
        self.price.least(&self.common.call(sent_pixels))
    }
}

/// Reports a price that depends on a number in the reply if this kind's replies contain no numbers.
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

/// A kind without a default price must have one in its file: a missing price would mean free calls without a budget.
fn unpriced(name: &str) -> String {
    format!(
        "`providers.{name}` has no `price`: set the cost of a call, such as price.terms = [{{ per = \"call\", rate = 1 }}], or price.terms = [] if it is free"
    )
}

/// Whether the name is allowed. Names appear in URLs, metrics and environment variables, where `__` separates keys.
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
