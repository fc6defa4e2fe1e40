//! The fast in front of the slow.

use std::sync::Arc;

use pixcolor::cache::{Cache, CacheEvent, Entry, MemoryCache, Tier, TieredCache};

use super::common::{LARGE, Log, key, open, tiered, value};

#[tokio::test]
async fn a_value_from_a_slow_tier_is_in_the_fast_one_afterwards() {
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
async fn without_any_tier_it_keeps_nothing_and_fails_nothing() {
    let none = TieredCache::new(Vec::new(), None, Arc::new(()));
    none.put(&key(1), Entry::new(value(1, 0, 10))).await.unwrap();
    assert_eq!(none.get(&key(1)).await.unwrap(), None);
    assert!(!none.remove(&key(1)).await.unwrap());
    assert_eq!(none.list(&key(1).subject).await.unwrap(), []);
    none.clear().await.unwrap();
    assert_eq!(none.sweep().await.unwrap(), []);
}

/// A file stands where a folder should be: not even root can write there.
#[tokio::test]
async fn a_tier_that_cannot_be_written_is_counted_and_the_others_go_on() {
    let setup = tiered(LARGE, None);
    setup.put(1, value(1, 0, 1000)).await;
    std::fs::remove_dir_all(setup.path().join("tmp")).unwrap();
    std::fs::write(setup.path().join("tmp"), "in the way").unwrap();

    setup.put(2, value(2, 0, 1000)).await;
    setup.put(3, value(3, 0, 1000)).await;
    assert_eq!(setup.log.count(Tier::Disk, CacheEvent::WriteError), 2);
    assert_eq!(setup.log.count(Tier::Memory, CacheEvent::WriteError), 0);
    assert_eq!(setup.get(2).await, Some(value(2, 0, 1000)), "memory has it all the same");
    assert_eq!(setup.log.keeps(Tier::Disk).entries, 1);
}

#[tokio::test]
async fn a_tier_that_cannot_be_read_is_counted_and_is_a_miss() {
    let setup = tiered(LARGE, None);
    let leaf = pixcolor::hex::hex(&key(1).subject[..1]);
    std::fs::write(setup.path().join(leaf), "in the way").unwrap();
    assert_eq!(setup.get(1).await, None);
    assert_eq!(setup.log.count(Tier::Disk, CacheEvent::ReadError), 1);
    // A person who asks for it must be told.
    assert!(setup.cache.remove(&key(1)).await.is_err());
}
