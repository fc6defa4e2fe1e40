//! Reads the limits on one client: shares of this machine's resources, and rate limits.

use std::collections::HashMap;
use std::sync::Arc;

use super::limits::LimitsConfig;
use super::problem::{dotted, nearest};
use super::provider::is_name;
use super::reference::Words;
use super::table::Table;
use crate::quota::{Charge, ClientBucket, Gate, Limit, LimitError, LimitScope, RatePeriod, Unit};

const WORDS: Words = &[
    ("enabled", "Whether limits for clients apply at all."),
    ("client_upload_memory", "Memory of one client's uploads together, in bytes, before it gets 503."),
    (
        "client_decoding_pixels",
        "Pixels of one client that are being decoded or wait for it, before it gets 503.",
    ),
    ("client_waiting", "Requests of one client that may wait for decoding before its further ones get 503."),
    (
        "limits",
        "Rate limits. A client over a limit gets 429 and the time to wait. The limits below exist by default; a further name adds a limit and needs `of` and `rate`.",
    ),
];
const LIMIT_WORDS: Words = &[
    ("enabled", "Whether this limit applies."),
    (
        "of",
        "What the limit counts: requests and bytes before an upload is read; pictures and megapixels only on a cache miss.",
    ),
    (
        "by",
        "Which clients share a counter: each address without a key (\"client\"), each key (\"key\"), or all clients together (\"all\").",
    ),
    ("per", "The period of `rate`."),
    ("rate", "Long-term amount per period."),
    ("burst", "Amount that may be used at once. Default: the rate, or the largest photo if that is more."),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaConfig {
    /// False disables all limits here.
    pub enabled: bool,
    /// Maximum size of one client's uploads in memory at once, in bytes.
    pub client_upload_memory: u64,
    /// Maximum number of pixels of one client's photos in decoding or waiting for it.
    pub client_decoding_pixels: u64,
    /// Maximum number of one client's requests that wait for the decoder.
    pub client_waiting: u64,
    /// The general rate limits, each with a unique name.
    pub limits: Vec<Arc<Limit>>,
    /// All rate limits of each API key that has limits of its own.
    own: HashMap<ClientBucket, Vec<Arc<Limit>>>,
    /// All general limits, including disabled ones.
    known: Vec<Arc<Limit>>,
}

/// The default values of a limit; its default burst equals its rate.
#[derive(Clone, Copy)]
struct Usual {
    by: LimitScope,
    of: Unit,
    rate: u64,
    per: RatePeriod,
}

/// The default limits. A person, the page and a script that sends one photo after another stay below them.
const SHIPPED: [(&str, Usual); 6] = [
    ("requests", Usual { by: LimitScope::Client, of: Unit::Requests, rate: 3_000, per: RatePeriod::Minute }),
    ("bytes", Usual { by: LimitScope::Client, of: Unit::Bytes, rate: 4 << 30, per: RatePeriod::Minute }),
    ("pictures", Usual { by: LimitScope::Client, of: Unit::Pictures, rate: 600, per: RatePeriod::Minute }),
    (
        "megapixels",
        Usual { by: LimitScope::Client, of: Unit::Megapixels, rate: 6_000, per: RatePeriod::Minute },
    ),
    (
        "key-requests",
        Usual { by: LimitScope::Key, of: Unit::Requests, rate: 30_000, per: RatePeriod::Minute },
    ),
    ("key-pictures", Usual { by: LimitScope::Key, of: Unit::Pictures, rate: 6_000, per: RatePeriod::Minute }),
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
    pub(super) fn read(table: &mut Table<'_>, sizes: &LimitsConfig) -> Self {
        table.describe(WORDS);
        let enabled = table.flag("enabled", true);
        let client_upload_memory = table.bytes("client_upload_memory", 256 << 20, 1024..=1 << 50);
        let client_decoding_pixels =
            table.whole("client_decoding_pixels", 400_000_000, 1..=1_000_000_000_000);
        let client_waiting = table.whole("client_waiting", 24, 1..=100_000);
        let (mut limits, mut known) = (Vec::new(), Vec::new());
        let shipped = SHIPPED.map(|(name, _)| name);
        table.named_with("limits", &shipped, |name, table| {
            let usual = SHIPPED.iter().find(|(shipped, _)| *shipped == name).map(|(_, usual)| *usual);
            let by = |table: &mut Table<'_>| {
                table.choice_or("by", &LimitScope::ALL, usual.map_or(LimitScope::Client, |it| it.by))
            };
            let Some((limit, enabled)) = limit(name, usual, &shipped, by, table, sizes) else { return };
            limits.extend(enabled.then(|| limit.clone()));
            known.push(limit);
        });
        let own = HashMap::new();
        Self { enabled, client_upload_memory, client_decoding_pixels, client_waiting, limits, own, known }
    }

    /// Reads the rate limits of one API key. A limit with the name of a general limit replaces it for this key.
    pub(super) fn read_own(&mut self, key: ClientBucket, table: &mut Table<'_>, sizes: &LimitsConfig) {
        let mut limits = self.limits.clone();
        let by_key: Vec<&str> = self
            .known
            .iter()
            .filter(|limit| limit.by() == LimitScope::Key)
            .map(|limit| limit.name())
            .collect();
        table.named("limits", |name, table| {
            let known = self.known.iter().find(|limit| limit.name() == name);
            if let Some(other) = known.filter(|limit| limit.by() != LimitScope::Key) {
                table.problem(
                    &[],
                    format!(
                        "`{}`: the limit `{name}` is by {}. Those by key are {}; another name adds one",
                        dotted(&table.at(&[])),
                        other.by().label(),
                        by_key.join(", ")
                    ),
                );
                table.accept_all();
                return;
            }
            let usual = known.map(|limit| Usual {
                by: LimitScope::Key,
                of: limit.of(),
                rate: limit.rate() / limit.of().scale(),
                per: limit.per(),
            });
            let by =
                |table: &mut Table<'_>| table.choice_or("by", &[("key", LimitScope::Key)], LimitScope::Key);
            let Some((own, enabled)) = limit(name, usual, &by_key, by, table, sizes) else { return };
            limits.retain(|limit| limit.name() != name);
            limits.extend(enabled.then_some(own));
        });
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

/// Reads one limit, and whether it is enabled. Returns none if it is invalid; the problem is noted. `names` are the
/// candidates for a "did you mean" hint.
fn limit(
    name: &str,
    usual: Option<Usual>,
    names: &[&str],
    by: impl FnOnce(&mut Table<'_>) -> LimitScope,
    table: &mut Table<'_>,
    sizes: &LimitsConfig,
) -> Option<(Arc<Limit>, bool)> {
    if !is_name(name) {
        let message = format!("a limit cannot be named {name:?}: take a-z, 0-9, `-` and single `_`");
        table.problem(&[], message);
    }
    table.describe(LIMIT_WORDS);
    let enabled = table.flag("enabled", true);
    let of = match (usual, nearest(name, names.iter().copied())) {
        (Some(usual), _) => Some(table.choice_or("of", &Unit::ALL, usual.of)),
        (None, Some(meant)) if !table.has("of") => {
            let path = dotted(&table.at(&[]));
            table.problem(
                &[],
                format!("there is no limit `{path}` and it has no `of`: did you mean `{meant}`?"),
            );
            None
        }
        (None, _) => table.required_choice("of", &Unit::ALL),
    };
    let by = by(table);
    let per = table.choice_or("per", &RatePeriod::ALL, usual.map_or(RatePeriod::Minute, |usual| usual.per));
    let Some(of) = of else {
        // The range of the other keys depends on `of`.
        table.accept_all();
        return None;
    };
    let amount = |table: &mut Table<'_>, key, default| match of {
        Unit::Bytes => table.bytes(key, default, 1024..=1 << 40),
        Unit::Requests | Unit::Pictures | Unit::Megapixels => table.whole(key, default, 1..=1_000_000_000),
    };
    let usual_rate = usual.filter(|usual| usual.of == of).map(|usual| usual.rate);
    if usual_rate.is_none() && !table.has("rate") {
        let name = dotted(&table.at(&[]));
        table.problem(&[], format!("`{name}` has no `rate`: how many {} per {}?", of.label(), per.label()));
    }
    // The largest allowed request must fit into the burst; otherwise the limit would always refuse it.
    let (largest, setting) = match of {
        Unit::Requests | Unit::Pictures => (1, ""),
        Unit::Bytes => (sizes.upload_bytes, "limits.upload_bytes"),
        Unit::Megapixels => (sizes.pixels.div_ceil(of.scale()), "limits.pixels"),
    };
    let rate = amount(table, "rate", usual_rate.unwrap_or(1024));
    if usual_rate.is_none() {
        table.tell_needed();
    }
    let burst = amount(table, "burst", rate.max(largest));
    if enabled && burst < largest {
        let path = dotted(&table.at(&["burst"]));
        let message = format!("`{path}` must not be below `{setting}`: the largest photo would never pass");
        table.problem(&["burst"], message);
    }
    match Limit::new(name, by, of, rate, per, burst) {
        Ok(limit) => Some((Arc::new(limit), enabled)),
        Err(error) => {
            let key = if error == LimitError::TooFast { "rate" } else { "burst" };
            table.problem(&[key], format!("`{}`: {error}", dotted(&table.at(&[key]))));
            None
        }
    }
}
