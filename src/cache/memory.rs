//! A cache in this process, bounded in bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::Expiry;
use moka::future::Cache as Moka;
use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;

use super::{
    Cache, CacheError, CacheEvent, CacheKey, CacheObserver, CacheSubject, Entry, Hit, Tier, TierStats,
};

/// The overhead of an entry, in bytes: keys, counters, queues, the timer of its expiry. Measured with 200,000 small
/// entries.
const OVERHEAD: u64 = 500;

/// The unit of moka's weights in bytes. The weights have 32 bits. In this unit, even the largest entry weighs far less
/// than their maximum.
const UNIT: u64 = 64;

/// A cache in memory, which evicts the least recently used entries.
pub struct MemoryCache {
    values: Moka<CacheKey, Entry>,
    ttl: Option<Duration>,
    observer: Arc<dyn CacheObserver>,
}

impl MemoryCache {
    /// Creates a cache with this size limit in bytes and this time to live.
    pub fn new(max_bytes: u64, ttl: Option<Duration>, observer: Arc<dyn CacheObserver>) -> Self {
        let eviction_observer = observer.clone();
        let values = Moka::builder()
            .max_capacity(max_bytes / UNIT)
            .weigher(|_, entry: &Entry| weight(entry))
            // Evicts the least recently used entry. The least frequently used one could be a new paid result.
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(TimeToLive(ttl))
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    eviction_observer.event(Tier::Memory, CacheEvent::Evicted);
                }
            })
            .build();
        Self { values, ttl, observer }
    }

    /// Runs moka's pending work, then reports and returns the size. Without this call, moka enforces the size limit
    /// only after 64 new entries.
    async fn settle(&self) -> TierStats {
        self.values.run_pending_tasks().await;
        let (entries, bytes) = (self.values.entry_count(), self.values.weighted_size() * UNIT);
        let stats = TierStats { tier: Tier::Memory, entries, bytes };
        self.observer.size_changed(stats);
        stats
    }
}

fn weight(entry: &Entry) -> u32 {
    u32::try_from((entry.bytes.len() as u64 + OVERHEAD).div_ceil(UNIT)).unwrap_or(u32::MAX)
}

struct TimeToLive(Option<Duration>);

impl Expiry<CacheKey, Entry> for TimeToLive {
    fn expire_after_create(&self, _: &CacheKey, entry: &Entry, _: Instant) -> Option<Duration> {
        self.0.map(|ttl| entry.left(ttl))
    }

    fn expire_after_update(
        &self,
        _: &CacheKey,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.0.map(|ttl| entry.left(ttl))
    }
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, key: &CacheKey) -> Result<Option<Hit>, CacheError> {
        let hit = self.values.get(key).await.map(|entry| Hit { entry, tier: Tier::Memory });
        self.observer.event(Tier::Memory, if hit.is_some() { CacheEvent::Hit } else { CacheEvent::Miss });
        Ok(hit)
    }

    async fn put(&self, key: &CacheKey, entry: Entry) -> Result<(), CacheError> {
        if entry.expired(self.ttl) {
            return Ok(());
        }
        self.values.insert(*key, entry).await;
        self.settle().await;
        Ok(())
    }

    async fn remove(&self, key: &CacheKey) -> Result<bool, CacheError> {
        let removed = self.values.remove(key).await.is_some();
        self.settle().await;
        Ok(removed)
    }

    async fn list(&self, subject: &CacheSubject) -> Result<Vec<CacheKey>, CacheError> {
        Ok(self.values.iter().filter(|(key, _)| key.subject == *subject).map(|(key, _)| *key).collect())
    }

    async fn clear(&self) -> Result<(), CacheError> {
        self.values.invalidate_all();
        self.settle().await;
        Ok(())
    }

    async fn sweep(&self) -> Result<Vec<TierStats>, CacheError> {
        Ok(vec![self.settle().await])
    }
}
