//! What every provider that is asked over a network has: how long to wait, how often to ask again, when
//! to leave it alone, and how many calls at once.

use std::time::Duration;

use super::reference::Words;
use super::table::Table;

const WORDS: Words = &[
    ("connect_timeout", "Time-out for connecting, in seconds."),
    ("first_byte_timeout", "Time-out for the first byte of a reply, in seconds. Default: `timeout`."),
    ("retries", "Maximum retries of a call that cannot have cost credit."),
    ("breaker", "The circuit breaker."),
    ("concurrency", "Maximum concurrent calls."),
    ("queue", "Calls that may wait before further ones go to the next provider."),
];
const BREAKER_WORDS: Words = &[
    (
        "failures",
        "Failures within the last 2 x `failures` calls that open the circuit; 0 disables the breaker.",
    ),
    ("pause", "Seconds until an open circuit allows one call as a probe."),
];

/// Settings of a provider elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteConfig {
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long an answer may take to begin; none is as long as the call may take.
    pub first_byte_timeout: Option<Duration>,
    /// How often a call that cannot have cost anything is made again.
    pub retries: u32,
    /// When it is left alone.
    pub breaker: BreakerConfig,
    /// How many calls may be under way at once.
    pub concurrency: u32,
    /// How many calls may wait for their turn before others are refused.
    pub queue: usize,
}

impl Default for RemoteConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: None,
            retries: 2,
            breaker: BreakerConfig::default(),
            concurrency: 8,
            queue: 32,
        }
    }
}

/// When a provider that fails is left alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// So many failures among twice as many calls; 0 never.
    pub failures: u32,
    /// For so long.
    pub pause: Duration,
}

impl BreakerConfig {
    /// How many calls are looked back at.
    pub const fn window(&self) -> u32 {
        2 * self.failures
    }
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { failures: 5, pause: Duration::from_secs(30) }
    }
}

impl BreakerConfig {
    fn read(table: &mut Table<'_>, default: Self) -> Self {
        table.describe(BREAKER_WORDS);
        Self {
            failures: table.whole("failures", default.failures, 0..=32),
            pause: table.seconds("pause", default.pause, 0.1..=3600.0),
        }
    }
}

impl RemoteConfig {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        table.describe(WORDS);
        let default = Self::default();
        Self {
            connect_timeout: table.seconds("connect_timeout", default.connect_timeout, 0.1..=300.0),
            first_byte_timeout: table.optional_seconds("first_byte_timeout", 0.1..=3600.0),
            retries: table.whole("retries", default.retries, 0..=10),
            breaker: table.table("breaker", |table| BreakerConfig::read(table, default.breaker)),
            concurrency: table.whole("concurrency", default.concurrency, 1..=10_000),
            queue: table.whole("queue", default.queue, 0..=100_000),
        }
    }
}
