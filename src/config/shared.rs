//! Settings of the Redis that several replicas share.

use std::time::Duration;

use serde_json::Value as Json;

use super::problem::dotted;
use super::reference::Words;
use super::secret::Secret;
use super::table::Table;
use crate::shared::{Address, AddressError, RedisOptions};

const WORDS: Words = &[
    (
        "redis",
        "URL of a Redis or Valkey server. All gateways that use it share rate limits, budgets, usage and running calls.",
    ),
    ("password", "Password of the Redis server."),
    ("prefix", "Prefix of all keys in Redis. Gateways with different prefixes share nothing."),
    ("required", "Whether the start fails while Redis is unavailable."),
    ("timeout", "Time-out for connecting and for each command, in seconds."),
    (
        "quota_when_down",
        "Rate limits while Redis is unavailable: counted by each process (\"process\") or not applied (\"off\").",
    ),
];

/// What the address of Redis must be, for error messages.
const REDIS: &str =
    "the address of a Redis or Valkey, such as \"redis://127.0.0.1:6379\" or \"rediss://host:6380/0\"";

/// The program connects when it starts.
#[derive(Clone, Debug)]
pub struct SharedConfig {
    /// None: a single process without Redis.
    pub redis: Option<Address>,
    pub password: Option<Secret>,
    /// The prefix of all Redis keys.
    pub prefix: String,
    /// Whether the start fails if Redis cannot be reached.
    pub required: bool,
    /// Time-out of connecting and of each reply.
    pub timeout: Duration,
    /// What happens to rate limits while Redis does not answer.
    pub quota_when_down: WhenDown,
}

/// What happens to rate limits while Redis does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenDown {
    /// Each process counts on its own.
    #[default]
    Process,
    /// Rate limits are disabled.
    Off,
}

impl SharedConfig {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        const WHEN_DOWN: [(&str, WhenDown); 2] = [("process", WhenDown::Process), ("off", WhenDown::Off)];
        const PREFIX: &str = "1 to 64 of a-z, A-Z, 0-9, `-`, `_`, `.` and `:`";
        table.describe(WORDS);
        let password = table.secret("password");
        if let Some(why) = password.as_ref().and_then(Secret::why_unset) {
            table.warning(format!("`shared.password` has no value: {why}"));
        }
        let usable = |text: &str| {
            let known = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
            (1..=64).contains(&text.len()) && text.chars().all(known)
        };
        Self {
            redis: address(table),
            password,
            prefix: table.text("prefix", "pixcolor".to_owned(), |text| {
                usable(text).then(|| text.to_owned()).ok_or_else(|| PREFIX.to_owned())
            }),
            required: table.flag("required", false),
            timeout: table.seconds("timeout", Duration::from_secs(1), 0.05..=30.0),
            quota_when_down: table.choice("quota_when_down", &WHEN_DOWN).unwrap_or_default(),
        }
    }

    /// The options of the connection; none if no Redis is configured.
    pub fn options(&self) -> Option<RedisOptions> {
        let password = self.password.as_ref().and_then(Secret::expose).cloned();
        let (prefix, timeout) = (self.prefix.clone(), self.timeout);
        self.redis.clone().map(|address| RedisOptions { address, password, prefix, timeout })
    }
}

/// Reads the address. `Table::read` is not used, because it quotes an invalid value, which may contain a password.
fn address(table: &mut Table<'_>) -> Option<Address> {
    let (value, origin) = table.take("redis", Json::Null, false, || REDIS.to_owned())?;
    let parsed = value.as_str().ok_or(AddressError::Unknown).and_then(str::parse::<Address>);
    match parsed {
        Ok(address) => {
            table.note_entry("redis", Json::from(address.to_string()), false, origin);
            Some(address)
        }
        Err(error) => {
            table.note_problem(origin, format!("`{}` {error}", dotted(&table.at(&["redis"]))));
            None
        }
    }
}
