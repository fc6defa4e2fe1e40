//! The content of the Containerfile, to compare other files with.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::files::{path, read};

/// The settings of the last stage.
pub struct Image {
    pub user: String,
    pub volume: String,
    pub workdir: String,
    pub port: u16,
    pub env: BTreeMap<String, String>,
}

pub fn last_stage() -> Image {
    let file = read("Containerfile").replace("\\\n", " ");
    let stage = file.split("\nFROM scratch\n").nth(1).expect("the last stage is from scratch");
    let said = |word: &str| {
        let found = stage.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("no {word}")).trim().to_owned()
    };
    let env = said("ENV");
    let pairs = env.split_whitespace().map(|pair| pair.split_once('=').expect("NAME=value"));
    Image {
        user: said("USER"),
        volume: said("VOLUME"),
        workdir: said("WORKDIR"),
        port: said("EXPOSE").parse().unwrap(),
        env: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

#[test]
fn every_copied_path_exists() {
    let (file, image) = (read("Containerfile"), last_stage());
    let wanted = crate::files::read("Cargo.toml");
    let version = wanted.lines().find_map(|line| line.strip_prefix("version = ")).unwrap().trim_matches('"');
    assert!(file.contains(&format!("ARG VERSION={version}\n")), "the version is {version}");
    assert!(wanted.contains("[profile.dist]"));
    assert!(image.user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{}", image.user);
    assert_eq!(format!("{}/pixcolor", image.env["XDG_STATE_HOME"]), image.volume);
    assert!(image.env["XDG_CACHE_HOME"].starts_with(&image.volume));
}

/// The files and folders of the project that the first stage copies.
fn copied() -> Vec<String> {
    let file = read("Containerfile");
    let stage = file.split("\nFROM scratch\n").next().unwrap();
    let copies = stage.lines().filter_map(|line| line.strip_prefix("COPY "));
    let sources = copies.flat_map(|line| {
        let (sources, _to) = line.rsplit_once(' ').expect("COPY FROM... TO");
        sources.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    });
    sources.collect()
}

/// The files outside of `src/` that the program includes, except those that only unit tests include: modules and files
/// named `tests`.
fn included() -> BTreeSet<String> {
    let mut folders = vec![path("src")];
    let mut found = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.extend((path.file_name().unwrap() != "tests").then_some(path));
                continue;
            }
            if path.file_name().unwrap() == "tests.rs" {
                continue;
            }
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
            for named in code.split("include_").skip(1).filter_map(|rest| rest.split('"').nth(1)) {
                // Relative to the file in `src/`, or to the root of the project.
                let outside = named.trim_start_matches("$CARGO_MANIFEST_DIR/").trim_start_matches("../");
                found.extend((outside != named).then(|| outside.to_owned()));
            }
        }
    }
    found
}

#[test]
fn the_build_stage_copies_sources_and_no_documents() {
    let (copied, included) = (copied(), included());
    assert!(included.len() > 5, "{included:?}");
    for file in ["Cargo.toml", "Cargo.lock", "src", "crates/nhwc/Cargo.toml", "crates/nhwc/src"]
        .into_iter()
        .chain(included.iter().map(String::as_str))
    {
        let is_there = copied.iter().any(|one| file == one || file.starts_with(&format!("{one}/")));
        assert!(is_there, "{file} is built in, and the Containerfile does not copy it");
    }
    let ignored = read(".dockerignore");
    let ignored: Vec<&str> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    for file in &copied {
        assert!(path(file).exists(), "{file} does not exist");
        let top = file.split('/').next().unwrap();
        assert!(!ignored.contains(&file.as_str()) && !ignored.contains(&top), "{file} is in .dockerignore");
    }
    for document in ["README.md", "CHANGELOG.md", "docs", "tests", "benches", "."] {
        assert!(
            !copied.iter().any(|one| one == document),
            "the program would be built again after a change of {document}"
        );
    }
}

#[test]
fn cargo_accepts_the_manifest_with_only_the_copied_files() {
    let folder = tempfile::tempdir().unwrap();
    for file in copied() {
        let to = folder.path().join(&file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        assert!(Command::new("cp").arg("-a").arg(path(&file)).arg(to).status().unwrap().success());
    }
    let mut cargo = Command::new(env!("CARGO"));
    let read = cargo.args(["tree", "--locked", "--offline", "--depth", "0"]).current_dir(folder.path());
    let read = read.output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}
