//! A value is synced to disk before it gets its name, and the name is synced before `put` returns. The test reads the
//! process's system calls, because a test cannot cut the power.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use pixcolor::cache::{Cache, Entry};

use super::common::{LARGE, key, open, value};

const FOLDER: &str = "PIXCOLOR_TEST_SYNCED";

/// A command that records the process's system calls in a file, with the paths of open files.
fn strace(log: &std::path::Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2,mkdir,mkdirat", "-o"]);
    command.arg(log);
    command
}

#[test]
fn a_value_is_synced_before_its_rename_and_the_folder_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let (log, cache) = (folder.path().join("log"), folder.path().join("cache"));
    // Some containers forbid tracing.
    if !strace(&log).arg("true").status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: strace is not installed or not permitted");
        return;
    }
    let mut child = strace(&log);
    child.arg(std::env::current_exe().unwrap());
    child.args(["--exact", "synced::synced_child", "--ignored", "--nocapture"]).env(FOLDER, &cache);
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let log = std::fs::read_to_string(log).unwrap();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(cache.to_str().unwrap())).collect();
    let place = |what: &str, is: &dyn Fn(&str) -> bool| {
        lines.iter().position(|line| is(line)).unwrap_or_else(|| panic!("no {what} in\n{log}"))
    };
    let syncs = |line: &str| line.contains(" fsync(") || line.contains(" fdatasync(");
    let value = place("sync of the value", &|line| syncs(line) && line.contains(".part>"));
    let named = place("rename", &|line| line.contains(" rename") && line.contains(".part\""));
    let leaf = cache.join(files_leaf(&cache));
    let in_leaf = format!("{}>", leaf.display());
    let name = place("sync of the name", &|line| syncs(line) && line.contains(&in_leaf));
    assert!(value < named && named < name, "{log}");
    // The names of the folders that were created must be synced too.
    let above = format!("{}>", leaf.parent().unwrap().display());
    assert!(place("sync of the folder's name", &|line| syncs(line) && line.contains(&above)) < name);
}

/// The folder of the only value, relative to the cache, as `ab/cd`.
fn files_leaf(cache: &std::path::Path) -> PathBuf {
    let (file, _) = super::common::files(cache).remove(0);
    file.parent().unwrap().strip_prefix(cache).unwrap().to_owned()
}

/// The traced process. Without its environment variable it does nothing.
#[tokio::test]
#[ignore = "is run by another test"]
async fn synced_child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let cache = open(&folder, LARGE, None, &Arc::default());
    cache.put(&key(1), Entry::new(value(1, 0, 3000))).await.unwrap();
}
