//! A fast tier in front of a slow one.

use std::sync::Arc;

use pixcolor::cache::{Cache, CacheEvent, Entry, MemoryCache, Tier, TieredCache};

use super::common::{LARGE, Log, key, open, tiered, value};

#[tokio::test]
async fn a_hit_in_a_slow_tier_is_copied_into_the_fast_tier() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(Log::default());
    let slow = Arc::new(open(folder.path(), LARGE, None, &log));
    slow.put(&key(1), Entry::new(value(1, 0, 1000))).await.unwrap();
    let fast = Arc::new(MemoryCache::new(LARGE, None, log.clone()));
    let both = TieredCache::new(vec![(Tier::Memory, fast), (Tier::Disk, slow)], None, log.clone());

    let first = both.get(&key(1)).await.unwrap().unwrap();
    let second = both.get(&key(1)).await.unwrap().unwrap();
    assert_eq!((first.tier, second.tier), (Tier::Disk, Tier::Memory));
    assert_eq!(first.entry, second.entry);
}

#[tokio::test]
async fn a_cache_without_tiers_stores_nothing_and_returns_no_errors() {
    let none = TieredCache::new(Vec::new(), None, Arc::new(()));
    none.put(&key(1), Entry::new(value(1, 0, 10))).await.unwrap();
    assert_eq!(none.get(&key(1)).await.unwrap(), None);
    assert!(!none.remove(&key(1)).await.unwrap());
    assert_eq!(none.list(&key(1).subject).await.unwrap(), []);
    none.clear().await.unwrap();
    assert_eq!(none.sweep().await.unwrap(), []);
}

/// A file in place of a folder makes writes fail, even for root.
#[tokio::test]
async fn write_errors_of_a_tier_are_counted_and_other_tiers_continue() {
    let setup = tiered(LARGE, None);
    setup.put(1, value(1, 0, 1000)).await;
    std::fs::remove_dir_all(setup.path().join("tmp")).unwrap();
    std::fs::write(setup.path().join("tmp"), "in the way").unwrap();

    setup.put(2, value(2, 0, 1000)).await;
    setup.put(3, value(3, 0, 1000)).await;
    assert_eq!(setup.log.count(Tier::Disk, CacheEvent::WriteError), 2);
    assert_eq!(setup.log.count(Tier::Memory, CacheEvent::WriteError), 0);
    assert_eq!(setup.get(2).await, Some(value(2, 0, 1000)), "the memory tier still has it");
    assert_eq!(setup.log.size(Tier::Disk).entries, 1);
}

#[tokio::test]
async fn read_errors_of_a_tier_are_counted_and_are_misses() {
    let setup = tiered(LARGE, None);
    let leaf = pixcolor::hex::hex(&key(1).subject[..1]);
    std::fs::write(setup.path().join(leaf), "in the way").unwrap();
    assert_eq!(setup.get(1).await, None);
    assert_eq!(setup.log.count(Tier::Disk, CacheEvent::ReadError), 1);
    // `remove` is called by a person, so it must report the error.
    assert!(setup.cache.remove(&key(1)).await.is_err());
}
