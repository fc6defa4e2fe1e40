//! The fast in front of the slow, and what becomes of their failures.
//!
//! A value found in a slower tier is put into the faster ones. A tier that fails is counted, warned of
//! once a minute, and otherwise passed over: a full disk costs money later, never an answer now. So this
//! cache never fails a read or a write, and without any tier it is a cache that keeps nothing. What a
//! person asks for, to remove or to clear, does fail when a tier fails.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{Cache, CacheError, Entry, Event, Hit, Key, Observer, Subject, Tier, TierStats};

/// How often at most the same trouble is warned of.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Caches, the fastest first.
pub struct Tiered {
    tiers: Vec<Level>,
    observer: Arc<dyn Observer>,
}

struct Level {
    tier: Tier,
    cache: Arc<dyn Cache>,
    reads: Trouble,
    writes: Trouble,
}

impl Tiered {
    /// Puts caches in front of each other, the fastest first.
    pub fn new(tiers: Vec<(Tier, Arc<dyn Cache>)>, observer: Arc<dyn Observer>) -> Self {
        let level =
            |(tier, cache)| Level { tier, cache, reads: Trouble::default(), writes: Trouble::default() };
        Self { tiers: tiers.into_iter().map(level).collect(), observer }
    }

    /// Puts a value into these tiers; each stands for itself.
    async fn fill(&self, tiers: &[Level], key: &Key, entry: &Entry) {
        for level in tiers {
            if let Err(error) = level.cache.put(key, entry.clone()).await {
                self.observer.event(level.tier, Event::WriteError);
                level.writes.warn(|before| {
                    let (tier, failures) = (level.tier.label(), before + 1);
                    tracing::warn!(
                        tier,
                        failures,
                        "the {tier} cache cannot keep results, so that they may be paid for again: {error}"
                    );
                });
            }
        }
    }
}

#[async_trait]
impl Cache for Tiered {
    async fn get(&self, key: &Key) -> Result<Option<Hit>, CacheError> {
        for (place, level) in self.tiers.iter().enumerate() {
            match level.cache.get(key).await {
                Ok(Some(hit)) => {
                    self.fill(&self.tiers[..place], key, &hit.entry).await;
                    return Ok(Some(hit));
                }
                Ok(None) => {}
                Err(error) => {
                    self.observer.event(level.tier, Event::ReadError);
                    level.reads.warn(|before| {
                        let (tier, failures) = (level.tier.label(), before + 1);
                        tracing::warn!(
                            tier,
                            failures,
                            "the {tier} cache cannot be read, and is passed over: {error}"
                        );
                    });
                }
            }
        }
        Ok(None)
    }

    async fn put(&self, key: &Key, entry: Entry) -> Result<(), CacheError> {
        self.fill(&self.tiers, key, &entry).await;
        Ok(())
    }

    async fn remove(&self, key: &Key) -> Result<bool, CacheError> {
        let mut removed = false;
        // The slowest first: a faster tier cannot be filled again from what is gone.
        for level in self.tiers.iter().rev() {
            removed |= level.cache.remove(key).await?;
        }
        Ok(removed)
    }

    async fn list(&self, subject: &Subject) -> Result<Vec<Key>, CacheError> {
        let mut keys = Vec::new();
        for level in &self.tiers {
            keys.extend(level.cache.list(subject).await?);
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    async fn clear(&self) -> Result<(), CacheError> {
        for level in self.tiers.iter().rev() {
            level.cache.clear().await?;
        }
        Ok(())
    }

    async fn sweep(&self) -> Result<Vec<TierStats>, CacheError> {
        let mut stats = Vec::new();
        for level in &self.tiers {
            stats.extend(level.cache.sweep().await?);
        }
        Ok(stats)
    }
}

/// Trouble that goes on: warned of once a minute, with how much there was in between.
#[derive(Default)]
struct Trouble(Mutex<(Option<Instant>, u64)>);

impl Trouble {
    /// Warns, or only counts; `warn` gets how much went unsaid.
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
    fn trouble_is_told_once_a_minute_and_counted_in_between() {
        let trouble = Trouble::default();
        let mut told = Vec::new();
        for _ in 0..5 {
            trouble.warn(|unsaid| told.push(unsaid));
        }
        assert_eq!(told, [0]);
        trouble.0.lock().unwrap().0 = Instant::now().checked_sub(WARN_EVERY);
        trouble.warn(|unsaid| told.push(unsaid));
        assert_eq!(told, [0, 4]);
    }
}
