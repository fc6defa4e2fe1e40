//! Cache metrics by tier.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::Metrics;
use super::make::Make;
use crate::cache::{CacheEvent, CacheObserver, Tier, TierStats};

pub(super) struct Caches {
    lookups: IntCounterVec,
    evictions: IntCounterVec,
    errors: IntCounterVec,
    entries: IntGaugeVec,
    bytes: IntGaugeVec,
}

impl Caches {
    pub(super) fn new(make: &Make<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            lookups: make.counter(
                "pixcolor_cache_lookups_total",
                "Lookups of entries, by tier and result: hit, miss. A rendition consists of two entries.",
                &["tier", "result"],
            )?,
            evictions: make.counter(
                "pixcolor_cache_evictions_total",
                "Entries evicted to free space, by tier.",
                &["tier"],
            )?,
            errors: make.counter(
                "pixcolor_cache_errors_total",
                "Errors by tier: damaged entries, failed reads and writes, and reads and writes skipped during a pause \
                 after failures.",
                &["tier", "error"],
            )?,
            entries: make.level("pixcolor_cache_entries", "Entries in the cache, in memory and on disk.", &["tier"])?,
            bytes: make.level("pixcolor_cache_bytes", "Bytes in the cache, in memory and on disk.", &["tier"])?,
        })
    }
}

impl CacheObserver for Metrics {
    fn event(&self, tier: Tier, event: CacheEvent) {
        let caches = &self.0.cache;
        let labels = [tier.label(), event.label()];
        match event {
            CacheEvent::Hit | CacheEvent::Miss => caches.lookups.with_label_values(&labels).inc(),
            CacheEvent::Evicted => caches.evictions.with_label_values(&labels[..1]).inc(),
            CacheEvent::Damaged | CacheEvent::ReadError | CacheEvent::WriteError => {
                caches.errors.with_label_values(&labels).inc();
            }
        }
    }

    fn size_changed(&self, stats: TierStats) {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let tier = [stats.tier.label()];
        self.0.cache.entries.with_label_values(&tier).set(count(stats.entries));
        self.0.cache.bytes.with_label_values(&tier).set(count(stats.bytes));
        if stats.tier == Tier::Disk {
            // An alert watches for the first event, so the counter must exist at 0.
            for error in [CacheEvent::Damaged, CacheEvent::ReadError, CacheEvent::WriteError] {
                self.0.cache.errors.with_label_values(&[tier[0], error.label()]);
            }
        }
    }
}
