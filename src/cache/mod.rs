//! Nothing is paid for twice: what was made is kept, and found again by its content.
//!
//! This room keeps opaque bytes under keys and knows nothing of pictures or money. There is one trait,
//! one implementation a file, and one conformance suite (`tests/cache`) that each of them passes:
//! `memory`, `disk`, `objects` for a bucket that many machines share, and `tiered`, which puts the fast in
//! front of the slow and turns their failures into warnings.

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

/// Keeps values for a while. Everything may be forgotten at any time; nothing may be wrong.
///
/// An error means that the cache could not do what it was asked, which says nothing about whether the
/// value is there. A damaged value is no error: it is dropped, and is a miss.
#[async_trait]
pub trait Cache: Send + Sync {
    /// What is kept under a key; `None` is a miss. Expired or damaged values are misses.
    async fn get(&self, key: &CacheKey) -> Result<Option<Hit>, CacheError>;

    /// Keeps a value, in place of an older one of the same key. Once this has returned, whoever shares the
    /// place where values are kept finds this one there, if it was kept; it returns within the cache's own
    /// limit on time, whether it was or not. `Ok` does not say that it was: a value that is too large, or
    /// expired already, may be left out at once.
    async fn put(&self, key: &CacheKey, entry: Entry) -> Result<(), CacheError>;

    /// Forgets one value; whether there was one.
    async fn remove(&self, key: &CacheKey) -> Result<bool, CacheError>;

    /// The keys of everything kept about a subject. Slow: for operators, not for requests.
    async fn list(&self, subject: &CacheSubject) -> Result<Vec<CacheKey>, CacheError>;

    /// Forgets everything.
    async fn clear(&self) -> Result<(), CacheError>;

    /// What is kept now, by tier, the fastest first. Cleans up on the way: what has expired is gone
    /// afterwards and what others have changed is counted, so that it is worth calling now and then.
    async fn sweep(&self) -> Result<Vec<TierStats>, CacheError>;
}

/// A value and its age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub bytes: Bytes,
    /// When it was made. Its time to live counts from here, through whatever tiers it passes.
    pub made: SystemTime,
}

impl Entry {
    /// A value made now.
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes, made: SystemTime::now() }
    }

    /// How long it has to live; zero when it has expired.
    fn left(&self, ttl: Duration) -> Duration {
        // A value from the future, from a clock since corrected, counts as new.
        ttl.saturating_sub(self.made.elapsed().unwrap_or_default())
    }

    fn expired(&self, ttl: Option<Duration>) -> bool {
        ttl.is_some_and(|ttl| self.left(ttl).is_zero())
    }
}

/// A value that was found, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The value.
    pub entry: Entry,
    /// The tier that had it.
    pub tier: Tier,
}

/// A kind of cache, for metrics and for `Cache-Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// In this process.
    Memory,
    /// In a folder of this machine.
    Disk,
    /// In a store that other machines use, too.
    Store,
}

impl Tier {
    /// Every tier, the fastest first.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Disk, Self::Store];

    /// The label in metrics and in `Cache-Status`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Store => "store",
        }
    }

    /// Whether other machines use it, too, and it is reached over a network.
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::Store)
    }
}

/// What a tier keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierStats {
    /// Which tier.
    pub tier: Tier,
    /// How many values.
    pub entries: u64,
    /// Their size, in bytes, with what is kept beside them.
    pub bytes: u64,
}

/// Something worth counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheEvent {
    /// A value was found.
    Hit,
    /// A value was not found.
    Miss,
    /// A value had to go to make room.
    Evicted,
    /// A value was damaged, or not what its key says, and was dropped.
    Damaged,
    /// A value could not be looked up.
    ReadError,
    /// A value could not be kept, or not be removed.
    WriteError,
}

impl CacheEvent {
    /// Every event.
    pub const ALL: [Self; 6] =
        [Self::Hit, Self::Miss, Self::Evicted, Self::Damaged, Self::ReadError, Self::WriteError];

    /// The label in metrics.
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

/// Told what happens; must be quick.
pub trait CacheObserver: Send + Sync {
    /// Something happened in a tier.
    fn event(&self, tier: Tier, event: CacheEvent);

    /// What a tier keeps has changed.
    fn keeps(&self, stats: TierStats);
}

/// Nobody is told.
impl CacheObserver for () {
    fn event(&self, _: Tier, _: CacheEvent) {}
    fn keeps(&self, _: TierStats) {}
}

/// Why a cache could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CacheError {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// A store elsewhere did not do what it was asked.
    #[error("{store}: {why}")]
    Store {
        /// Which, as `s3://bucket/prefix`.
        store: String,
        /// What became of the request; no address and no key stands in it.
        why: String,
    },
    /// A store that has failed is not asked for a while.
    #[error("{store} is paused for {:.0} s: {why}", .left.as_secs_f64().ceil())]
    Paused {
        /// Which, as `s3://bucket/prefix`.
        store: String,
        /// For how long.
        left: Duration,
        /// How it failed.
        why: String,
    },
    /// A defect, or the end of the process: the work stopped in the middle.
    #[error("the work on the cache stopped in the middle")]
    Stopped,
}

impl CacheError {
    fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { path, source: Arc::new(source) }
    }
}
