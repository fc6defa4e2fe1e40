//! In any order of operations, a large cache behaves as a map, and a small cache as a map that may lose values.

use std::collections::HashMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::common::{LARGE, Make, STORE, Setup, disk, key, memory, objects, tiered, value};

#[derive(Clone, Debug)]
enum Step {
    Put { number: u32, version: u32, length: usize },
    Get(u32),
    Remove(u32),
    Clear,
    Sweep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = 0..12_u32;
    let step = prop_oneof![
        6 => (number.clone(), 0..3_u32, 0..20_000_usize)
            .prop_map(|(number, version, length)| Step::Put { number, version, length }),
        6 => number.clone().prop_map(Step::Get),
        2 => number.prop_map(Step::Remove),
        1 => Just(Step::Clear),
        1 => Just(Step::Sweep),
    ];
    proptest::collection::vec(step, 1..40)
}

/// Runs the steps. `forgetful` allows a miss where the map has a value, but never a different value.
async fn behaves_as_a_map(setup: &Setup, steps: &[Step], most: u64, forgetful: bool) {
    let mut map: HashMap<u32, Bytes> = HashMap::new();
    for step in steps {
        match *step {
            Step::Put { number, version, length } => {
                let bytes = value(number, version, length);
                setup.put(number, bytes.clone()).await;
                map.insert(number, bytes);
            }
            Step::Get(number) => match setup.get(number).await {
                None if forgetful => {}
                found => assert_eq!(found.as_ref(), map.get(&number)),
            },
            Step::Remove(number) => {
                let removed = setup.cache.remove(&key(number)).await.unwrap();
                let known = map.remove(&number).is_some();
                assert!(removed == known || forgetful && known);
            }
            Step::Clear => {
                setup.cache.clear().await.unwrap();
                map.clear();
            }
            Step::Sweep => {
                for stats in setup.cache.sweep().await.unwrap() {
                    assert!(stats.bytes <= most && stats.entries <= map.len() as u64, "{stats:?}");
                    assert!(forgetful || stats.entries == map.len() as u64, "{stats:?}");
                }
            }
        }
    }
}

fn holds(make: Make, most: u64, forgetful: bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&steps(), |steps| {
            let setup = make(most, None);
            runtime.block_on(behaves_as_a_map(&setup, &steps, most, forgetful));
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_large_cache_behaves_as_a_map() {
    for make in [memory as Make, disk, tiered] {
        holds(make, LARGE, false);
    }
    if STORE.is_some() {
        holds(objects, LARGE, false);
    }
}

#[test]
fn a_small_cache_behaves_as_a_map_that_may_lose_values() {
    for make in [memory as Make, disk, tiered] {
        holds(make, 50_000, true);
    }
}
