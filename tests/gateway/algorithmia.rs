//! Kind `algorithmia` against a real local host that behaves well or fails in every known way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::fakes::KEY;
use crate::fakes::algorithmia::{Algorithmia, Behavior, File};
use crate::fakes::http::{Reply, Server as Http, nobody};
use crate::harness::picture::colorfulness;
use crate::harness::{Answer, Picture, Server, Setup};

/// A gateway whose route is the host at `url`, without a circuit breaker, then the built-in model.
/// The cache is off, so each request is a call.
pub fn before_local(url: &str, more: &str) -> Setup {
    let file = format!("kind = \"algorithmia\"\nbase_url = \"{url}\"\nbreaker = {{ failures = 0 }}\n{more}");
    Setup::new()
        .file("config/pixcolor.toml", "route = [\"algorithmia\", \"local\"]\n")
        .file("config/providers/algorithmia.toml", file)
        .env("ALGORITHMIA_API_KEY", KEY)
        .env("PIXCOLOR_CACHE__ENABLED", "false")
}

/// Colours a small image, and returns the facts.
#[track_caller]
pub fn facts(server: &Server) -> Value {
    facts_of(server, 1)
}

/// Colours a small image, and returns the facts. Each `seed` gives a different image.
#[track_caller]
pub fn facts_of(server: &Server, seed: u32) -> Value {
    let picture = Picture::png(96, 64, seed);
    let answer = server.post("/v1/colorize", &[("Accept", "application/json")], &picture.bytes);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[test]
fn the_provider_gets_a_small_gray_image_and_the_client_gets_color_at_full_size() {
    let fake = Algorithmia::start();
    let server = before_local(&fake.url(), "").start();
    let picture = Picture::jpeg(1600, 1200, 3);
    let answer = server.colorize(&picture);
    let colored = answer.picture();
    assert_eq!((colored.width(), colored.height()), (1600, 1200));
    assert!(colorfulness(&colored) > 5.0);
    assert_eq!(answer.header("x-pixcolor-provider"), "algorithmia");
    assert_eq!(answer.header("x-pixcolor-model"), "deeplearning/ColorfulImageColorization");
    // 1.4 seconds are charged as two.
    assert_eq!(answer.header("x-pixcolor-credits"), "2");
    assert_eq!(answer.header("x-pixcolor-attempts"), "");

    let requests = fake.requests();
    assert_eq!(requests.len(), 2, "one call and one file");
    let (call, file) = (&requests[0], &requests[1]);
    assert_eq!(call.target, "/v1/algo/deeplearning/ColorfulImageColorization/1.1.5?timeout=60");
    assert_eq!(call.header("authorization"), Some(format!("Simple {KEY}").as_str()));
    assert_eq!(call.header("content-type"), Some("application/json"));
    let input: Value = serde_json::from_slice(&call.body).unwrap();
    let url = input["image"].as_str().unwrap().strip_prefix("data:image/jpeg;base64,").unwrap();
    let sent = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, url).unwrap();
    let sent = image::load_from_memory(&sent).unwrap();
    assert!(sent.width() * sent.height() <= 500_000, "{} x {}", sent.width(), sent.height());
    assert_eq!(sent.color(), image::ColorType::L8);
    let path = "/v1/connector/data/.algo/deeplearning/ColorfulImageColorization/temp/00000001.png";
    assert_eq!((file.method.as_str(), file.target.as_str()), ("GET", path));
    assert_eq!(file.header("authorization"), Some(format!("Simple {KEY}").as_str()));
}

#[test]
fn price_and_time_out_are_settings() {
    let fake = Algorithmia::start();
    let royalty = "price.terms = [{ per = \"second\", rate = 1, pointer = \"/metadata/duration\", round = \"up\", minimum = 1 }, { per = \"call\", rate = 0.25 }]";
    let more =
        format!("{royalty}\ntimeout = 7\nalgorithm = \"algo://deeplearning/ColorfulImageColorization\"\n");
    let server = before_local(&fake.url(), &more).start();
    fake.takes(17.489);
    assert_eq!(facts(&server)["credits"], "18.25");
    let target = fake.last_call().target;
    assert_eq!(target, "/v1/algo/deeplearning/ColorfulImageColorization?timeout=7");
    fake.takes(0.000_183);
    assert_eq!(facts(&server)["credits"], "1.25");
}

#[test]
fn without_luma_lock_the_providers_own_image_is_returned() {
    let fake = Algorithmia::start();
    let server = before_local(&fake.url(), "luma_lock = false\n").start();
    let answer = server.colorize(&Picture::png(120, 80, 2));
    let colored = answer.picture().to_rgb8();
    assert_eq!((answer.header("x-pixcolor-provider"), colored.dimensions()), ("algorithmia", (120, 80)));
    // The fake's tint is warm at the top and cool at the bottom.
    let [red, _, blue] = colored.get_pixel(60, 5).0;
    assert!(red > blue, "{red} {blue}");
    let [red, _, blue] = colored.get_pixel(60, 75).0;
    assert!(red < blue, "{red} {blue}");
}

/// The fault, the attempt's `failure`, its cost, and the number of calls of the algorithm.
type Case = (Behavior, &'static str, Option<&'static str>, usize);

fn cases(elsewhere: &str) -> Vec<Case> {
    let free = Some("0");
    let paid = Some("2");
    let there = format!("{elsewhere}/v1/data/x.png");
    vec![
        (Behavior::Envelope("apply() functions do not match input data", None), "failed", free, 1),
        (Behavior::Envelope("not a cat", Some("InputError")), "rejected", free, 1),
        (Behavior::Envelope("authorization required", None), "denied", free, 1),
        (Behavior::Envelope("no credit", Some("PaymentRequiredError")), "denied", free, 1),
        (Behavior::Envelope("algorithm did not complete within 60.0 seconds", None), "timeout", None, 1),
        (
            Behavior::Envelope("Failed to start algorithm - due to algorithm error", None),
            "unavailable",
            free,
            3,
        ),
        (Behavior::Status(401, "authorization required", None), "denied", free, 1),
        (Behavior::Status(402, "payment required", None), "denied", free, 1),
        (Behavior::Status(429, "slow down", None), "busy", free, 3),
        (Behavior::Status(429, "come back later", Some("3600")), "busy", free, 1),
        (Behavior::Status(500, "internal", None), "unavailable", free, 3),
        (Behavior::PlainText(500), "failed", None, 1),
        (Behavior::PlainText(502), "failed", None, 1),
        (Behavior::PlainText(503), "unavailable", free, 3),
        (Behavior::PlainText(504), "timeout", None, 1),
        (Behavior::PlainText(200), "bad_answer", None, 1),
        (Behavior::HangUp, "unreachable", None, 1),
        (Behavior::CutAnswer, "unreachable", None, 1),
        (Behavior::Odd(json!({ "result": "x" })), "bad_answer", None, 1),
        (Behavior::Redirect(there.clone()), "bad_answer", None, 1),
        (Behavior::Output(there.clone()), "bad_answer", paid, 1),
        (Behavior::Output("s3://bucket/x.png".into()), "bad_answer", paid, 1),
        (Behavior::Output("data://../../../admin".into()), "bad_answer", paid, 1),
        (Behavior::File(File::Redirect(there)), "bad_answer", paid, 1),
        (Behavior::File(File::Missing), "bad_answer", paid, 1),
        (Behavior::File(File::NotAnImage), "bad_answer", paid, 1),
        (Behavior::File(File::Truncated), "bad_answer", paid, 1),
        (Behavior::File(File::Cut), "unreachable", paid, 1),
        (Behavior::File(File::Oversized), "bad_answer", paid, 1),
        (Behavior::File(File::Endless), "bad_answer", paid, 1),
        (Behavior::File(File::GzipBomb), "bad_answer", paid, 1),
        (Behavior::File(File::Gray), "bad_answer", paid, 1),
        (Behavior::File(File::WrongShape), "bad_answer", paid, 1),
        (Behavior::File(File::OtherPicture), "bad_answer", paid, 1),
    ]
}

#[test]
fn after_any_failure_the_built_in_model_answers_and_the_response_says_so() {
    let fake = Algorithmia::start();
    let strays = Arc::new(AtomicUsize::new(0));
    let counted = strays.clone();
    let elsewhere = Http::start(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Reply::new(200, "image/png", "")
    });
    let server = before_local(&fake.url(), "").start();
    for (behavior, failure, credits, calls) in cases(&elsewhere.url()) {
        let before = fake.calls();
        fake.always(behavior.clone());
        let facts = facts(&server);
        assert_eq!(facts["provider"], "local", "{behavior:?}");
        let attempts = facts["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 1, "{behavior:?}");
        let attempt = &attempts[0];
        assert_eq!(
            (&attempt["provider"], &attempt["failure"]),
            (&json!("algorithmia"), &json!(failure)),
            "{behavior:?} {attempt}"
        );
        assert_eq!(attempt["credits"], json!(credits), "{behavior:?} {attempt}");
        // The total is the cost of the failed call: the built-in model is free.
        assert_eq!(facts["credits"], json!(credits), "{behavior:?}");
        assert_eq!(fake.calls() - before, calls, "{behavior:?}");
        assert!(!attempt["reason"].as_str().unwrap().is_empty());
    }
    assert_eq!(strays.load(Ordering::SeqCst), 0, "something was sent to another host");
    fake.always(Behavior::Color);
    assert_eq!(facts(&server)["provider"], "algorithmia");

    let metric = |name: &str| server.metric(name);
    for (outcome, least) in [("ok", 1.0), ("bad_answer", 10.0), ("denied", 4.0), ("busy", 2.0)] {
        let name = format!("pixcolor_provider_calls_total{{outcome=\"{outcome}\",provider=\"algorithmia\"}}");
        assert!(metric(&name) >= least, "{name}");
    }
    for (reason, count) in [("grey", 1.0), ("aspect", 1.0), ("luminance", 1.0), ("not_a_picture", 1.0)] {
        let name = format!("pixcolor_guard_refusals_total{{provider=\"algorithmia\",reason=\"{reason}\"}}");
        assert!((metric(&name) - count).abs() < 0.1, "{name}: {}", metric(&name));
    }
    // Two retries each for an algorithm that failed to start, 429, 500 and 503.
    let retries = metric("pixcolor_provider_retries_total{provider=\"algorithmia\"}");
    assert!((retries - 8.0).abs() < 0.1, "{retries}");
    let memory = metric("process_resident_memory_bytes");
    assert!(memory < 400e6, "{memory} bytes");
    nothing_shows_the_key(&server);
}

/// Requests every page that could show the key. The harness searches all output and responses for it.
#[track_caller]
fn nothing_shows_the_key(server: &Server) {
    for path in ["/", "/metrics", "/v1/providers", "/readyz", "/healthz", "/v1/nothing"] {
        server.get(path);
    }
    // Operators see that the host's message contained the key, but not its value.
    assert!(
        server.said().contains("(the key)"),
        "the log does not show that the host's message contained the key"
    );
}

#[test]
fn a_call_that_could_not_begin_is_retried() {
    let fake = Algorithmia::start();
    let server = before_local(&fake.url(), "").start();
    for behaviors in [
        vec![Behavior::Envelope("Failed to start algorithm - Unable to load algorithm", None)],
        vec![Behavior::Status(429, "slow down", None), Behavior::PlainText(503)],
    ] {
        let (before, failures) = (fake.calls(), behaviors.len());
        fake.next(behaviors);
        let facts = facts(&server);
        assert_eq!((&facts["provider"], &facts["attempts"]), (&json!("algorithmia"), &json!([])));
        assert_eq!(fake.calls() - before, failures + 1);
    }
    let start = std::time::Instant::now();
    fake.next([Behavior::Status(429, "slow down", Some("1"))]);
    assert_eq!(facts(&server)["provider"], "algorithmia");
    assert!(start.elapsed() >= Duration::from_secs(1), "the retry came before Retry-After");
}

#[test]
fn a_paid_result_is_fetched_again_after_a_broken_connection() {
    let fake = Algorithmia::start();
    let server = before_local(&fake.url(), "").start();
    fake.always(Behavior::File(File::Cut));
    facts(&server);
    let files = fake.requests().iter().filter(|request| request.method == "GET").count();
    assert_eq!((fake.calls(), files), (1, 3));
}

#[test]
fn an_unreachable_host_costs_nothing() {
    for url in [nobody(), "http://no-such-host.invalid".to_owned()] {
        let server = before_local(&url, "retries = 1\n").start();
        let facts = facts(&server);
        assert_eq!(facts["provider"], "local");
        let attempt = &facts["attempts"][0];
        assert_eq!(
            (&attempt["failure"], &attempt["credits"]),
            (&json!("unreachable"), &json!("0")),
            "{attempt}"
        );
        assert!(attempt["reason"].as_str().unwrap().contains("tried 2 times"), "{attempt}");
    }
}

#[test]
fn each_alert_of_a_host_is_logged_once() {
    let fake = Algorithmia::start();
    let server = before_local(&fake.url(), "").start();
    fake.next([
        Behavior::Alerts(vec!["only 12 credits\nare left"]),
        Behavior::Alerts(vec!["only 11 credits\nare left", "maintenance on Sunday"]),
    ]);
    for _ in 0..3 {
        assert_eq!(facts(&server)["provider"], "algorithmia");
    }
    let said = server.said();
    assert_eq!(said.matches("credits are left").count(), 1, "{said}");
    assert_eq!(said.matches("maintenance on Sunday").count(), 1, "{said}");
}

#[test]
fn a_missing_address_or_key_is_named_and_variables_never_change_the_route() {
    let missing = |server: &Server| {
        let facts = server.get("/v1/providers").json();
        let all = facts["providers"].as_array().unwrap();
        all.iter().find(|provider| provider["name"] == "algorithmia").unwrap()["reason"].clone()
    };
    assert!(missing(&Server::start()).as_str().unwrap().contains("base_url"));
    let fake = Algorithmia::start();
    let keyless = Setup::new().env("ALGORITHMIA_API", fake.url()).start();
    assert!(missing(&keyless).as_str().unwrap().contains("ALGORITHMIA_API_KEY"));
    let named = |server: &Server| -> Answer {
        server.post("/v1/colorize?provider=algorithmia", &[], &Picture::png(64, 48, 4).bytes)
    };
    named(&keyless).problem(503);

    let server = Setup::new().env("ALGORITHMIA_API", fake.url()).env("API_KEY", KEY).start();
    assert_eq!(facts(&server)["provider"], "local");
    assert_eq!(fake.requests().len(), 0, "the route was changed");
    assert_eq!(named(&server).header("x-pixcolor-provider"), "algorithmia");
    let public =
        Setup::new().env("ALGORITHMIA_API", "https://api.algorithmia.com").env("API_KEY", KEY).start();
    assert!(public.said().contains("closed in 2021"), "{}", public.said());
    named(&public).problem(503);
}

#[test]
fn trace_logs_never_contain_the_key() {
    let fake = Algorithmia::start();
    let server = before_local(&fake.url(), "").env("RUST_LOG", "trace").start();
    assert_eq!(facts(&server)["provider"], "algorithmia");
    fake.next([Behavior::Status(401, "bad key", None)]);
    facts(&server);
    // The harness searches for the key when the server is dropped; this only checks that there was output.
    assert!(server.said().contains("TRACE") && server.said().contains("hyper"), "{}", server.said());

    let folder = tempfile::tempdir().unwrap();
    let check =
        crate::harness::server::pixcolor(folder.path()).arg("check").env("API_KEY", KEY).output().unwrap();
    let said = String::from_utf8([check.stdout, check.stderr].concat()).unwrap();
    assert!(said.contains("(set, from env API_KEY)") && !said.contains(KEY), "{said}");
}

#[test]
fn proxy_variables_are_ignored() {
    let proxy = Http::start(|_| Reply::new(502, "text/plain", "I am a proxy"));
    let fake = Algorithmia::start();
    let server = before_local(&fake.url(), "")
        .env("HTTP_PROXY", proxy.url())
        .env("http_proxy", proxy.url())
        .env("ALL_PROXY", proxy.url())
        .start();
    assert_eq!(facts(&server)["provider"], "algorithmia");
}

#[test]
fn tls_certificates_are_verified_with_the_systems_authorities() {
    let (fake, authority) = Algorithmia::start_tls();
    let trusted =
        before_local(&fake.url(), "").file("authority.pem", authority).env("SSL_CERT_FILE", "authority.pem");
    assert_eq!(facts(&trusted.start())["provider"], "algorithmia");
    let before = fake.requests().len();
    // Without the system's authorities the binary uses its own, which did not sign the fake's certificate.
    for nothing in ["nothing.pem", "/dev/null"] {
        let server = before_local(&fake.url(), "retries = 0\n").env("SSL_CERT_FILE", nothing).start();
        let facts = facts(&server);
        assert_eq!(facts["provider"], "local");
        let attempt = &facts["attempts"][0];
        assert_eq!(
            (&attempt["failure"], &attempt["credits"]),
            (&json!("unreachable"), &json!("0")),
            "{attempt}"
        );
        assert!(attempt["reason"].as_str().unwrap().contains("certificate"), "{attempt}");
    }
    assert_eq!(fake.requests().len(), before, "the key was sent to a host without a valid certificate");
}
