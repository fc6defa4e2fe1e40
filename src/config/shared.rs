//! What several replicas have in common.

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

/// What an address of it is.
const REDIS: &str =
    "the address of a Redis or Valkey, such as \"redis://127.0.0.1:6379\" or \"rediss://host:6380/0\"";

/// The Redis that replicas share. It is connected to when the program starts.
#[derive(Clone, Debug)]
pub struct SharedConfig {
    /// Where it is; none is one process by itself.
    pub redis: Option<Address>,
    /// Its password.
    pub password: Option<Secret>,
    /// What all keys begin with.
    pub prefix: String,
    /// Whether the program does not start without it.
    pub required: bool,
    /// How long connecting may take, and each answer.
    pub timeout: Duration,
    /// What becomes of limits on rates while it does not answer.
    pub quota_when_down: WhenDown,
}

/// What becomes of limits on rates while they cannot be shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenDown {
    /// Each process counts for itself.
    #[default]
    Process,
    /// Nothing is limited.
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

    /// How to reach it; none where nothing is shared.
    pub fn options(&self) -> Option<RedisOptions> {
        let password = self.password.as_ref().and_then(Secret::expose).cloned();
        let (prefix, timeout) = (self.prefix.clone(), self.timeout);
        self.redis.clone().map(|address| RedisOptions { address, password, prefix, timeout })
    }
}

/// Not by `Table::read`, which repeats a wrong value: there may be a password in it.
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
