//! Several gateways with one bucket: they share results, and a failing bucket only costs time.

use std::time::{Duration, Instant};

use crate::cache::by_fingerprint;
use crate::fakes::KEY;
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::wait::until;
use crate::harness::{Answer, Picture, Server, Setup};
use crate::s3::S3;

/// A gateway with its own memory and disk cache, this bucket, and a remote provider.
fn on(store: &S3, fake: &Algorithmia) -> Setup {
    let config = format!(
        "route = [\"algorithmia\"]\n[cache]\nstore = \"s3://photos/pixcolor\"\n[cache.s3]\nendpoint = {:?}\n\
         allow_http = true\naccess_key_id = {{ file = \"id\" }}\nsecret_access_key = {{ file = \"secret\" }}\n\
         timeout = 0.5\npause = 1\n",
        store.url()
    );
    Setup::new()
        .file("config/pixcolor.toml", config)
        .file("config/id", &store.key.0)
        .file("config/secret", &store.key.1)
        .env("ALGORITHMIA_API", fake.url())
        .env("ALGORITHMIA_API_KEY", KEY)
}

#[track_caller]
fn is(answer: &Answer, cache_status: &str) {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("cache-status"), format!("PixColor; {cache_status}"));
}

/// Waits for work that continues after a response.
#[track_caller]
fn wait(what: impl Fn() -> bool) {
    until("work after a response", what);
}

fn errors(server: &Server, error: &str) -> f64 {
    server.metric(&format!("pixcolor_cache_errors_total{{error=\"{error}\",tier=\"store\"}}"))
}

#[test]
fn gateways_share_results_in_a_bucket_and_the_command_line_deletes_them() {
    let Some(store) = S3::start() else { return };
    let fake = Algorithmia::start();
    // A store that is slow because the machine is busy must not fail here.
    let patient = || on(&store, &fake).env("PIXCOLOR_CACHE__S3__TIMEOUT", "10").start();
    let (one, other) = (patient(), patient());
    let (picture, unseen) = (Picture::jpeg(300, 200, 1), Picture::jpeg(300, 200, 2));
    let first = one.colorize(&picture);
    is(&first, "fwd=miss; stored");
    wait(|| store.objects().len() == 3);

    let second = other.colorize(&picture);
    is(&second, "hit; detail=store");
    assert_eq!(second.body, first.body);
    assert_eq!(second.header("etag"), first.header("etag"));
    assert_eq!((second.header("x-pixcolor-credits"), fake.calls()), ("0", 1));
    is(&other.colorize(&picture), "hit; detail=memory");
    is(&other.get(first.header("content-location")), "hit; detail=memory");
    assert_eq!(other.metric("pixcolor_renditions_total{origin=\"store\"}"), 1.0);
    assert_eq!(other.metric("pixcolor_cache_lookups_total{result=\"hit\",tier=\"store\"}"), 2.0);
    // The chroma is shared, too, so another format needs no call.
    let png = other.post("/v1/colorize?format=png", &[("Content-Type", "image/jpeg")], &picture.bytes);
    is(&png, "hit; detail=merged-store");
    is(&other.colorize(&unseen), "fwd=miss; stored");
    assert_eq!(fake.calls(), 2);
    wait(|| store.objects().len() == 8);

    let stats = one.command(&["cache", "stats"]);
    let lines: Vec<&str> = stats.lines().collect();
    assert!(lines[0].contains(".cache/pixcolor: 3 entries") && lines[0].contains(" of at most "), "{stats}");
    assert!(lines[1].starts_with("s3://photos/pixcolor: 8 entries, "), "{stats}");
    let address = by_fingerprint(&picture);
    let removed = one.command(&["cache", "rm", address.rsplit('/').next().unwrap()]);
    assert!(removed.contains("s3://photos/pixcolor: 5 entries are removed"), "{removed}");
    assert_eq!(store.objects().len(), 3);
    let cleared = one.command(&["cache", "clear"]);
    assert!(cleared.contains("s3://photos/pixcolor: all entries are removed"), "{cleared}");
    assert_eq!(store.objects(), Vec::<String>::new());
}

#[test]
fn a_failing_bucket_fails_no_request_and_is_used_again_later() {
    let Some(store) = S3::start() else { return };
    let fake = Algorithmia::start();
    // The store answers within this time although the machine is busy.
    let patient = || on(&store, &fake).env("PIXCOLOR_CACHE__S3__TIMEOUT", "2").start();
    let (one, other) = (patient(), patient());
    let known = Picture::png(96, 64, 0);
    is(&one.colorize(&known), "fwd=miss; stored");
    wait(|| store.objects().len() == 3);

    store.hang();
    let start = Instant::now();
    is(&one.colorize(&known), "hit; detail=memory");
    assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
    let start = Instant::now();
    let new: Vec<Picture> = (1..20).map(|seed| Picture::png(96, 64, seed)).collect();
    for picture in &new {
        is(&one.colorize(picture), "fwd=miss; stored");
    }
    // After each time-out of two seconds, the bucket is not used for a second.
    let bound = Duration::from_secs(20);
    assert!(start.elapsed() < bound, "19 pictures took {:?}", start.elapsed());
    assert!(errors(&one, "read_error") > 0.0 && errors(&one, "write_error") > 0.0);
    assert_eq!(one.said().matches("the store cache cannot be read").count(), 1, "{}", one.said());
    store.go_on();

    // The bucket's server ends, so that connections are refused. Then it starts again, empty.
    let store = store.start_again();
    let unknown = Picture::png(96, 64, 100);
    wait(|| {
        // This lookup misses the memory and the disk, so it reaches the bucket.
        one.get(&by_fingerprint(&unknown)).problem(404);
        one.said().contains("works again")
    });
    let last = Picture::png(96, 64, 101);
    is(&one.colorize(&last), "fwd=miss; stored");
    wait(|| store.objects().len() >= 3);
    let calls = fake.calls();
    is(&other.colorize(&last), "hit; detail=store");
    assert_eq!(fake.calls(), calls);
}

#[test]
fn an_invalid_bucket_configuration_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    std::fs::write(folder.path().join("config/pixcolor.toml"), "[cache]\nstore = \"s3://photos\"\n").unwrap();
    let mut check = crate::harness::server::pixcolor(folder.path());
    let output = check.arg("check").output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("config/pixcolor.toml:2: `cache.store` needs `cache.s3.access_key_id`"), "{said}");
}
