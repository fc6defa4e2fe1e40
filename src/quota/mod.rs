//! How much a client may ask for: rates, shares of memory, who is let in at all, and the keys by which
//! clients are known.
//!
//! Rates have two gates. *Admit* counts requests and bytes before an upload is read; *spend* counts
//! pictures and megapixels when the answer has to be made, so that hits cost nothing that protects credit.
//! Limits are data and belong to the configuration; what has memory is here. The trait is async, so that a
//! store which several gateways share can stand behind it as well.

mod client_key;
mod gcra;
mod keys;
mod limit;
mod lists;
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
pub use lists::AddressFilter;
pub use peers::{Notice, Peers, Visit};
pub use shares::{Share, ShareExceeded, ShareLimits, Shares};
pub use words::{Gate, LimitScope, RatePeriod, Unit};

/// What one request takes from one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The limit.
    pub limit: Arc<Limit>,
    /// Whose.
    pub bucket: ClientBucket,
    /// How much, in requests, bytes, pictures or pixels. More than the limit's burst counts as all of it.
    pub amount: u64,
}

/// How a client stands with one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitStatus {
    /// The limit.
    pub limit: Arc<Limit>,
    /// How much is left now, in requests, bytes, pictures or pixels.
    pub remaining: u64,
    /// When there is more than that; zero when nothing has been taken.
    pub more_in: Duration,
    /// When what was asked for can be had, if nobody takes anything meanwhile; zero when it is there.
    pub wait: Duration,
}

/// That a request was too much; nothing was taken from any limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct RateLimited {
    /// The limits that refused it; never empty.
    pub levels: Vec<LimitStatus>,
    /// When the same request will not be refused by these.
    pub wait: Duration,
}

impl RateLimited {
    /// Waits for other limits, too, which did not refuse this time but have been charged for it.
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

/// The memory of limits.
#[async_trait::async_trait]
pub trait Quota: Send + Sync {
    /// Takes every charge, or none of them if one is too much now.
    async fn check(&self, charges: &[Charge]) -> Result<(), RateLimited>;

    /// How things stand, a level for each charge; takes nothing.
    async fn look(&self, charges: &[Charge]) -> Vec<LimitStatus>;

    /// Forgets who has been idle for so long that it makes no difference.
    fn sweep(&self) {}
}

/// Everything about clients that has memory.
pub struct Quotas {
    /// Rates.
    pub rates: Box<dyn Quota>,
    /// Bytes of uploads in memory.
    pub uploads: Shares,
    /// Pixels that are decoded, or wait for it.
    pub pixels: Shares,
    /// Requests that wait for the decoder.
    pub waiting: Shares,
    /// Clients' keys.
    pub keys: KeyStore,
    /// Where requests come from.
    pub peers: Peers,
}

impl Quotas {
    /// Everything but rates in this process, and the keys in a file in `state_dir`.
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

/// With what an upload was let in.
#[derive(Debug)]
pub struct Admission {
    /// What it took from limits.
    pub charges: Vec<Charge>,
    /// Its share of the memory for uploads, free again when the upload is dropped.
    pub share: Share,
}
