//! Settings of the Redis that several replicas share.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use super::kinds::{One, Optional, Seconds, kind};
use super::secret::Secret;
use crate::shared::{Address, RedisOptions};

/// State that several gateways share.
// The program connects when it starts.
#[derive(Clone, Debug, Deserialize, JsonSchema, SmartDefault)]
#[serde(default)]
pub struct SharedConfig {
    /// URL of a Redis or Valkey server. All gateways that use it share rate limits, budgets, usage and running calls.
    #[serde(with = "Optional::<RedisUrl>")]
    pub redis: Option<Address>,
    /// Password of the Redis server.
    pub password: Option<Secret>,
    /// Prefix of all keys in Redis. Gateways with different prefixes share nothing.
    #[serde(with = "One::<KeyPrefix>")]
    #[default("pixcolor".to_owned())]
    pub prefix: String,
    /// Whether the start fails while Redis is unavailable.
    pub required: bool,
    /// Time-out for connecting and for each command, in seconds.
    #[serde(with = "One::<Seconds>")]
    #[schemars(range(min = 0.05, max = 30))]
    #[default(Duration::from_secs(1))]
    pub timeout: Duration,
    /// Rate limits while Redis is unavailable: counted by each process ("process") or not applied ("off").
    pub quota_when_down: WhenDown,
}

/// What happens to rate limits while Redis does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenDown {
    /// Each process counts on its own.
    #[default]
    Process,
    /// Rate limits are disabled.
    Off,
}

kind!(
    RedisUrl: Address, "redis-url",
    "the address of a Redis or Valkey, such as \"redis://127.0.0.1:6379\" or \"rediss://host:6380/0\"", "",
    |text| text.parse().map_err(|error: crate::shared::AddressError| error.to_string())
);
kind!(
    KeyPrefix: String, "key-prefix", "1 to 64 of a-z, A-Z, 0-9, `-`, `_`, `.` and `:`", "", |text| {
        let known = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        let usable = (1..=64).contains(&text.len()) && text.chars().all(known);
        usable.then(|| text.to_owned())
    }
);

impl SharedConfig {
    pub(super) fn warning(&self) -> Option<String> {
        let why = self.password.as_ref()?.why_unset()?;
        Some(format!("`shared.password` has no value: {why}"))
    }

    /// The options of the connection; `None` if no Redis is configured.
    pub fn options(&self) -> Option<RedisOptions> {
        let password = self.password.as_ref().and_then(Secret::expose).cloned();
        let (prefix, timeout) = (self.prefix.clone(), self.timeout);
        self.redis.clone().map(|address| RedisOptions { address, password, prefix, timeout })
    }
}
