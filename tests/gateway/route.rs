//! The route: which providers are called, for how long, and when a circuit opens.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;

use super::algorithmia::{before_local, facts, facts_of};
use crate::fakes::KEY;
use crate::fakes::algorithmia::{Algorithmia, Behavior, File};
use crate::harness::{Picture, Server, Setup};

#[test]
fn one_line_switches_between_the_built_in_model_and_algorithmia() {
    let fake = Algorithmia::start();
    let start = |route: &str| {
        Setup::new()
            .file("config/pixcolor.toml", format!("{route}\n[limits]\npixels = 1_000_000\n"))
            .env("ALGORITHMIA_API", fake.url())
            .env("ALGORITHMIA_API_KEY", KEY)
            .start()
    };
    for (route, provider) in [
        ("route = [\"local\"]", "local"),
        ("route = [\"algorithmia\", \"local\"]", "algorithmia"),
        ("route = [\"local\"]", "local"),
    ] {
        let server = start(route);
        let answer = server.colorize(&Picture::png(96, 64, 1));
        answer.picture();
        assert_eq!(answer.header("x-pixcolor-provider"), provider, "{route}");
    }
    let server = start("route = [\"algorithmia\", \"local\"]");
    drop(fake);
    let answer = server.colorize(&Picture::png(96, 64, 1));
    answer.picture();
    assert_eq!(answer.header("x-pixcolor-provider"), "local");
    assert_eq!(answer.header("x-pixcolor-attempts"), "algorithmia=unreachable");
}

#[test]
fn a_host_that_hangs_leaves_time_for_the_next_provider() {
    let fake = Algorithmia::start();
    let setup = before_local(&fake.url(), "").env("PIXCOLOR_LIMITS__REQUEST_SECONDS", "20");
    let server = setup.start();
    for behavior in [Behavior::Slow(Duration::from_secs(60)), Behavior::Stalled(Duration::from_secs(60))] {
        fake.always(behavior.clone());
        let start = Instant::now();
        let facts = facts(&server);
        assert!(start.elapsed() < Duration::from_secs(20), "{behavior:?}");
        assert_eq!(facts["provider"], "local", "{behavior:?}");
        let attempt = &facts["attempts"][0];
        assert_eq!(attempt["failure"], "timeout", "{attempt}");
        // Whether the call cost credit is unknown.
        assert_eq!((&attempt["credits"], &facts["credits"]), (&json!(null), &json!(null)), "{attempt}");
        assert!(attempt["seconds"].as_f64().unwrap() > 2.0, "{attempt}");
    }
    // The `timeout` parameter of the request to the host is within the time that the provider has.
    let target = fake.last_call().target;
    let seconds: u64 = target.rsplit_once("timeout=").unwrap().1.parse().unwrap();
    assert!((1..=19).contains(&seconds), "{target}");
}

#[test]
fn a_time_out_of_the_last_provider_names_the_providers_tried() {
    let fake = Algorithmia::start();
    fake.always(Behavior::Slow(Duration::from_secs(20)));
    let server = before_local(&fake.url(), "")
        .file("config/pixcolor.toml", "route = [\"algorithmia\"]\nlimits.request_seconds = 6\n")
        .start();
    let problem = server.colorize(&Picture::png(64, 48, 1)).problem(504);
    assert_eq!(problem["attempts"][0]["failure"], "timeout", "{problem}");
    assert_eq!(fake.calls(), 1, "a call that may have cost credit was repeated");
}

#[test]
fn connect_first_byte_and_total_have_separate_time_outs() {
    let fake = Algorithmia::start();
    fake.always(Behavior::Slow(Duration::from_secs(20)));
    let server = before_local(&fake.url(), "first_byte_timeout = 0.4\n").start();
    let start = Instant::now();
    assert_eq!(facts(&server)["attempts"][0]["failure"], "timeout");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());

    // The gateway allows five seconds for the network on top of `timeout`.
    let server = before_local(&fake.url(), "timeout = 0.5\n").start();
    let start = Instant::now();
    assert_eq!(facts(&server)["attempts"][0]["failure"], "timeout");
    assert!((4.0..15.0).contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());

    // A host that accepts connections and never answers the TLS handshake.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let server = before_local(&url, "connect_timeout = 0.4\nretries = 0\n").start();
    let start = Instant::now();
    let attempt = facts(&server)["attempts"][0].clone();
    assert_eq!((&attempt["failure"], &attempt["credits"]), (&json!("unreachable"), &json!("0")), "{attempt}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

const STATE: &str = "pixcolor_provider_breaker_state{provider=\"algorithmia\"}";

fn state(server: &Server, wanted: f64) -> bool {
    (server.metric(STATE) - wanted).abs() < 0.1
}

/// The circuit opens after two failures, for this many seconds.
fn with_breaker(fake: &Algorithmia, pause: f64) -> Server {
    let url = fake.url();
    let breaker = format!("breaker = {{ failures = 2, pause = {pause:?} }}");
    let file = format!("kind = \"algorithmia\"\nbase_url = \"{url}\"\n{breaker}\n");
    before_local(&url, "").file("config/providers/algorithmia.toml", file).start()
}

#[test]
fn a_repeatedly_failing_host_opens_the_circuit() {
    for wrong in [Behavior::HangUp, Behavior::File(File::Gray)] {
        let fake = Algorithmia::start();
        let server = with_breaker(&fake, 300.0);
        assert!(state(&server, 0.0), "closed");
        fake.always(wrong.clone());
        for _ in 0..4 {
            assert_eq!(facts(&server)["provider"], "local", "{wrong:?}");
        }
        assert_eq!(fake.calls(), 2, "{wrong:?}");
        assert_eq!(facts(&server)["attempts"][0]["failure"], "not_ready", "{wrong:?}");
        assert!(state(&server, 2.0), "open: {}", server.get("/metrics").text());
        // A request for this provider alone is rejected with Retry-After.
        let answer = server.post("/v1/colorize?provider=algorithmia", &[], &Picture::png(64, 48, 1).bytes);
        let problem = answer.problem(503);
        let seconds: u64 = answer.header("retry-after").parse().unwrap();
        assert!((200..=300).contains(&seconds), "{problem}");
    }
}

#[test]
fn an_open_circuit_allows_a_probe_after_a_pause() {
    let fake = Algorithmia::start();
    let server = with_breaker(&fake, 0.2);
    fake.always(Behavior::HangUp);
    for _ in 0..2 {
        assert_eq!(facts(&server)["provider"], "local");
    }
    assert!(state(&server, 2.0), "open");
    fake.always(Behavior::Color);
    server.until("the pause ends", |server| facts(server)["provider"] == "algorithmia");
    assert!(state(&server, 0.0), "closed again");
}

#[test]
fn calls_above_the_concurrency_limit_wait_or_fall_back() {
    let fake = Algorithmia::start();
    for (queue, by_algorithmia) in [(0, 1), (5, 3)] {
        fake.hold(true);
        let server = before_local(&fake.url(), &format!("concurrency = 1\nqueue = {queue}\n")).start();
        let answers: Vec<_> = std::thread::scope(|scope| {
            let server = &server;
            let asked: Vec<_> = (0..3).map(|seed| scope.spawn(move || facts_of(server, seed))).collect();
            // Requests that find the queue full are answered while the host still works on the first request.
            server.until("requests beyond the queue are answered", |_| {
                asked.iter().filter(|asked| asked.is_finished()).count() >= 3 - by_algorithmia
            });
            fake.hold(false);
            asked.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        let colored = answers.iter().filter(|facts| facts["provider"] == "algorithmia").count();
        assert_eq!(colored, by_algorithmia, "queue = {queue}");
        for facts in answers.iter().filter(|facts| facts["provider"] == "local") {
            assert_eq!(facts["attempts"][0]["failure"], "busy", "{facts}");
        }
    }
}

#[test]
fn the_gateways_own_time_and_the_providers_time_are_reported_separately() {
    let fake = Algorithmia::start();
    fake.always(Behavior::Slow(Duration::from_secs(6)));
    let server = before_local(&fake.url(), "").start();
    facts(&server);
    let sum = |name: &str| server.metric(&format!("{name}_sum"));
    let own = sum("pixcolor_overhead_seconds");
    let there = server.metric("pixcolor_provider_call_duration_seconds_sum{provider=\"algorithmia\"}");
    assert!(there >= 6.0, "{there}");
    assert!(own > 0.0 && own < there, "{own} of ours, {there} of the provider's");
    assert!(server.metric("pixcolor_overhead_seconds_count") > 0.9);
}
