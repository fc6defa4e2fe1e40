//! The conformance suite, run on every kind of provider.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits where it must"
)]

mod by_trait;
mod conformance;
mod exec;
#[path = "../fakes/mod.rs"]
mod fakes;
mod official_clients;
mod recipes;
mod tiny;
mod zhang;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fakes::KEY;
use fakes::algorithmia::Algorithmia;
use fakes::apis::Api;
use pixcolor::config::{BreakerConfig, ConfigSource, RemoteConfig, load};
use pixcolor::credit::CallBegun;
use pixcolor::observe::Metrics;
use pixcolor::photo::Gray;
use pixcolor::provider::{
    BuildError, Call, FailureKind, Provider, ProviderMemory, Readiness, Trace, build, decorated,
};

fn memory() -> ProviderMemory {
    ProviderMemory::new(Metrics::new(prometheus::Registry::new()).unwrap())
}

/// A provider from a configuration file, with new state.
fn configured(name: &str, file: &str) -> Arc<dyn Provider> {
    configured_with(name, file, &[], &memory()).unwrap_or_else(|error| panic!("{error}"))
}

/// A provider from a configuration file, with more files in the folder of `pixcolor.toml`.
fn configured_with(
    name: &str,
    file: &str,
    more: &[(&str, &[u8])],
    memory: &ProviderMemory,
) -> Result<Arc<dyn Provider>, BuildError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in more {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    std::fs::create_dir(folder.path().join("providers")).unwrap();
    std::fs::write(folder.path().join("pixcolor.toml"), "").unwrap();
    std::fs::write(folder.path().join(format!("providers/{name}.toml")), file).unwrap();
    let env = BTreeMap::from([("API_KEY".to_owned(), KEY.to_owned())]);
    let source = ConfigSource { dir: Some(folder.path().to_owned()), env, cwd: None };
    let loaded = load(&source).unwrap();
    build(&loaded.config.providers[name], memory)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_network_conforms() {
    conformance::run(|| configured("local", "kind = \"onnx\"\n")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_with_one_thread_and_no_queue_conforms() {
    conformance::run(|| configured("narrow", "kind = \"onnx\"\nthreads = 1\nqueue = 0\n")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_algorithmia_host_conforms() {
    let fake = Algorithmia::start();
    let file = format!("kind = \"algorithmia\"\nbase_url = \"{}\"\n", fake.url());
    conformance::run(|| configured("far", &file)).await;
    assert!(fake.calls() > 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn described_hosts_conform() {
    let (cog, replicate, openai) = (Api::cog(), Api::replicate(), Api::openai());
    for (name, host, shipped) in [
        ("cog", &cog, include_str!("../../config/providers/cog.toml")),
        ("replicate", &replicate, include_str!("../../config/providers/replicate.toml")),
        ("openai", &openai, include_str!("../../config/providers/openai.toml")),
    ] {
        let own = format!("base_url = \"{}\"\nallow_private = true\n", host.url());
        let kept = shipped
            .lines()
            .filter(|line| !line.starts_with("base_url") && !line.starts_with("allow_private"));
        let text = kept
            .collect::<Vec<_>>()
            .join("\n")
            .replace(&format!("PIXCOLOR_{}_KEY", name.to_uppercase()), "API_KEY");
        let file = text.replace("kind = \"http\"", &format!("kind = \"http\"\n{own}"));
        conformance::run(|| configured(name, &file)).await;
        assert!(host.count("POST") > 16, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_rust_example_conforms() {
    let handbook = include_str!("../../docs/providers.md");
    assert!(
        handbook.contains(include_str!("by_trait.rs")),
        "docs/providers.md must contain tests/providers/by_trait.rs"
    );
    conformance::run(|| Arc::new(by_trait::Sepia::new("mine", (6.0, 18.0)))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decorators_conform_alone_and_together() {
    let nothing = RemoteConfig {
        retries: 0,
        breaker: BreakerConfig { failures: 0, ..BreakerConfig::default() },
        concurrency: 10_000,
        ..RemoteConfig::default()
    };
    let together = RemoteConfig::default();
    for (name, remote) in [
        ("limit", RemoteConfig { concurrency: 2, queue: 1, ..nothing }),
        ("retry", RemoteConfig { retries: 3, ..nothing }),
        ("breaker", RemoteConfig { breaker: together.breaker, ..nothing }),
        ("all", together),
    ] {
        let inner = configured(name, "kind = \"onnx\"\n");
        conformance::run(|| decorated(inner.clone(), &remote, &memory())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_circuit_survives_a_reload_but_not_a_new_address() {
    let memory = memory();
    let (url, mended) = (fakes::http::nobody(), fakes::http::nobody());
    let start = |name: &str, url: &str, timeout: u32| {
        let breaker = "breaker = { failures = 1, pause = 60 }";
        let file = format!(
            "kind = \"algorithmia\"\nbase_url = \"{url}\"\ntimeout = {timeout}\nretries = 0\n{breaker}\n"
        );
        configured_with(name, &file, &[], &memory).unwrap()
    };
    let before = start("far", &url, 30);
    assert_eq!(before.readiness(), Readiness::Ready);
    let gray = Arc::new(Gray { width: 8, height: 8, luma: vec![30_000; 64] });
    let call = Call {
        gray,
        deadline: Instant::now() + Duration::from_secs(20),
        trace: Trace::default(),
        audience: None,
        begun: CallBegun::default(),
    };
    assert_eq!(before.colorize(call.clone()).await.unwrap_err().kind, FailureKind::Unreachable);
    let after = start("far", &url, 31);
    for provider in [&before, &after] {
        assert!(matches!(provider.readiness(), Readiness::NotReady { retry_after: Some(_), .. }));
        assert_eq!(provider.colorize(call.clone()).await.unwrap_err().kind, FailureKind::NotReady);
    }
    assert_eq!(start("other", &url, 30).readiness(), Readiness::Ready);
    // A provider with a new address starts without the failures at the old address.
    assert_eq!(start("far", &mended, 31).readiness(), Readiness::Ready);
}
