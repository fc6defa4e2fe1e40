//! What every provider must do, whatever its kind: one suite, run against each of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits where it must"
)]

mod conformance;

use std::collections::BTreeMap;

use pixcolor::config::{Source, load};
use pixcolor::provider::build;

/// A provider as a configuration file would set it up.
fn configured(name: &str, file: &str) -> std::sync::Arc<dyn pixcolor::provider::Provider> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("providers")).unwrap();
    std::fs::write(folder.path().join("pixcolor.toml"), "").unwrap();
    std::fs::write(folder.path().join(format!("providers/{name}.toml")), file).unwrap();
    let source = Source { dir: Some(folder.path().to_owned()), env: BTreeMap::new(), cwd: None };
    let loaded = load(&source).unwrap();
    build(&loaded.config.providers[name]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_network_conforms() {
    conformance::run(|| configured("local", "kind = \"onnx\"\n")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_with_one_thread_and_no_queue_conforms() {
    conformance::run(|| configured("narrow", "kind = \"onnx\"\nthreads = 1\nqueue = 0\n")).await;
}
