//! Settings of every provider that is called over a network: time-outs, retries, circuit breaker and concurrency.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use smart_default::SmartDefault;

use super::kinds::{One, Optional, Seconds};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, SmartDefault)]
#[serde(default)]
pub struct RemoteConfig {
    /// Time-out for connecting, in seconds.
    #[serde(with = "One::<Seconds>")]
    #[schemars(range(min = 0.1, max = 300))]
    #[default(Duration::from_secs(10))]
    pub connect_timeout: Duration,
    /// Time-out for the first byte of a reply, in seconds. Default: `timeout`.
    #[serde(with = "Optional::<Seconds>")]
    #[schemars(range(min = 0.1, max = 3600))]
    pub first_byte_timeout: Option<Duration>,
    /// Maximum retries of a call that cannot have cost credit.
    #[schemars(range(min = 0, max = 10))]
    #[default = 2]
    pub retries: u32,
    /// The circuit breaker.
    pub breaker: BreakerConfig,
    /// Maximum concurrent calls.
    #[schemars(range(min = 1, max = 10_000))]
    #[default = 8]
    pub concurrency: u32,
    /// Maximum number of waiting calls. If it is reached, the next provider is tried.
    #[schemars(range(min = 0, max = 100_000))]
    #[default = 32]
    pub queue: usize,
}

/// When the circuit breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, SmartDefault)]
#[serde(default)]
pub struct BreakerConfig {
    /// The circuit opens when this many of the last 2 x `failures` calls have failed; 0 disables the breaker.
    #[schemars(range(min = 0, max = 32))]
    #[default = 5]
    pub failures: u32,
    /// Seconds until an open circuit allows one call as a probe.
    #[serde(with = "One::<Seconds>")]
    #[schemars(range(min = 0.1, max = 3600))]
    #[default(Duration::from_secs(30))]
    pub pause: Duration,
}

impl BreakerConfig {
    /// How many of the last calls count: twice `failures`.
    pub const fn window(&self) -> u32 {
        2 * self.failures
    }
}
