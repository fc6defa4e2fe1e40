//! What every provider must do, whatever its kind: one suite, run against each of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits where it must"
)]

mod conformance;
mod recipes;
mod tiny;

use std::collections::BTreeMap;
use std::sync::Arc;

use pixcolor::config::{Source, load};
use pixcolor::provider::{BuildError, Provider, build};

/// A provider as a configuration file would set it up.
fn configured(name: &str, file: &str) -> Arc<dyn Provider> {
    configured_with(name, file, &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// The same, with more files beside `pixcolor.toml`.
fn configured_with(name: &str, file: &str, more: &[(&str, &[u8])]) -> Result<Arc<dyn Provider>, BuildError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in more {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    std::fs::create_dir(folder.path().join("providers")).unwrap();
    std::fs::write(folder.path().join("pixcolor.toml"), "").unwrap();
    std::fs::write(folder.path().join(format!("providers/{name}.toml")), file).unwrap();
    let source = Source { dir: Some(folder.path().to_owned()), env: BTreeMap::new(), cwd: None };
    let loaded = load(&source).unwrap();
    build(&loaded.config.providers[name])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_network_conforms() {
    conformance::run(|| configured("local", "kind = \"onnx\"\n")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_with_one_thread_and_no_queue_conforms() {
    conformance::run(|| configured("narrow", "kind = \"onnx\"\nthreads = 1\nqueue = 0\n")).await;
}
