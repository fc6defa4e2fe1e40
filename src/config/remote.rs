//! Settings of every provider that is called over a network: time-outs, retries, circuit breaker and concurrency.

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteConfig {
    /// Time-out of connecting.
    pub connect_timeout: Duration,
    /// Time-out until the response begins; none: until the call's time-out.
    pub first_byte_timeout: Option<Duration>,
    /// Maximum number of retries. Only a call that cannot have cost anything is retried.
    pub retries: u32,
    pub breaker: BreakerConfig,
    /// Maximum number of calls at once.
    pub concurrency: u32,
    /// Maximum number of calls that wait; the gateway refuses further ones.
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

/// When the circuit breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// The number of failures, among the last `window()` calls, that opens the circuit breaker; 0 disables it.
    pub failures: u32,
    /// How long the circuit breaker stays open.
    pub pause: Duration,
}

impl BreakerConfig {
    /// How many of the last calls count: twice `failures`.
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
