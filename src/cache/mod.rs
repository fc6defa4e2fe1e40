//! The cache: stores bytes under keys and knows nothing of images or credit.
//!
//! The trait `Cache` has one implementation per file: `memory`, `disk`, `objects` for a bucket that many machines
//! share, and `tiered`, which combines them and turns failures of lookups and writes into warnings. Each implementation
//! must pass the conformance suite (`tests/cache`).

mod disk;
mod entry;
mod key;
mod memory;
mod objects;
mod tiered;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;

pub use disk::{DiskCache, DiskOptions};
pub use key::{CacheKey, CacheSubject, EntryKind};
pub use memory::MemoryCache;
pub use objects::{BucketCache, BucketOptions, Credentials};
pub use tiered::{BackgroundWrites, TieredCache};

/// Stores entries for a while. An entry may disappear at any time, but its content is never wrong.
///
/// An error means that the operation failed; the entry may or may not exist. A damaged entry is not an error: it is
/// removed and is a miss.
#[async_trait]
pub trait Cache: Send + Sync {
    /// Looks an entry up; `None` is a miss. Expired and damaged entries are misses.
    async fn get(&self, key: &CacheKey) -> Result<Option<Hit>, CacheError>;

    /// Stores an entry in place of an older one with the same key. If the entry was stored, every process that shares
    /// the cache finds it after `put` has returned, or, with [`BackgroundWrites`], after the background write has
    /// ended. A cache with a time-out returns within that time-out. `Ok` does not guarantee that the entry was stored:
    /// an entry that is too large or expired may be skipped.
    async fn put(&self, key: &CacheKey, entry: Entry) -> Result<(), CacheError>;

    /// Removes an entry; returns whether it existed.
    async fn remove(&self, key: &CacheKey) -> Result<bool, CacheError>;

    /// The keys of all entries about a subject. Slow: for operators, not for requests.
    async fn list(&self, subject: &CacheSubject) -> Result<Vec<CacheKey>, CacheError>;

    /// Removes everything.
    async fn clear(&self) -> Result<(), CacheError>;

    /// Removes expired entries and counts the remaining ones, because other processes may have added or removed some.
    /// Returns the number and size of the entries of each tier, the fastest tier first. Must be called periodically.
    async fn sweep(&self) -> Result<Vec<TierStats>, CacheError>;
}

/// A value and its creation time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub bytes: Bytes,
    /// When the entry was made. In every tier, the time to live begins at this time.
    pub made: SystemTime,
}

impl Entry {
    /// An entry made now.
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes, made: SystemTime::now() }
    }

    /// The remaining time to live; zero if the entry has expired.
    fn left(&self, ttl: Duration) -> Duration {
        // After the clock was set back, the creation time may be in the future. Such an entry counts as new.
        ttl.saturating_sub(self.made.elapsed().unwrap_or_default())
    }

    fn expired(&self, ttl: Option<Duration>) -> bool {
        ttl.is_some_and(|ttl| self.left(ttl).is_zero())
    }
}

/// A hit and its tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    pub entry: Entry,
    pub tier: Tier,
}

/// A tier of the cache, as in metrics and `Cache-Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    Memory,
    Disk,
    /// A bucket that other machines use, too.
    Store,
}

impl Tier {
    /// Every tier, the fastest first.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Disk, Self::Store];

    /// The label in metrics and `Cache-Status`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Store => "store",
        }
    }

    /// Whether other machines use it, too.
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::Store)
    }
}

/// The number and size of a tier's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierStats {
    pub tier: Tier,
    /// The number of entries.
    pub entries: u64,
    /// Bytes of entries, including overhead.
    pub bytes: u64,
}

/// An event for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheEvent {
    Hit,
    Miss,
    /// An entry was evicted.
    Evicted,
    /// An entry was damaged or belonged to another key, and was removed.
    Damaged,
    /// A lookup failed.
    ReadError,
    /// Storing an entry failed.
    WriteError,
}

impl CacheEvent {
    pub const ALL: [Self; 6] =
        [Self::Hit, Self::Miss, Self::Evicted, Self::Damaged, Self::ReadError, Self::WriteError];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Evicted => "evicted",
            Self::Damaged => "damaged",
            Self::ReadError => "read_error",
            Self::WriteError => "write_error",
        }
    }
}

/// Receives events. Its methods must return quickly.
pub trait CacheObserver: Send + Sync {
    fn event(&self, tier: Tier, event: CacheEvent);

    /// The contents of a tier have changed.
    fn size_changed(&self, stats: TierStats);
}

/// Ignores all events.
impl CacheObserver for () {
    fn event(&self, _: Tier, _: CacheEvent) {}
    fn size_changed(&self, _: TierStats) {}
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum CacheError {
    #[error("{path}: {source}")]
    Io { path: String, source: Arc<std::io::Error> },
    /// A request to the bucket failed.
    #[error("{store}: {why}")]
    Store {
        /// As `s3://bucket/prefix`.
        store: String,
        /// The failure, without addresses and keys.
        why: String,
    },
    /// The circuit of a failed bucket is open.
    #[error("{store} is paused for {:.0} s: {why}", .left.as_secs_f64().ceil())]
    Paused {
        /// As `s3://bucket/prefix`.
        store: String,
        /// The remaining time of the pause.
        left: Duration,
        /// The last failure.
        why: String,
    },
    /// The work panicked, or the process is ending.
    #[error("the cache operation was aborted")]
    Stopped,
}

impl CacheError {
    fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { path, source: Arc::new(source) }
    }
}
