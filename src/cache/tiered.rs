//! Combines caches, the fastest first, and handles their failures.
//!
//! An entry found in a slower tier is copied to the faster ones. A tier that fails is skipped, so `get` and `put` never
//! return an error here: a full disk may cost credit later, but it fails no request. Every failure is counted. For each
//! tier, at most one failed read and one failed write per minute are logged. The other operations (`remove`, `list`,
//! `clear`, `sweep`) fail if a tier fails. Without any tier, nothing is cached.
//!
//! Writing to a shared tier is slow. With [`BackgroundWrites`], a task does it, and `put` does not wait for the task.
//! Without them, when `put` returns, other machines can read the entry.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{
    Cache, CacheError, CacheEvent, CacheKey, CacheObserver, CacheSubject, Entry, Hit, Tier, TierStats,
};
use crate::tasks::Tasks;

/// The minimum time between two log messages about a continuing failure.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Maximum number of entries that are being written in the background. Beyond that, `put` waits, so that a slow bucket
/// does not fill the memory.
const MOST_BEHIND: usize = 64;

/// Caches, the fastest first.
pub struct TieredCache(Arc<Inner>);

struct Inner {
    tiers: Vec<CacheLevel>,
    observer: Arc<dyn CacheObserver>,
    behind: Option<BackgroundWrites>,
}

struct CacheLevel {
    tier: Tier,
    cache: Arc<dyn Cache>,
    reads: RepeatedFailure,
    writes: RepeatedFailure,
}

/// Writes to shared tiers in tasks that shutdown waits for, so that `put` does not wait for these tiers.
pub struct BackgroundWrites {
    tasks: Tasks,
    slots: Arc<Semaphore>,
}

impl BackgroundWrites {
    pub fn new(tasks: Tasks) -> Self {
        Self { tasks, slots: Arc::new(Semaphore::new(MOST_BEHIND)) }
    }
}

impl TieredCache {
    /// Combines caches, the fastest first. Without `behind`, `put` waits for shared tiers, too: when `put` returns,
    /// other machines can read the entry, if it could be stored.
    pub fn new(
        tiers: Vec<(Tier, Arc<dyn Cache>)>,
        behind: Option<BackgroundWrites>,
        observer: Arc<dyn CacheObserver>,
    ) -> Self {
        let level = |(tier, cache)| CacheLevel {
            tier,
            cache,
            reads: RepeatedFailure::default(),
            writes: RepeatedFailure::default(),
        };
        Self(Arc::new(Inner { tiers: tiers.into_iter().map(level).collect(), behind, observer }))
    }
}

impl Inner {
    /// Stores an entry in each of these tiers independently.
    async fn fill(&self, tiers: impl Iterator<Item = &CacheLevel>, key: &CacheKey, entry: &Entry) {
        for level in tiers {
            if let Err(error) = level.cache.put(key, entry.clone()).await {
                self.observer.event(level.tier, CacheEvent::WriteError);
                level.writes.warn(|before| {
                    let (tier, failures) = (level.tier.label(), before + 1);
                    tracing::warn!(
                        tier,
                        failures,
                        "the {tier} cache cannot store results, so they may be paid for again: {error}"
                    );
                });
            }
        }
    }

    async fn fill_shared(&self, key: &CacheKey, entry: &Entry) {
        self.fill(self.tiers.iter().filter(|level| level.tier.is_shared()), key, entry).await;
    }
}

#[async_trait]
impl Cache for TieredCache {
    async fn get(&self, key: &CacheKey) -> Result<Option<Hit>, CacheError> {
        let tiers = &self.0.tiers;
        for (index, level) in tiers.iter().enumerate() {
            match level.cache.get(key).await {
                Ok(Some(hit)) => {
                    self.0.fill(tiers[..index].iter(), key, &hit.entry).await;
                    return Ok(Some(hit));
                }
                Ok(None) => {}
                Err(error) => {
                    self.0.observer.event(level.tier, CacheEvent::ReadError);
                    level.reads.warn(|before| {
                        let (tier, failures) = (level.tier.label(), before + 1);
                        tracing::warn!(
                            tier,
                            failures,
                            "the {tier} cache cannot be read and is skipped: {error}"
                        );
                    });
                }
            }
        }
        Ok(None)
    }

    async fn put(&self, key: &CacheKey, entry: Entry) -> Result<(), CacheError> {
        let inner = &self.0;
        let own = inner.fill(inner.tiers.iter().filter(|level| !level.tier.is_shared()), key, &entry);
        if !inner.tiers.iter().any(|level| level.tier.is_shared()) {
            own.await;
            return Ok(());
        }
        let background = inner
            .behind
            .as_ref()
            .and_then(|behind| Some((behind, behind.slots.clone().try_acquire_owned().ok()?)));
        match background {
            Some((behind, slot)) => {
                let (inner, key, entry) = (inner.clone(), *key, entry.clone());
                let write = async move {
                    inner.fill_shared(&key, &entry).await;
                    drop(slot);
                };
                behind.tasks.spawn(write);
                own.await;
            }
            None => {
                futures::join!(own, inner.fill_shared(key, &entry));
            }
        }
        Ok(())
    }

    async fn remove(&self, key: &CacheKey) -> Result<bool, CacheError> {
        let mut removed = false;
        // The slowest tier first, so that a concurrent lookup cannot copy the entry back to a faster tier.
        for level in self.0.tiers.iter().rev() {
            removed |= level.cache.remove(key).await?;
        }
        Ok(removed)
    }

    async fn list(&self, subject: &CacheSubject) -> Result<Vec<CacheKey>, CacheError> {
        let mut keys = Vec::new();
        for level in &self.0.tiers {
            keys.extend(level.cache.list(subject).await?);
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    async fn clear(&self) -> Result<(), CacheError> {
        for level in self.0.tiers.iter().rev() {
            level.cache.clear().await?;
        }
        Ok(())
    }

    /// Sweeps this machine's tiers only. A sweep of a shared tier needs a paid request per thousand entries, and every
    /// machine would send these requests.
    async fn sweep(&self) -> Result<Vec<TierStats>, CacheError> {
        let mut stats = Vec::new();
        for level in self.0.tiers.iter().filter(|level| !level.tier.is_shared()) {
            stats.extend(level.cache.sweep().await?);
        }
        Ok(stats)
    }
}

/// A continuing failure, which is logged at most once a minute with the number of failures since the last message.
#[derive(Default)]
struct RepeatedFailure(Mutex<(Option<Instant>, u64)>);

impl RepeatedFailure {
    /// Calls `warn` with the number of failures since the last message that were not logged. If that message is less
    /// than [`WARN_EVERY`] old, only counts the failure.
    fn warn(&self, warn: impl FnOnce(u64)) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, unsaid) = &mut *state;
        if last.is_some_and(|last| last.elapsed() < WARN_EVERY) {
            *unsaid += 1;
            return;
        }
        let before = std::mem::take(unsaid);
        *last = Some(Instant::now());
        drop(state);
        warn(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_failure_is_logged_once_a_minute_and_counted_in_between() {
        let trouble = RepeatedFailure::default();
        let mut warnings = Vec::new();
        for _ in 0..5 {
            trouble.warn(|unsaid| warnings.push(unsaid));
        }
        assert_eq!(warnings, [0]);
        trouble.0.lock().unwrap().0 = Instant::now().checked_sub(WARN_EVERY);
        trouble.warn(|unsaid| warnings.push(unsaid));
        assert_eq!(warnings, [0, 4]);
    }
}
