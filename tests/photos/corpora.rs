//! The inputs of `fuzz/`, both what it starts from and what it has found, by the functions that it calls.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cpu_time::ThreadTime;

#[path = "../../fuzz/targets.rs"]
#[allow(dead_code, reason = "the fuzzer's own binaries use the rest")]
mod targets;

/// Most that one input may take: a thousand times what it should, so that a slow machine is no failure.
const TIME: Duration = Duration::from_secs(10);

/// The files of a target, in order.
fn files(folder: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder).join(target);
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// What is wrong with an input, if anything.
fn fault(target: fn(&[u8]), file: &Path) -> Option<String> {
    let bytes = std::fs::read(file).unwrap();
    let start = ThreadTime::now();
    let panicked = std::panic::catch_unwind(|| target(&bytes)).is_err();
    let took = start.elapsed();
    let why = panicked.then(|| "panics, see above".to_owned());
    let why = why.or_else(|| (took > TIME).then(|| format!("took {took:?}")))?;
    Some(format!("{}: {why}", file.display()))
}

#[test]
fn every_input_of_the_fuzzers_passes_in_bounded_time() {
    let mut faults = Vec::new();
    for (name, target) in targets::TARGETS {
        let corpus = files("corpus", name);
        assert!(corpus.len() >= 3, "fuzz/corpus/{name} has {} files", corpus.len());
        let all = corpus.into_iter().chain(files("findings", name));
        faults.extend(all.filter_map(|file| fault(target, &file)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_folder_of_inputs_has_a_target_that_reads_them() {
    let known = targets::TARGETS.map(|(name, _)| name);
    for folder in ["corpus", "findings"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder);
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            assert!(!entry.path().is_dir() || known.contains(&name.as_str()), "fuzz: no target {name}");
        }
    }
    let manifest = include_str!("../../fuzz/Cargo.toml");
    for name in known {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml has no {name}");
    }
}
