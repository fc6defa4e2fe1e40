//! The tests that every cache must pass, and the tests that every cache with a size limit must pass. The lists near the
//! end of the file name the caches.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use pixcolor::cache::{CacheEvent, CacheKey, Entry, EntryKind, Tier};

use super::common::{LARGE, Make, Setup, key, memory, tiered, value};

async fn a_value_comes_back_as_it_was_put(make: Make) {
    let setup = make(LARGE, None);
    let sizes = [0, 1, 119, 120, 121, 4096, 1 << 20];
    let made = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    for (number, size) in sizes.into_iter().enumerate() {
        let number = number as u32;
        let entry = Entry { bytes: value(number, 0, size), made };
        setup.cache.put(&key(number), entry).await.unwrap();
    }
    for (number, size) in sizes.into_iter().enumerate() {
        let number = number as u32;
        let hit = setup.cache.get(&key(number)).await.unwrap().expect("it was put");
        assert_eq!(hit.entry, Entry { bytes: value(number, 0, size), made });
    }
    assert_eq!(setup.get(99).await, None);
}

async fn keys_that_differ_in_one_part_address_different_values(make: Make) {
    let setup = make(LARGE, None);
    let mut keys = Vec::new();
    for kind in EntryKind::ALL {
        for subject in [[1; 32], [2; 32]] {
            for variant in [[1; 32], [2; 32]] {
                keys.push(CacheKey { subject, kind, variant });
            }
        }
    }
    for (number, key) in keys.iter().enumerate() {
        setup.cache.put(key, Entry::new(value(number as u32, 0, 100))).await.unwrap();
    }
    for (number, key) in keys.iter().enumerate() {
        let hit = setup.cache.get(key).await.unwrap().unwrap();
        assert_eq!(hit.entry.bytes, value(number as u32, 0, 100));
    }
}

async fn a_newer_value_replaces_an_older_one(make: Make) {
    let setup = make(LARGE, None);
    setup.put(1, value(1, 0, 5000)).await;
    let before = setup.bytes().await;
    setup.put(1, value(1, 1, 100)).await;
    assert_eq!(setup.get(1).await, Some(value(1, 1, 100)));
    assert!(setup.bytes().await < before - 4000, "the older value still counts");
}

async fn remove_deletes_one_value_and_no_other(make: Make) {
    let setup = make(LARGE, None);
    for number in 0..8 {
        setup.put(number, value(number, 0, 100)).await;
    }
    assert!(setup.cache.remove(&key(2)).await.unwrap());
    assert!(!setup.cache.remove(&key(2)).await.unwrap());
    assert!(!setup.cache.remove(&key(99)).await.unwrap());
    for number in 0..8 {
        assert_eq!(setup.get(number).await.is_some(), number != 2);
    }
}

async fn list_returns_every_key_of_a_subject(make: Make) {
    let setup = make(LARGE, None);
    for number in 0..16 {
        setup.put(number, value(number, 0, 100)).await;
    }
    let mut listed = setup.cache.list(&key(4).subject).await.unwrap();
    listed.sort();
    let mut expected: Vec<_> = (4..8).map(key).collect();
    expected.sort();
    assert_eq!(listed, expected);
    assert_eq!(setup.cache.list(&[0; 32]).await.unwrap(), []);
}

async fn clear_removes_every_value(make: Make) {
    let setup = make(LARGE, None);
    for number in 0..100 {
        setup.put(number, value(number, 0, 100)).await;
    }
    setup.cache.clear().await.unwrap();
    for number in 0..100 {
        assert_eq!(setup.get(number).await, None);
    }
    for stats in setup.cache.sweep().await.unwrap() {
        assert_eq!((stats.entries, stats.bytes), (0, 0), "{stats:?}");
    }
    setup.put(1, value(1, 1, 10)).await;
    assert_eq!(setup.get(1).await, Some(value(1, 1, 10)));
}

async fn the_time_to_live_counts_from_creation(make: Make) {
    let ttl = Duration::from_secs(3600);
    let setup = make(LARGE, Some(ttl));
    let aged = |age: Duration| Entry { bytes: value(1, 0, 100), made: SystemTime::now() - age };
    setup.cache.put(&key(0), aged(ttl * 2)).await.unwrap();
    setup.cache.put(&key(1), aged(ttl - Duration::from_secs(2))).await.unwrap();
    setup.cache.put(&key(2), aged(ttl / 2)).await.unwrap();
    setup.cache.put(&key(3), Entry { made: SystemTime::now() + ttl, ..aged(ttl) }).await.unwrap();
    assert!(setup.get(0).await.is_none(), "it had expired before it was put");
    assert!(setup.get(1).await.is_some());
    tokio::time::sleep(Duration::from_millis(2200)).await;
    assert!(setup.get(1).await.is_none(), "it has expired since");
    assert!(setup.get(2).await.is_some());
    assert!(setup.get(3).await.is_some(), "a value from the future counts as new");
    // A sweep removes expired entries. Its clock may be coarser than the clock of a lookup, so the test waits.
    let start = Instant::now();
    while setup.cache.sweep().await.unwrap().iter().any(|stats| stats.entries != 2) {
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", setup.cache.sweep().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn the_size_limit_holds_and_the_newest_value_remains(make: Make) {
    const MOST: u64 = 512 << 10;
    let setup = make(MOST, None);
    for number in 0..200 {
        setup.put(number, value(number, 0, 10_000)).await;
        assert_eq!(setup.get(number).await, Some(value(number, 0, 10_000)));
        if number % 20 == 0 {
            assert!(setup.bytes().await <= MOST);
        }
    }
    let stats = setup.cache.sweep().await.unwrap();
    for stats in &stats {
        assert!(stats.bytes <= MOST, "{stats:?}");
        assert!((40..=52).contains(&stats.entries), "most of the space must be used: {stats:?}");
        assert!(setup.log.count(stats.tier, CacheEvent::Evicted) >= 200 - 52);
        assert_eq!(setup.log.size(stats.tier), *stats);
    }
}

async fn the_least_recently_used_value_is_evicted_first(make: Make) {
    let setup = make(512 << 10, None);
    for number in 0..100 {
        setup.put(number, value(number, 0, 10_000)).await;
        // File times are no finer than one tick of the kernel's clock.
        tokio::time::sleep(Duration::from_millis(8)).await;
        assert!(setup.get(0).await.is_some(), "value 0 is in use, but value {number} evicted it");
    }
    assert!(setup.get(1).await.is_none());
    assert!(setup.get(99).await.is_some());
}

async fn a_value_larger_than_the_cache_is_not_stored(make: Make) {
    let setup = make(64 << 10, None);
    setup.put(1, value(1, 0, 10_000)).await;
    setup.put(2, value(2, 0, 100_000)).await;
    assert_eq!(setup.get(2).await, None);
    assert_eq!(setup.get(1).await, Some(value(1, 0, 10_000)), "it was evicted needlessly");
}

async fn concurrent_readers_see_whole_values_or_none(make: Make) {
    let setup = Arc::new(make(2 << 20, None));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8_u32 {
        let setup = setup.clone();
        tasks.spawn(async move {
            let mut hits = 0;
            for step in 0..60_u32 {
                let number = (task * 7 + step * 13) % 40;
                let length = 1 + number as usize * 2_000;
                if (task + step) % 3 == 0 {
                    setup.put(number, value(number, 0, length)).await;
                } else if let Some(bytes) = setup.get(number).await {
                    assert_eq!(bytes, value(number, 0, length));
                    hits += 1;
                }
                if step % 25 == 24 {
                    setup.cache.remove(&key(number)).await.unwrap();
                }
            }
            hits
        });
    }
    assert!(tasks.join_all().await.iter().sum::<u32>() > 0);
    assert!(setup.bytes().await <= 2 << 20);
}

async fn hits_and_misses_are_reported(make: Make) {
    let setup = make(LARGE, None);
    setup.get(1).await;
    setup.put(1, Bytes::from_static(b"x")).await;
    setup.get(1).await;
    let hits: u64 = Tier::ALL.iter().map(|tier| setup.log.count(*tier, CacheEvent::Hit)).sum();
    assert_eq!(hits, 1);
    for stats in setup.cache.sweep().await.unwrap() {
        assert_eq!(setup.log.count(stats.tier, CacheEvent::Miss), 1, "{stats:?}");
        assert_eq!(setup.log.size(stats.tier), stats);
        assert_eq!(stats.entries, 1);
    }
}

macro_rules! conformance {
    (all $($implementation:ident)*) => { $(mod $implementation {
        conformance! { $implementation:
            a_value_comes_back_as_it_was_put
            keys_that_differ_in_one_part_address_different_values
            a_newer_value_replaces_an_older_one
            remove_deletes_one_value_and_no_other
            list_returns_every_key_of_a_subject
            clear_removes_every_value
            the_time_to_live_counts_from_creation
            concurrent_readers_see_whole_values_or_none
            hits_and_misses_are_reported
        }
    })* };
    (bounded $($implementation:ident)*) => { mod bounded { $(mod $implementation {
        conformance! { $implementation:
            the_size_limit_holds_and_the_newest_value_remains
            the_least_recently_used_value_is_evicted_first
            a_value_larger_than_the_cache_is_not_stored
        }
    })* } };
    ($make:ident: $($test:ident)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            use $crate::{common, conformance};
            if stringify!($make) != "objects" || common::STORE.is_some() {
                conformance::$test(common::$make).await;
            }
        }
    )* };
}

conformance! { all memory disk tiered objects }
// A bucket is not in this list: its lifecycle rules limit its size.
conformance! { bounded memory disk tiered }

#[tokio::test]
async fn a_hit_in_memory_does_not_copy_the_value() {
    for make in [memory as Make, tiered] {
        let setup: Setup = make(LARGE, None);
        let bytes = value(1, 0, 300_000);
        setup.put(1, bytes.clone()).await;
        assert_eq!(setup.get(1).await.unwrap().as_ptr(), bytes.as_ptr());
    }
}
