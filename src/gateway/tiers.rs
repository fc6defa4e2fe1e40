//! The one place that knows all caches, and puts those in front of each other that are configured.

use std::sync::Arc;

use crate::cache::{Cache, Disk, DiskOptions, Memory, Observer, Tier, Tiered};
use crate::config::CacheConfig;

/// The tiers as configured. Looks at everything on the disk: not for async threads. A disk that cannot be
/// used is warned of; results are then paid for again after a restart, which is better than not to start.
pub fn open_cache(config: &CacheConfig, observer: Arc<dyn Observer>) -> Arc<dyn Cache> {
    let mut tiers: Vec<(Tier, Arc<dyn Cache>)> = Vec::new();
    if config.enabled && config.memory > 0 {
        tiers.push((Tier::Memory, Arc::new(Memory::new(config.memory, config.ttl, observer.clone()))));
    }
    match open_disk(config, observer.clone()) {
        Some(Ok(disk)) => tiers.push((Tier::Disk, Arc::new(disk))),
        Some(Err(error)) => {
            tracing::warn!("results are not kept on disk, because `cache.dir` cannot be used: {error}");
        }
        None => {}
    }
    Arc::new(Tiered::new(tiers, observer))
}

/// The tier on disk alone; none when it is not configured.
pub fn open_disk(
    config: &CacheConfig,
    observer: Arc<dyn Observer>,
) -> Option<Result<Disk, crate::cache::CacheError>> {
    let dir = config.dir.clone().filter(|_| config.enabled && config.max_bytes > 0)?;
    let options = DiskOptions { max_bytes: config.max_bytes, ttl: config.ttl, ..DiskOptions::default() };
    Some(Disk::open(dir, options, observer))
}
