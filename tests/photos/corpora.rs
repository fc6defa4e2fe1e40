//! Runs the inputs of `fuzz/` through the fuzz targets: the seeds and the inputs that fuzzing found.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cpu_time::ThreadTime;

#[path = "../../fuzz/targets.rs"]
#[allow(dead_code, reason = "the fuzzer's own binaries use the rest")]
mod targets;

/// Time limit for one input: a thousand times the expected time, so that the test passes on a slow machine, too.
const TIME: Duration = Duration::from_secs(10);

/// The input files of a target, sorted.
fn files(folder: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder).join(target);
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The fault that an input causes, if any.
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
fn every_fuzzing_input_passes_within_the_time_limit() {
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
fn every_folder_of_fuzzing_inputs_has_a_target() {
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
