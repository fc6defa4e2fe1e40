//! The minimum Rust version: every place states the same one, and no dependency needs a later one.

use std::process::Command;

use serde_json::Value;

use crate::files::read;

/// A minor version of Rust 1.
type Minor = u32;

/// The version that this project's own code needs, for `File::try_lock`.
const OWN: Minor = 89;

fn minor(version: &str) -> Minor {
    let rest = version.strip_prefix("1.").unwrap_or_else(|| panic!("{version}"));
    rest.split('.').next().unwrap().parse().unwrap_or_else(|_| panic!("{version}"))
}

/// `rust-version` of Cargo.toml.
fn stated() -> Minor {
    let manifest = read("Cargo.toml");
    minor(manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"'))
}

/// Every dependency of the build and the tests that states a `rust-version`, with that version.
fn dependencies() -> Vec<(String, Minor)> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let host = Command::new("rustc").arg("-vV").output().expect("rustc");
    let host = String::from_utf8(host.stdout).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let metadata = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let built: Vec<&Value> =
        metadata["resolve"]["nodes"].as_array().unwrap().iter().map(|node| &node["id"]).collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let others = packages.filter(|package| built.contains(&&package["id"]) && !package["source"].is_null());
    others
        .filter_map(|package| {
            let name = format!("{} {}", package["name"].as_str()?, package["version"].as_str()?);
            Some((name, minor(package["rust_version"].as_str()?)))
        })
        .collect()
}

#[test]
fn the_stated_rust_version_is_the_minimum_of_every_dependency() {
    let dependencies = dependencies();
    assert!(dependencies.len() > 100, "{}", dependencies.len());
    let (most, needed) = dependencies.iter().max_by_key(|(_, needed)| *needed).unwrap();
    assert_eq!(stated(), OWN.max(*needed), "{most} needs Rust 1.{needed}");
}

#[test]
fn every_place_names_the_same_version() {
    let wanted = stated();
    for name in ["README.md", "CONTRIBUTING.md", "Containerfile", "docs/quick-start.md", "docs/operations.md"]
    {
        let text = read(name);
        let named: Vec<Minor> = text
            .split("Rust 1.")
            .skip(1)
            .map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap())
            .collect();
        assert!(!named.is_empty(), "{name} names no version");
        assert!(named.iter().all(|named| *named == wanted), "{name}: {named:?} and not {wanted}");
    }
    // By default the image is built with the newest Rust 1, or with another sufficiently new version.
    let file = read("Containerfile");
    let tag =
        file.lines().find_map(|line| line.strip_prefix("ARG BUILDER_IMAGE=docker.io/library/rust:")).unwrap();
    let version = tag.split('-').next().unwrap();
    assert!(version == "1" || minor(version) >= wanted, "{tag}");
}

#[test]
fn every_documented_installation_uses_locked_versions() {
    for name in ["README.md", "docs/quick-start.md", "docs/operations.md", "docs/guide.md", "docs/api.md"] {
        let text = read(name);
        for line in text.lines().filter(|line| line.contains("cargo install ")) {
            assert!(line.contains("cargo install --locked --path ."), "{name}: {line}");
        }
    }
}
