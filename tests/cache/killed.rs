//! Writing processes are killed at random moments. Every value then reads back correctly or is a miss.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use pixcolor::cache::{Cache, CacheEvent, Entry, Tier};

use super::common::{Log, files, key, open, value};

const FOLDER: &str = "PIXCOLOR_TEST_KILLED";
const KEYS: u32 = 40;
const VERSIONS: u32 = 3;
/// Less than the size of all values, so that the cache also evicts.
const MOST: u64 = 1 << 20;

/// Each version of each value has a different length.
fn length(number: u32, version: u32) -> usize {
    1 + (number * 1_700 + version * 13_001) as usize
}

fn writer(folder: &Path) -> Child {
    let this = std::env::current_exe().unwrap();
    Command::new(this)
        .args(["--exact", "killed::writer_child", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Starts two processes that write into one folder, kills them, and reads every value; `times` times.
async fn kill_writers(times: u32) {
    let folder = tempfile::tempdir().unwrap();
    let (mut read, mut halves) = (0, 0);
    for time in 0..times {
        let mut writers = [writer(folder.path()), writer(folder.path())];
        // Start-up takes about ten milliseconds; after that the kill comes at a random moment.
        let random = uuid::Uuid::new_v4().as_u128();
        for (index, child) in writers.iter_mut().enumerate() {
            let wait = (random >> (32 * index)) as u64 % 120;
            tokio::time::sleep(Duration::from_millis(20 + wait)).await;
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let log = Arc::new(Log::default());
        let cache = open(folder.path(), MOST, None, &log);
        for number in 0..KEYS {
            if let Some(hit) = cache.get(&key(number)).await.unwrap() {
                let right = (0..VERSIONS).map(|version| value(number, version, length(number, version)));
                assert!(
                    right.into_iter().any(|right| right == hit.entry.bytes),
                    "value {number}, kill {time}"
                );
                read += 1;
            }
        }
        assert_eq!(
            log.count(Tier::Disk, CacheEvent::Damaged),
            0,
            "a file got its name before its value was complete"
        );
        let bytes: u64 = files(folder.path())
            .iter()
            .filter(|(path, _)| path.extension().is_none_or(|end| end != "part"))
            .map(|(_, bytes)| bytes)
            .sum();
        assert_eq!(cache.sweep().await.unwrap()[0].bytes, bytes);
        assert!(bytes <= MOST);
        halves = files(&folder.path().join("tmp")).len();
    }
    assert!(read >= times, "the writers were killed before they wrote anything");
    println!("{read} values read back right after {times} kills, {halves} were only half written");
}

#[tokio::test]
async fn writers_killed_20_times_leave_no_wrong_value() {
    kill_writers(20).await;
}

#[tokio::test]
#[ignore = "slow"]
async fn writers_killed_100_times_leave_no_wrong_value() {
    kill_writers(100).await;
}

/// The process that the test kills. Without its environment variable it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is run by another test"]
async fn writer_child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let cache = open(&folder, MOST, None, &Arc::default());
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..4_u32 {
        let cache = cache.clone();
        tasks.spawn(async move {
            for step in 0_u32.. {
                let (number, version) = ((step * 7 + task * 11) % KEYS, (step + task) % VERSIONS);
                let bytes = value(number, version, length(number, version));
                cache.put(&key(number), Entry::new(bytes)).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
}
