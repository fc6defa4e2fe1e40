//! The bill of materials, made by the command in docs/operations.md.

use std::process::Command;

use serde_json::Value;

use crate::files::{path, read};

#[test]
fn the_documented_command_lists_every_crate_with_its_version() {
    let syft = path(".test/syft-1.18.1/bin/syft");
    if !syft.exists() {
        assert!(std::env::var_os("CI").is_none(), "{} is missing: run tests/run", syft.display());
        eprintln!("skipped: {} is missing; tests/run installs it", syft.display());
        return;
    }
    let docs = read("docs/operations.md");
    let command = docs
        .lines()
        .find_map(|line| line.strip_prefix("syft scan "))
        .expect("a command in the documentation");
    let folder = tempfile::tempdir().unwrap();
    let (words, file) = command.split('#').next().unwrap().trim().rsplit_once('=').unwrap();
    let written = format!("{words}={}", folder.path().join(file).display());
    let args = ["scan", "-q"].into_iter().chain(written.split(' '));
    // The test starts Python itself, because the path to Python in the script's first line does not exist.
    let output = Command::new(path(".test/syft-1.18.1/bin/python"))
        .arg(syft)
        .args(args)
        .current_dir(path("."))
        .env("SYFT_CHECK_FOR_APP_UPDATE", "false")
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bill: Value = serde_json::from_slice(&std::fs::read(folder.path().join(file)).unwrap()).unwrap();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    let listed: Vec<_> =
        bill["components"].as_array().unwrap().iter().filter_map(|part| part["purl"].as_str()).collect();
    let lock = read("Cargo.lock");
    let mut crates = lock.split("[[package]]\n").skip(1).map(|package| {
        let field =
            |name: &str| package.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim_matches('"');
        format!("pkg:cargo/{}@{}", field("name = "), field("version = "))
    });
    // Skips versions with `+`, which is escaped in a package URL.
    let missing: Vec<_> =
        crates.by_ref().filter(|one| !one.contains('+') && !listed.contains(&one.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
