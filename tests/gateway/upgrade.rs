//! This version reads the files of an older version: no paid result is lost, and no wrongly decoded result is returned.
//! `tests/data/upgrade-26ac57c/README.md` says how the older version wrote them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::fakes::http::{Reply, Server as Http};
use crate::fakes::picture::colored;
use crate::harness::{Answer, Server, Setup};

/// The host's address in the older gateway's configuration; it is part of the cache keys.
const HOST: &str = "127.26.57.12:26057";
static HOST_IS_USED: Mutex<()> = Mutex::new(());

/// The new binary on a copy of the older version's files, and the host that it calls.
struct Upgraded {
    server: Server,
    expected: Value,
    calls: Arc<AtomicUsize>,
    _host: Http,
    _turn: MutexGuard<'static, ()>,
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/upgrade-26ac57c")
}

fn upload(name: &str) -> Vec<u8> {
    std::fs::read(fixture().join("uploads").join(name)).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

impl Upgraded {
    #[track_caller]
    fn start() -> Self {
        Self::with(|setup| setup)
    }

    #[track_caller]
    fn with(more: impl FnOnce(Setup) -> Setup) -> Self {
        let turn = HOST_IS_USED.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let host = Http::start_at(HOST, move |request| {
            counted.fetch_add(1, Ordering::SeqCst);
            Reply::new(200, "image/png", colored(&request.body).unwrap())
        });
        let copy = |setup: Setup, path: PathBuf| {
            setup.file(path.strip_prefix(fixture()).unwrap().to_str().unwrap(), std::fs::read(&path).unwrap())
        };
        let server = more(files(&fixture()).into_iter().fold(Setup::new(), copy)).start();
        let expected = serde_json::from_slice(&std::fs::read(fixture().join("expected.json")).unwrap());
        Self { server, expected: expected.unwrap(), calls, _host: host, _turn: turn }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// The older version's results of all correctly decoded images: provider, upload, SHA-256.
    fn ordinary(&self) -> Vec<(String, String, String)> {
        self.results().into_iter().filter(|(_, upload, _)| upload.starts_with("ordinary")).collect()
    }

    fn results(&self) -> Vec<(String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let results = self.expected["results"].as_array().unwrap().iter();
        results
            .map(|result| (text(&result["provider"]), text(&result["upload"]), text(&result["sha256"])))
            .collect()
    }

    fn get(&self, path: &str) -> Answer {
        let key = format!("Bearer {}", self.expected["key"].as_str().unwrap());
        self.server.get_with(path, &[("Authorization", &key)])
    }

    fn post(&self, path: &str, body: &[u8]) -> Answer {
        let key = format!("Bearer {}", self.expected["key"].as_str().unwrap());
        let headers = [("Authorization", key.as_str()), ("Content-Type", "application/octet-stream")];
        self.server.post(path, &headers, body)
    }

    fn colorize(&self, provider: &str, name: &str) -> Answer {
        self.post(&format!("/v1/colorize?provider={provider}"), &upload(name))
    }

    fn by_fingerprint(&self, provider: &str, name: &str) -> Answer {
        self.get(&format!("/v1/results/sha256/{}?provider={provider}", sha256(&upload(name))))
    }

    /// The cache status in an estimate for which only the SHA-256 is sent.
    fn estimate(&self, provider: &str, name: &str) -> String {
        let known = json!({ "sha256": sha256(&upload(name)) }).to_string();
        let key = format!("Bearer {}", self.expected["key"].as_str().unwrap());
        let headers = [("Authorization", key.as_str()), ("Content-Type", "application/json")];
        let estimate = self.server.post("/v1/estimate", &headers, known.as_bytes()).json();
        let offers = estimate["providers"].as_array().unwrap();
        let offer = offers.iter().find(|offer| offer["name"] == provider).unwrap();
        offer["cache"].as_str().unwrap().to_owned()
    }
}

/// The largest difference of two images' samples, and the mean difference.
fn differences(one: &Answer, other: &Answer) -> (u8, f64) {
    let (one, other) = (one.picture().to_rgb8(), other.picture().to_rgb8());
    assert_eq!(one.dimensions(), other.dimensions());
    let all: Vec<u8> = one.iter().zip(other.iter()).map(|(one, other)| one.abs_diff(*other)).collect();
    let sum: f64 = all.iter().map(|&one| f64::from(one)).sum();
    (*all.iter().max().unwrap(), sum / all.len() as f64)
}

#[test]
fn after_the_upgrade_keys_usage_and_budgets_are_unchanged() {
    let upgraded = Upgraded::start();
    assert_eq!(upgraded.get("/v1/quota").json()["client"], "key:alice");
    upgraded.server.get("/v1/quota").problem(401);
    let usage = &upgraded.expected["usage"];
    let (from, to) = (usage["from"].as_str().unwrap(), usage["to"].as_str().unwrap());
    assert_eq!(&upgraded.get(&format!("/v1/usage?from={from}&to={to}&by=provider")).json(), usage);
    let spent = upgraded.expected["budgets_spent"]["everything"].as_str().unwrap();
    let metric = upgraded.server.metric(r#"pixcolor_budget_spent_credits{budget="everything"}"#);
    assert_eq!(metric, spent.parse::<f64>().unwrap());
}

#[test]
fn after_the_upgrade_earlier_spending_counts() {
    // 30 of 32 credits are spent, and a call costs 3.
    let upgraded = Upgraded::with(|setup| setup.env("PIXCOLOR_BUDGETS__EACH_CLIENT__CREDITS", "32"));
    let picture = crate::harness::Picture::png(96, 64, 1);
    let problem = upgraded.post("/v1/colorize", &picture.bytes).problem(402);
    assert_eq!(
        (&problem["budget"]["name"], &problem["budget"]["left"]),
        (&json!("each-client"), &json!("2"))
    );
    assert_eq!(upgraded.calls(), 0);
}

/// Results of earlier versions have no mark. They are the same bytes without a mark, so they are hits then.
#[test]
fn correctly_decoded_images_need_no_new_call() {
    let unmarked = Upgraded::with(|setup| setup.env("PIXCOLOR_OUTPUT__MARK", "false"));
    need_no_new_call(unmarked, "hit; detail=disk");
}

#[test]
fn with_marks_correctly_decoded_images_are_merged_again_without_a_call() {
    need_no_new_call(Upgraded::start(), "hit; detail=merged-disk");
}

/// `unchanged`: the cache status of results of formats whose decoder is unchanged.
fn need_no_new_call(mut upgraded: Upgraded, unchanged: &str) {
    for (provider, name, digest) in upgraded.ordinary() {
        let answer = upgraded.colorize(&provider, &name);
        assert_eq!(answer.header("x-pixcolor-credits"), "0", "{provider} {name}");
        // If the decoder of a format is unchanged, the result is the older file. Otherwise the photo is merged with the
        // cached chroma again.
        let changed = !name.ends_with("gif");
        let status = if changed { "hit; detail=merged-disk" } else { unchanged };
        assert_eq!(answer.header("cache-status"), format!("PixColor; {status}"), "{provider} {name}");
        let before = upgraded.get(&format!("/v1/results/{digest}"));
        let (largest, mean) = differences(&answer, &before);
        // The older version's JPEG encoder kept the chroma of one pixel of four, and now it is their mean. This changes
        // single pixels at the edges of colours.
        let same = if name.ends_with("jpg") { mean < 2.5 } else { largest < 2 };
        assert!(same, "{provider} {name}: {largest}, {mean} on average");
        let again = upgraded.colorize(&provider, &name);
        assert_eq!(again.header("cache-status"), "PixColor; hit; detail=memory", "{provider} {name}");
        assert_eq!(upgraded.by_fingerprint(&provider, &name).body, answer.body, "{provider} {name}");
    }
    assert_eq!(upgraded.calls(), 0);

    // The results are now stored under the current cache keys, and the next start finds them.
    upgraded.server.terminate();
    upgraded.server = upgraded.server.start_again();
    for (provider, name, _) in upgraded.ordinary() {
        let found = upgraded.by_fingerprint(&provider, &name);
        assert_eq!(found.header("cache-status"), "PixColor; hit; detail=disk", "{provider} {name}");
    }
    assert_eq!(upgraded.calls(), 0);
}

#[test]
fn a_providers_own_image_moves_to_the_key_of_the_new_decoder() {
    let upgraded = Upgraded::start();
    let own = |name: &str| {
        let start = format!("{}-", sha256(&upload(name)));
        let files = files(&upgraded.server.path("cache")).into_iter();
        let names = files.map(|file| file.file_name().unwrap().to_string_lossy().into_owned());
        names.filter(|file| file.starts_with(&start) && file.ends_with(".own")).count()
    };
    assert_eq!((own("ordinary.jpg"), own("ordinary.gif")), (1, 1));
    for (name, format) in [("ordinary.jpg", "webp"), ("ordinary.gif", "webp")] {
        let answer = upgraded.post(&format!("/v1/colorize?provider=own&format={format}"), &upload(name));
        assert_eq!(answer.header("cache-status"), "PixColor; hit; detail=merged-disk", "{name}");
    }
    assert_eq!((own("ordinary.jpg"), own("ordinary.gif")), (2, 1));
    assert_eq!(upgraded.calls(), 0);
}

#[test]
fn a_lookup_by_fingerprint_ignores_results_of_unknown_decoders() {
    let upgraded = Upgraded::start();
    for (provider, name, _) in upgraded.results() {
        // The results of GIF uploads are still right, but nothing says which they are: the older version did not record
        // the upload's format for PNG results.
        assert_eq!(upgraded.by_fingerprint(&provider, &name).status, 404, "{provider} {name}");
        assert_eq!(upgraded.estimate(&provider, &name), "miss", "{provider} {name}");
    }
    // If the upload itself is sent, its format is known.
    let key = format!("Bearer {}", upgraded.expected["key"].as_str().unwrap());
    let headers = [("Authorization", key.as_str()), ("Content-Type", "application/octet-stream")];
    let estimate = upgraded.server.post("/v1/estimate", &headers, &upload("ordinary.gif")).json();
    let cached = &estimate["providers"][0]["cache"];
    assert_eq!(
        (&estimate["first"], cached),
        (&json!("paid"), &json!("merged")),
        "the result has no mark yet"
    );
    assert_eq!(upgraded.calls(), 0);
}

#[test]
fn a_wrongly_decoded_image_is_colored_again() {
    // The upload is in colour. The older version decoded it with stripes and did not notice the colour.
    let upgraded = Upgraded::with(|setup| setup.env("PIXCOLOR_ON_COLOUR", "\"recolour\""));
    let wrong = upgraded.results().into_iter().filter(|(_, name, _)| name == "three-scans.jpg");
    for (number, (provider, name, digest)) in wrong.enumerate() {
        assert_eq!(upgraded.by_fingerprint(&provider, &name).status, 404, "{provider}");
        let answer = upgraded.colorize(&provider, &name);
        assert_eq!(answer.header("cache-status"), "PixColor; fwd=miss; stored", "{provider}");
        assert!(sha256(&answer.body) != digest, "{provider}: the stripes of the older version");
        assert_eq!(upgraded.calls(), number + 1);
        assert_eq!(upgraded.by_fingerprint(&provider, &name).body, answer.body, "{provider}");
        assert_eq!(upgraded.colorize(&provider, &name).body, answer.body, "{provider}");
    }
    assert_eq!(upgraded.calls(), 2);
}

#[test]
fn deleting_an_image_removes_entries_of_the_older_version_too() {
    let upgraded = Upgraded::start();
    let (provider, name) = ("own", "ordinary.jpg");
    assert_eq!(upgraded.colorize(provider, name).status, 200);
    upgraded.server.command(&["cache", "rm", &sha256(&upload(name))]);
    let start = format!("{}-", sha256(&upload(name)));
    let left: Vec<_> = files(&upgraded.server.path("cache")).into_iter().collect();
    let is_its = |file: &PathBuf| file.file_name().unwrap().to_string_lossy().starts_with(&start);
    assert!(!left.iter().any(is_its), "{left:?}");
    for (_, _, digest) in upgraded.results().iter().filter(|(_, upload, _)| upload == name) {
        assert!(!left.iter().any(|file| file.to_string_lossy().contains(digest)), "{digest}");
    }
}
