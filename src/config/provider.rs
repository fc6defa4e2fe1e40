//! Settings that all kinds of provider have. This file is the only one in this module that lists all kinds.
//!
//! A new kind is a struct of its own and a variant of `KindConfig`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use smart_default::SmartDefault;

use super::algorithmia::AlgorithmiaConfig;
use super::exec::ExecConfig;
use super::http::{HttpConfig, ReplyOutput};
use super::kinds::{One, Seconds};
use super::on_disconnect::OnDisconnect;
use super::onnx::OnnxConfig;
use super::place::Place;
use super::price::PriceConfig;
use super::problem::{ValueOrigin, nearest};
use super::remote::RemoteConfig;
use super::schema::describe_tag;
use crate::credit::price::PricedUnit;
use crate::credit::{CallFacts, Credits, Price};

/// Maximum length of the name of a provider, a budget or a rate limit.
const MAX_NAME: usize = 64;

/// A provider. The file `providers/NAME.toml` contains this table without the prefix: `timeout`, and `failures` under
/// `[breaker]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(super) struct ProviderTable {
    #[serde(flatten)]
    common: Common,
    #[serde(default)]
    price: PriceConfig,
    /// What to do with a call if all of its clients have disconnected before it has begun: "drop" cancels it at no
    /// cost, "finish" makes it and caches the result. Default: "drop" if a call can cost credit according to `price`,
    /// otherwise "finish".
    #[serde(default)]
    on_disconnect: Option<OnDisconnect>,
    #[serde(flatten)]
    kind: KindConfig,
}

#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// The name in the route, requests, metrics and the ledger.
    pub name: String,
    pub common: Common,
    pub kind: KindConfig,
    pub price: Price,
    /// What to do with a call if all of its clients have disconnected before it has begun.
    pub on_disconnect: OnDisconnect,
}

/// The settings that every kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, SmartDefault)]
#[serde(default)]
pub struct Common {
    /// Time-out of a call, in seconds.
    #[serde(with = "One::<Seconds>")]
    #[schemars(range(min = 0.1, max = 3600))]
    #[default(Duration::from_secs(60))]
    pub timeout: Duration,
    /// Maximum pixels of the grey image that is sent. Fewer pixels are faster and often cheaper.
    #[schemars(range(min = 1024, max = 1_000_000_000))]
    #[default = 500_000]
    pub send_max_pixels: u64,
    /// Whether the provider's colour is merged with the photo's own luminance (luma-lock). If not, the provider's image
    /// is the result.
    #[default = true]
    pub luma_lock: bool,
    /// Whether the provider's results are cached.
    #[default = true]
    pub cache: bool,
}

/// The settings of one kind.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[schemars(transform = describe_tag("kind", "The kind of provider."))]
pub enum KindConfig {
    Onnx(OnnxConfig),
    Algorithmia(Box<AlgorithmiaConfig>),
    Http(Box<HttpConfig>),
    Exec(Box<ExecConfig>),
}

impl KindConfig {
    /// Checks the settings against each other and completes them.
    fn complete(&mut self, place: &Place<'_>) {
        match self {
            Self::Onnx(config) => config.check(place),
            Self::Algorithmia(config) => config.check(place),
            Self::Http(config) => config.check(place),
            Self::Exec(config) => config.complete(place),
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

    /// Whether the provider has its address and, for kind `http`, its secrets. `true` for kinds without an address.
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

    /// The settings of a remote provider; `None` for kinds that run on this machine.
    pub fn remote(&self) -> Option<&RemoteConfig> {
        match self {
            Self::Algorithmia(config) => Some(&config.remote),
            Self::Http(config) => Some(&config.remote),
            Self::Exec(_) | Self::Onnx(_) => None,
        }
    }
}

impl Common {
    /// The properties of a call on which its price may depend. The time-out is rounded up to whole seconds, the unit in
    /// which hosts receive it.
    fn call(&self, sent_pixels: u64) -> CallFacts {
        let seconds = self.timeout.as_secs() + u64::from(self.timeout.subsec_nanos() > 0);
        CallFacts { sent_pixels, timeout: Duration::from_secs(seconds) }
    }
}

impl ProviderConfig {
    pub(super) fn checked(name: &str, table: ProviderTable, place: &Place<'_>) -> Self {
        check_name("a provider", name, place);
        let ProviderTable { common, price, on_disconnect, mut kind } = table;
        kind.complete(place);
        if matches!(kind, KindConfig::Http(_)) && !place.has("price") {
            place.problem(&[], unpriced(name));
        }
        let price = price.into_price(&place.at(&["price"]));
        if let Some(without) = kind.without_numbers() {
            uncountable(place, &price, without);
        }
        let free = price.most(&common.call(common.send_max_pixels)).is_zero();
        let on_disconnect = on_disconnect.unwrap_or_else(|| {
            let usual = if free { OnDisconnect::Finish } else { OnDisconnect::Drop };
            place.report("on_disconnect", usual.label().into(), ValueOrigin::Default);
            usual
        });
        Self { name: name.to_owned(), common, kind, price, on_disconnect }
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

    /// The minimum cost of a call with an image of this many pixels.
    pub fn least_for(&self, sent_pixels: u64) -> Credits {
        self.price.least(&self.common.call(sent_pixels))
    }
}

/// Reports a price that depends on a number in the reply if this kind's replies contain no numbers.
fn uncountable(place: &Place<'_>, price: &Price, without: &str) {
    let numbers =
        price.terms.iter().enumerate().filter(|(_, term)| matches!(term.per, PricedUnit::Number { .. }));
    for (index, _) in numbers {
        let path = ["price", "terms", &index.to_string()];
        place.wrong(
            &path,
            format!(
                "uses a number in the reply, and {without}: the cost of a call would never be known. Use per = \"call\" or per = \"megapixel\""
            ),
        );
    }
}

/// The message for a provider of a kind without a default price whose file has no price. Without this check its calls
/// would count as free, and no budget would limit them.
fn unpriced(name: &str) -> String {
    format!(
        "`providers.{name}` has no `price`: set the cost of a call, such as price.terms = [{{ per = \"call\", rate = 1 }}], or price.terms = [] if it is free"
    )
}

/// Notes that something, such as "a budget", cannot have this name.
pub(super) fn check_name(what: &str, name: &str, place: &Place<'_>) {
    if !is_name(name) {
        let message = format!(
            "{what} cannot be named {name:?}: a name is 1 to {MAX_NAME} of a-z, 0-9, `-` and single `_`, and begins with \
             a letter or a digit"
        );
        place.problem(&[], message);
    }
}

/// The hint for a name that no provider has. `prefix` is what the value must have before a provider's name, such as
/// `provider:`.
pub(super) fn provider_hint(name: &str, providers: &[String], prefix: &str) -> String {
    match nearest(name, providers.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{prefix}{meant}`?"),
        None => format!("the providers are {}", providers.join(", ")),
    }
}

/// Whether the name is allowed. Names appear in URLs, metrics and environment variables, where `__` separates keys.
fn is_name(name: &str) -> bool {
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
