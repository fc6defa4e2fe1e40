//! Rate limits, shares of scarce resources, address lists and API keys.
//!
//! Rate limits have two gates. *Admit* counts requests and bytes before an upload is read. *Spend* counts images and
//! megapixels when a rendition must be made, so that cache hits take nothing from the limits that protect credit.
//! The limits are in the configuration, and their counters are in this module. The trait is async so that replicas can
//! share the counters in Redis.

mod client_key;
mod gcra;
mod keys;
mod limit;
mod peers;
mod redis;
mod shares;
mod words;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use self::redis::InRedis;
pub use client_key::ClientBucket;
pub use gcra::InProcess;
pub use keys::{KeyStatus, KeyStore, KeysError, NewKey, StoredKey, is_name as is_key_name};
pub use limit::{Limit, LimitError};
pub use peers::{Notice, Peers, Visit};
pub use shares::{Share, ShareExceeded, ShareLimits, Shares};
pub use words::{Gate, LimitScope, RatePeriod, Unit};

/// What a request takes from a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    pub limit: Arc<Limit>,
    /// The client whose counter is charged.
    pub bucket: ClientBucket,
    /// Requests, bytes, images or pixels. More than the burst counts as the burst.
    pub amount: u64,
}

/// A client's counter for a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitStatus {
    pub limit: Arc<Limit>,
    /// The amount that is left, in requests, bytes, images or pixels.
    pub remaining: u64,
    /// The time until more is available; zero if the whole burst is available.
    pub more_in: Duration,
    /// The time until the requested amount is available, if nothing else is taken; zero if it is available now.
    pub wait: Duration,
}

/// The rejection of a request. The rejected check took nothing from any limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct RateLimited {
    /// The limits that rejected the request; never empty.
    pub levels: Vec<LimitStatus>,
    /// The time until all of these limits accept the same request.
    pub wait: Duration,
}

impl RateLimited {
    /// Extends the waiting time to that of `others`: limits that were charged already and that a retry charges again.
    pub fn and_then(mut self, others: &[LimitStatus]) -> Self {
        self.wait = others.iter().map(|level| level.wait).fold(self.wait, Duration::max);
        self
    }
}

impl fmt::Display for RateLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits: Vec<String> = self.levels.iter().map(|level| level.limit.to_string()).collect();
        write!(f, "{}", limits.join("; "))
    }
}

/// The counters of rate limits.
#[async_trait::async_trait]
pub trait Quota: Send + Sync {
    /// Takes every charge, or none of them if one exceeds its limit.
    async fn check(&self, charges: &[Charge]) -> Result<(), RateLimited>;

    /// The status of the counter of each charge; takes nothing.
    async fn look(&self, charges: &[Charge]) -> Vec<LimitStatus>;

    /// Removes the counters of clients that can use their whole burst again.
    fn sweep(&self) {}
}

/// Counters and keys, which outlive a snapshot.
pub struct Quotas {
    pub rates: Box<dyn Quota>,
    /// Bytes of uploads in memory.
    pub uploads: Shares,
    /// Pixels that are being decoded or wait for decoding.
    pub pixels: Shares,
    /// Requests that wait for the decoder.
    pub waiting: Shares,
    pub keys: KeyStore,
    /// Observes where requests come from.
    pub peers: Peers,
}

impl Quotas {
    /// Uses the given rate limits and the keys of a state folder. Everything else is in this process and empty.
    pub fn new(rates: Box<dyn Quota>, state_dir: &Path) -> Self {
        Self {
            rates,
            uploads: Shares::default(),
            pixels: Shares::default(),
            waiting: Shares::default(),
            keys: KeyStore::in_folder(state_dir),
            peers: Peers::default(),
        }
    }
}

/// What an admitted upload holds.
#[derive(Debug)]
pub struct Admission {
    /// What it took from limits.
    pub charges: Vec<Charge>,
    /// Its share of the upload memory, which is returned on drop.
    pub share: Share,
}
