//! The disk cache under restarts, damage, foreign files, several processes and a full disk.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pixcolor::cache::{Cache, CacheEvent, DiskCache, DiskOptions, Entry, Tier};

use super::common::{LARGE, Log, Setup, disk, files, key, open, value};

/// The path of the only value in the folder.
fn only_file(setup: &Setup) -> PathBuf {
    let mut files = files(setup.path());
    assert_eq!(files.len(), 1);
    files.remove(0).0
}

#[tokio::test]
async fn values_sizes_and_order_survive_a_restart() {
    let setup = disk(LARGE, None);
    for number in 0..20 {
        setup.put(number, value(number, 0, 10_000)).await;
        tokio::time::sleep(Duration::from_millis(8)).await;
    }
    assert!(setup.get(0).await.is_some());
    let before = setup.cache.sweep().await.unwrap();

    let again = open(setup.path(), LARGE, None, &Arc::default());
    assert_eq!(again.sweep().await.unwrap(), before);
    for number in 1..20 {
        let hit = again.get(&key(number)).await.unwrap().unwrap();
        assert_eq!(hit.entry.bytes, value(number, 0, 10_000));
        tokio::time::sleep(Duration::from_millis(8)).await;
    }
    // Value 0 is now the least recently used, and 15 values fit.
    open(setup.path(), 155_000, None, &Arc::default());
    for number in 0..20 {
        assert_eq!(setup.get(number).await.is_some(), number >= 5, "value {number}");
    }
}

#[tokio::test]
async fn the_last_use_is_recorded_at_intervals() {
    let setup = disk(LARGE, None);
    setup.put(1, value(1, 0, 10)).await;
    let file = only_file(&setup);
    let options = DiskOptions { max_bytes: LARGE, ..DiskOptions::default() };
    let cache = DiskCache::open(setup.path().to_owned(), options, Arc::new(())).unwrap();
    for (seconds, expected) in [(50, false), (70, true)] {
        let before = SystemTime::now() - Duration::from_secs(seconds);
        fs::File::open(&file).unwrap().set_modified(before).unwrap();
        cache.get(&key(1)).await.unwrap().unwrap();
        let after = fs::metadata(&file).unwrap().modified().unwrap();
        assert_eq!(after > before + Duration::from_secs(1), expected, "{seconds} s");
    }
}

#[tokio::test]
async fn damaged_values_are_removed_and_the_next_put_restores_them() {
    let right = value(1, 0, 1000);
    let setup = disk(LARGE, None);
    setup.put(1, right.clone()).await;
    let file = only_file(&setup);
    let good = fs::read(&file).unwrap();
    assert_eq!(good.len(), 1120);

    let mut damaged: Vec<Vec<u8>> = [0, 1, 119, 120, 121, 1119].map(|length| good[..length].to_vec()).into();
    damaged.push([&good[..], b"x"].concat());
    damaged.push(b"<html>".repeat(300));
    damaged.push(vec![0; good.len()]);
    // Flips one bit in every field and in the value.
    damaged.extend([0, 3, 4, 8, 40, 72, 79, 80, 87, 88, 119, 120, 600, 1119].map(|at| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        bytes
    }));
    for (turn, bytes) in damaged.iter().enumerate() {
        fs::write(&file, bytes).unwrap();
        assert_eq!(setup.get(1).await, None, "damage {turn} was not noticed");
        assert_eq!(setup.log.count(Tier::Disk, CacheEvent::Damaged), turn as u64 + 1);
        assert!(!file.exists(), "the file with damage {turn} was not removed");
        setup.put(1, right.clone()).await;
        assert_eq!(setup.get(1).await, Some(right.clone()));
    }
}

#[tokio::test]
async fn a_value_under_another_keys_path_is_a_miss() {
    let setup = disk(LARGE, None);
    setup.put(1, value(1, 0, 1000)).await;
    let one = only_file(&setup);
    setup.put(2, value(2, 0, 1000)).await;
    let other = files(setup.path()).into_iter().map(|(path, _)| path).find(|path| *path != one).unwrap();
    fs::copy(&one, &other).unwrap();
    assert_eq!(setup.get(2).await, None);
    assert_eq!(setup.get(1).await, Some(value(1, 0, 1000)));
}

#[tokio::test]
async fn foreign_files_are_never_counted_or_removed() {
    let setup = disk(LARGE, None);
    setup.put(1, value(1, 0, 1000)).await;
    let leaf = only_file(&setup).parent().unwrap().to_owned();
    let strangers = [
        setup.path().join("holiday.jpg"),
        leaf.join("holiday.jpg"),
        leaf.parent().unwrap().join("letter.txt"),
        setup.path().join("ab"),
    ];
    for stranger in &strangers {
        fs::write(stranger, "mine").unwrap();
    }
    let log = Arc::default();
    let cache = open(setup.path(), 0, None, &log);
    assert_eq!(log.size(Tier::Disk).entries, 0);
    cache.clear().await.unwrap();
    for stranger in &strangers {
        assert_eq!(fs::read_to_string(stranger).unwrap(), "mine");
    }
}

#[tokio::test]
async fn old_partial_files_of_killed_processes_are_removed() {
    let setup = disk(LARGE, None);
    let tmp = setup.path().join("tmp");
    fs::create_dir_all(&tmp).unwrap();
    for (name, minutes) in [("old.part", 11), ("new.part", 1)] {
        fs::write(tmp.join(name), "half a value").unwrap();
        let file = fs::File::open(tmp.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(minutes * 60)).unwrap();
    }
    open(setup.path(), LARGE, None, &Arc::default());
    assert!(!tmp.join("old.part").exists());
    assert!(tmp.join("new.part").exists(), "another process may be writing it");
}

#[tokio::test]
async fn two_caches_in_one_folder_share_values_and_the_size_limit() {
    const MOST: u64 = 1 << 20;
    let setup = disk(MOST, None);
    let other = Setup {
        cache: Arc::new(open(setup.path(), MOST, None, &setup.log)),
        log: setup.log.clone(),
        folder: None,
    };
    for number in 0..150 {
        let (writer, reader) = if number % 2 == 0 { (&setup, &other) } else { (&other, &setup) };
        writer.put(number, value(number, 0, 20_000)).await;
        assert_eq!(reader.get(number).await, Some(value(number, 0, 20_000)));
        let total: u64 = files(setup.path()).iter().map(|(_, bytes)| bytes).sum();
        assert!(total <= MOST + MOST / 16, "{total} bytes after value {number}");
    }
    assert!(setup.cache.remove(&key(149)).await.unwrap());
    assert_eq!(other.get(149).await, None);
    other.cache.clear().await.unwrap();
    assert_eq!(setup.bytes().await, 0);
}

#[tokio::test]
async fn a_deleted_folder_is_created_again() {
    let setup = disk(LARGE, None);
    setup.put(1, value(1, 0, 1000)).await;
    fs::remove_dir_all(setup.path()).unwrap();
    assert_eq!(setup.get(1).await, None);
    assert_eq!(setup.bytes().await, 0);
    setup.put(1, value(1, 0, 1000)).await;
    assert_eq!(setup.get(1).await, Some(value(1, 0, 1000)));
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_the_folder() {
    use std::os::unix::fs::PermissionsExt;
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("pixcolor");
    let cache = open(&folder, LARGE, None, &Arc::default());
    cache.put(&key(1), Entry::new(value(1, 0, 10))).await.unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o077;
    assert_eq!(mode(&folder), 0);
    for (file, _) in files(&folder) {
        assert_eq!(mode(&file), 0);
    }
}

#[test]
fn a_path_that_cannot_be_a_folder_is_named_in_the_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error =
        DiskCache::open(file.path().join("cache"), DiskOptions::default(), Arc::new(())).err().unwrap();
    let named = file.path().to_str().unwrap();
    assert!(error.to_string().contains(named), "{error}");
}

/// A limit on the file size simulates a full disk: the write fails in the middle.
#[cfg(unix)]
#[test]
fn put_on_a_full_disk_fails_and_leaves_no_partial_file() {
    let folder = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    // `ulimit -f` counts blocks of 512 bytes (POSIX sh) or 1024 bytes; 20 kB are more than 16 of either.
    let script =
        "trap '' XFSZ; ulimit -f 16; exec \"$0\" --exact disk::full_disk_child --ignored --nocapture";
    let mut child = Command::new("sh");
    child.args(["-c", script]).arg(this).env("PIXCOLOR_TEST_FULL", folder.path());
    // The output goes through pipes, because the limit would also apply to an output file.
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The process that the test above starts. Without its environment variable it does nothing.
#[tokio::test]
#[ignore = "is run by another test"]
async fn full_disk_child() {
    let Some(folder) = std::env::var_os("PIXCOLOR_TEST_FULL").map(PathBuf::from) else { return };
    let log = Arc::new(Log::default());
    let cache = open(&folder, LARGE, None, &log);
    cache.put(&key(1), Entry::new(value(1, 0, 3000))).await.unwrap();
    let error = cache.put(&key(2), Entry::new(value(2, 0, 20_000))).await.unwrap_err();
    assert!(error.to_string().contains(folder.to_str().unwrap()), "{error}");
    // The older value remains, no partial file remains, and the recorded size is unchanged.
    cache.put(&key(1), Entry::new(value(1, 1, 20_000))).await.unwrap_err();
    assert_eq!(cache.get(&key(1)).await.unwrap().unwrap().entry.bytes, value(1, 0, 3000));
    assert_eq!(cache.get(&key(2)).await.unwrap(), None);
    assert_eq!(files(&folder).len(), 1);
    assert_eq!(log.size(Tier::Disk).bytes, 3120);
}
