//! The page's modules that need no browser, tested with Node's test runner.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

const SLOW: &str = "slow.test.mjs";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page")
}

/// The names of all files with tests.
fn files() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".test.mjs")).collect();
    names.sort();
    names
}

/// Runs the tests in these files, all of which must pass, and returns how many there are.
fn run(files: &[String], slow: bool) -> u64 {
    // The names of the files, because only some versions of Node take a folder.
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=tap"]).args(files).current_dir(folder());
    node.env_remove("PIXCOLOR_SLOW");
    if slow {
        node.env("PIXCOLOR_SLOW", "1");
    }
    let output = node.output().unwrap_or_else(|error| panic!("node: {error}; tests/run installs it"));
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "node: {}\n{printed}\n{errors}", output.status);
    // The summary has lines like `# pass 12`.
    let total = |name: &str| -> u64 {
        let value = printed.lines().find_map(|line| line.strip_prefix(&format!("# {name} ")));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no total `{name}`\n{printed}"))
    };
    for name in ["fail", "cancelled", "skipped", "todo"] {
        assert_eq!(total(name), 0, "{name}\n{printed}");
    }
    println!("{printed}");
    total("pass")
}

#[test]
fn the_modules_of_the_page_pass_their_tests() {
    let files: Vec<String> = files().into_iter().filter(|name| name != SLOW).collect();
    let passed = run(&files, false);
    assert!(passed >= files.len() as u64, "{passed} tests in {} files", files.len());
}

#[test]
#[ignore = "slow"]
fn the_modules_of_the_page_pass_their_slow_tests() {
    assert!(run(&[SLOW.to_owned()], true) > 0);
}
