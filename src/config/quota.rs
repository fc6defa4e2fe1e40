//! The limits on one client: shares of this machine's resources, and rate limits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use super::kinds::{One, Optional, Shown, Size};
use super::limits::LimitsConfig;
use super::place::Place;
use super::problem::ValueOrigin;
use super::provider::check_name;
use super::schema::describe_tag;
use crate::quota::{Charge, ClientBucket, Gate, Limit, LimitError, LimitScope, RatePeriod, Unit};

/// Limits for each client.
#[derive(Clone, Debug, Deserialize, JsonSchema, SmartDefault)]
#[serde(default)]
pub(super) struct QuotaTable {
    /// Whether limits for clients apply at all.
    #[default = true]
    enabled: bool,
    /// Maximum memory of one client's uploads together, in bytes. Further uploads of the client get 503.
    #[serde(with = "One::<Size>")]
    #[schemars(range(min = 1024, max = 1u64 << 50))]
    #[default(256 << 20)]
    client_upload_memory: u64,
    /// Maximum pixels of one client's photos that are in memory or wait for the decoder. Further requests of the client
    /// get 503.
    #[schemars(range(min = 1, max = 1_000_000_000_000u64))]
    #[default = 400_000_000]
    client_decoding_pixels: u64,
    /// Maximum number of requests of one client that wait for the decoder. Further requests of the client get 503.
    #[schemars(range(min = 1, max = 100_000))]
    #[default = 24]
    client_waiting: u64,
    /// Rate limits. A client over a limit gets 429 and the time to wait. By default there are `requests`, `bytes`,
    /// `pictures`, `megapixels`, `key-requests` and `key-pictures`; any other name adds a limit and needs `of` and
    /// `rate`.
    #[schemars(extend("default" = {}))]
    limits: BTreeMap<String, LimitConfig<LimitScope>>,
}

/// One rate limit.
// `B` says whose requests it may count.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "of", rename_all = "lowercase", bound(deserialize = "B: Default + Deserialize<'de>"))]
#[schemars(bound = "B: Default + Serialize + JsonSchema")]
#[schemars(extend("x-names-with-defaults" = ["quota", "limits"]))]
#[schemars(transform = describe_tag(
    "of",
    "What the limit counts: requests and bytes before an upload is read; pictures and megapixels only on a cache miss."
))]
pub(super) enum LimitConfig<B> {
    Requests(CountLimit<B>),
    Bytes(SizeLimit<B>),
    Pictures(CountLimit<B>),
    Megapixels(CountLimit<B>),
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(bound(deserialize = "B: Default + Deserialize<'de>"))]
#[schemars(bound = "B: Default + Serialize + JsonSchema")]
pub(super) struct CountLimit<B> {
    #[serde(flatten)]
    common: LimitCommon<B>,
    /// Long-term amount per period.
    #[schemars(range(min = 1, max = 1_000_000_000), extend("x-default-by-name" = true))]
    rate: u64,
    /// Amount that may be used at once. Default: the rate, or the largest photo if that is more.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    burst: Option<u64>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(bound(deserialize = "B: Default + Deserialize<'de>"))]
#[schemars(bound = "B: Default + Serialize + JsonSchema")]
pub(super) struct SizeLimit<B> {
    #[serde(flatten)]
    common: LimitCommon<B>,
    /// Long-term amount per period.
    #[serde(with = "One::<Size>")]
    #[schemars(range(min = 1024, max = 1u64 << 40), extend("x-default-by-name" = true))]
    rate: u64,
    /// Amount that may be used at once. Default: the rate, or the largest photo if that is more.
    #[serde(default, with = "Optional::<Size>")]
    #[schemars(range(min = 1024, max = 1u64 << 40))]
    burst: Option<u64>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(bound(deserialize = "B: Default + Deserialize<'de>"))]
#[schemars(bound = "B: Default + Serialize + JsonSchema")]
struct LimitCommon<B> {
    /// Whether this limit applies.
    #[serde(default = "yes")]
    enabled: bool,
    /// What has its own counter: each address without an API key ("client") or each API key ("key"). With "all", all
    /// clients share one counter.
    #[serde(default)]
    by: B,
    /// The period of `rate`.
    #[serde(default)]
    per: RatePeriod,
}

const fn yes() -> bool {
    true
}

/// The scope of a limit of one API key.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ByKey {
    #[default]
    Key,
}

impl From<ByKey> for LimitScope {
    fn from(_: ByKey) -> Self {
        Self::Key
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaConfig {
    /// False disables all limits here.
    pub enabled: bool,
    /// Maximum size of one client's uploads in memory at once, in bytes.
    pub client_upload_memory: u64,
    /// Maximum number of pixels of one client's photos that are in memory or wait for the decoder.
    pub client_decoding_pixels: u64,
    /// Maximum number of one client's requests that wait for the decoder.
    pub client_waiting: u64,
    /// The enabled general rate limits, each with a unique name.
    pub limits: Vec<Arc<Limit>>,
    /// For each API key with a table in `[keys]`: all enabled rate limits that apply to it.
    own: HashMap<ClientBucket, Vec<Arc<Limit>>>,
    /// All general limits, including disabled ones.
    known: Vec<Arc<Limit>>,
}

/// The default limits: name, `of`, `by` and `rate` per minute. A person, the page and a script that sends one photo
/// after another stay below them.
pub(super) const SHIPPED: [(&str, &str, &str, &str); 6] = [
    ("requests", "requests", "client", "3000"),
    ("bytes", "bytes", "client", "\"4 GiB\""),
    ("pictures", "pictures", "client", "600"),
    ("megapixels", "megapixels", "client", "6000"),
    ("key-requests", "requests", "key", "30000"),
    ("key-pictures", "pictures", "key", "6000"),
];

/// The size of a request, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestAmounts {
    /// Size of the body, in bytes.
    pub bytes: u64,
    /// Pixels of the photo.
    pub pixels: u64,
}

impl QuotaConfig {
    pub(super) fn checked(table: QuotaTable, place: &Place<'_>, sizes: &LimitsConfig) -> Self {
        let QuotaTable { enabled, client_upload_memory, client_decoding_pixels, client_waiting, limits } =
            table;
        let (mut configured, limits_place) = (limits, place.at(&["limits"]));
        let shipped =
            SHIPPED.iter().filter_map(|(name, ..)| configured.remove_entry(*name)).collect::<Vec<_>>();
        let (mut limits, mut known) = (Vec::new(), Vec::new());
        for (name, config) in shipped.into_iter().chain(configured) {
            let Some((limit, enabled)) = limit(&name, config, &limits_place.at(&[&name]), sizes) else {
                continue;
            };
            limits.extend(enabled.then(|| limit.clone()));
            known.push(limit);
        }
        let own = HashMap::new();
        Self { enabled, client_upload_memory, client_decoding_pixels, client_waiting, limits, own, known }
    }

    /// Adds the rate limits of one API key. A limit with the name of a general limit replaces it for this key.
    pub(super) fn add_own(
        &mut self,
        key: ClientBucket,
        configured: BTreeMap<String, LimitConfig<ByKey>>,
        place: &Place<'_>,
        sizes: &LimitsConfig,
    ) {
        let mut limits = self.limits.clone();
        let by_key = self.known.iter().filter(|limit| limit.by() == LimitScope::Key);
        let by_key: Vec<&str> = by_key.map(|limit| limit.name()).collect();
        for (name, config) in configured {
            let place = place.at(&[&name]);
            let known = self.known.iter().find(|limit| limit.name() == name);
            if let Some(other) = known.filter(|limit| limit.by() != LimitScope::Key) {
                place.problem(
                    &[],
                    format!(
                        "`{}`: the limit `{name}` is by {}. Those by key are {}; another name adds one",
                        place.key(&[]),
                        other.by().label(),
                        by_key.join(", ")
                    ),
                );
                continue;
            }
            let Some((own, enabled)) = limit(&name, config, &place, sizes) else { continue };
            limits.retain(|limit| limit.name() != name);
            limits.extend(enabled.then_some(own));
        }
        self.own.insert(key, limits);
    }

    /// The charges for a client's request at a gate; empty if limits are disabled. Requests without a client, such as
    /// those of the command line, are not limited.
    pub fn charges(&self, gate: Gate, client: Option<&ClientBucket>, amounts: RequestAmounts) -> Vec<Charge> {
        let Some(client) = client.filter(|_| self.enabled) else { return Vec::new() };
        let charge = |limit: &Arc<Limit>| {
            let bucket = client.under(limit.by())?;
            let amount = match limit.of() {
                Unit::Requests | Unit::Pictures => 1,
                Unit::Bytes => amounts.bytes,
                Unit::Megapixels => amounts.pixels,
            };
            Some(Charge { limit: limit.clone(), bucket, amount })
        };
        let limits = self.own.get(client).unwrap_or(&self.limits);
        limits.iter().filter(|limit| limit.of().gate() == gate).filter_map(charge).collect()
    }
}

/// Checks one limit. Returns it, and whether it is enabled; `None` if it is invalid.
fn limit<B: Into<LimitScope>>(
    name: &str,
    config: LimitConfig<B>,
    place: &Place<'_>,
    sizes: &LimitsConfig,
) -> Option<(Arc<Limit>, bool)> {
    check_name("a limit", name, place);
    let (of, common, rate, burst) = match config {
        LimitConfig::Requests(CountLimit { common, rate, burst }) => (Unit::Requests, common, rate, burst),
        LimitConfig::Bytes(SizeLimit { common, rate, burst }) => (Unit::Bytes, common, rate, burst),
        LimitConfig::Pictures(CountLimit { common, rate, burst }) => (Unit::Pictures, common, rate, burst),
        LimitConfig::Megapixels(CountLimit { common, rate, burst }) => {
            (Unit::Megapixels, common, rate, burst)
        }
    };
    // The largest allowed request must fit into the burst; otherwise the limit would always refuse it.
    let (largest, setting) = match of {
        Unit::Requests | Unit::Pictures => (1, ""),
        Unit::Bytes => (sizes.upload_bytes, "limits.upload_bytes"),
        Unit::Megapixels => (sizes.pixels.div_ceil(of.scale()), "limits.pixels"),
    };
    let burst = burst.unwrap_or_else(|| {
        let usual = rate.max(largest);
        let shown = match of {
            Unit::Bytes => Size::shown(&usual),
            _ => usual.into(),
        };
        place.report("burst", shown, ValueOrigin::Default);
        usual
    });
    if common.enabled && burst < largest {
        let wrong = format!("must not be below `{setting}`: the largest photo would never pass");
        place.wrong(&["burst"], wrong);
    }
    match Limit::new(name, common.by.into(), of, rate, common.per, burst) {
        Ok(limit) => Some((Arc::new(limit), common.enabled)),
        Err(error) => {
            let key = if error == LimitError::TooFast { "rate" } else { "burst" };
            place.problem(&[key], format!("`{}`: {error}", place.key(&[key])));
            None
        }
    }
}
