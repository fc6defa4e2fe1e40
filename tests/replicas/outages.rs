//! Redis is missing at the start, goes away, comes back, or is configured wrongly.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{post_all, setup, small, three, until};
use crate::fakes::algorithmia::{Algorithmia, Behavior};
use crate::harness::server::pixcolor;
use crate::harness::{Answer, Server, Setup};
use crate::redis::{Redis, free_port};

const BUDGET: &str = "[budgets.small]\nscope = \"all\"\ncredits = 100\n";

/// A gateway on whose route the built-in network is the fallback.
fn before_local(redis: &Redis, fake: &Algorithmia) -> Setup {
    setup(redis, fake, BUDGET).env("PIXCOLOR_ROUTE", r#"["algorithmia", "local"]"#)
}

#[track_caller]
fn provider(server: &Server, seed: u32) -> String {
    let headers = [("Accept", "application/json"), ("Content-Type", "image/png")];
    let answer: Answer = server.post("/v1/colorize", &headers, &small(seed).bytes);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["provider"].as_str().unwrap().to_owned()
}

#[test]
fn during_a_redis_outage_requests_are_answered_and_no_budget_is_exceeded() {
    let (mut redis, fake) = (Redis::start(), Algorithmia::start());
    let servers = [before_local(&redis, &fake).start(), before_local(&redis, &fake).start()];
    servers.iter().zip(1..).for_each(|(server, seed)| assert_eq!(provider(server, seed), "algorithmia"));
    redis.stop();
    let start = Instant::now();
    for seed in 10..20 {
        assert_eq!(provider(&servers[seed as usize % 2], seed), "local");
    }
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    assert_eq!(fake.calls(), 2, "there is no paid call without Redis");
    for server in &servers {
        let ready = server.get("/readyz");
        assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("ready")));
        for key in ["replicas_are_on_their_own", "paid_providers_are_off"] {
            assert!(ready.json()[key].as_str().unwrap().contains(&redis.url()), "{ready:?}");
        }
        assert_eq!(server.metric("pixcolor_redis_up"), 0.0);
        assert_eq!(server.get("/v1/quota").status, 200);
        server.get("/v1/usage").problem(503);
    }
    redis.start_again();
    for server in &servers {
        until(Duration::from_secs(10), "it recovers by itself", || server.metric("pixcolor_redis_up") == 1.0);
        assert!(!server.get("/readyz").text().contains("replicas_are_on_their_own"));
    }
    servers.iter().zip(30..).for_each(|(server, seed)| assert_eq!(provider(server, seed), "algorithmia"));
    assert_eq!(fake.calls(), 4);
    for server in &servers {
        assert_eq!(server.metric("pixcolor_budget_spent_credits{budget=\"small\"}"), 8.0);
        assert_eq!(server.metric("pixcolor_budget_remaining_credits{budget=\"small\"}"), 92.0);
    }
}

#[test]
fn after_a_redis_outage_under_load_no_budget_is_exceeded_and_every_call_is_settled() {
    let (mut redis, fake) = (Redis::start(), Algorithmia::start());
    fake.always(Behavior::Slow(Duration::from_millis(100)));
    let servers = three(&redis, &fake, "[budgets.small]\nscope = \"all\"\ncredits = 40\n");
    let urls: Vec<String> = servers.iter().map(|server| server.url("/v1/colorize")).collect();
    let load = std::thread::spawn(move || {
        // Each replica receives requests continuously, one at a time.
        let ask = |url: String, first: u32| {
            move || {
                (first..first + 40)
                    .map(|seed| post_all([(url.clone(), small(seed))])[0].status)
                    .collect::<Vec<_>>()
            }
        };
        let threads =
            urls.into_iter().zip([100, 200, 300]).map(|(url, first)| std::thread::spawn(ask(url, first)));
        threads
            .collect::<Vec<_>>()
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect::<Vec<u16>>()
    });
    until(Duration::from_secs(20), "calls are made", || fake.calls() >= 3);
    for _ in 0..2 {
        redis.stop();
        std::thread::sleep(Duration::from_millis(300));
        redis.start_again();
        std::thread::sleep(Duration::from_millis(700));
    }
    let answers = load.join().unwrap();
    let colored = answers.iter().filter(|status| **status == 200).count();
    assert_eq!(colored, fake.calls());
    assert!(colored <= 18, "{colored} calls cost 2 of 40 credits each, and each needs 5 to begin");
    let left = |name: &str| servers[0].metric(&format!("pixcolor_budget_{name}_credits{{budget=\"small\"}}"));
    let spent = 2.0 * colored as f64;
    until(Duration::from_secs(15), "every call is settled and nothing stays reserved", || {
        left("spent") == spent && left("remaining") == 40.0 - spent
    });
}

#[test]
fn a_hanging_redis_delays_requests_only_briefly() {
    let (redis, fake) = (Redis::start(), Algorithmia::start());
    let server = before_local(&redis, &fake).start();
    assert_eq!(provider(&server, 1), "algorithmia");
    redis.signal("STOP");
    let start = Instant::now();
    (10..15).for_each(|seed| assert_eq!(provider(&server, seed), "local"));
    assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
    redis.signal("CONT");
    until(Duration::from_secs(10), "it recovers by itself", || server.metric("pixcolor_redis_up") == 1.0);
    assert_eq!(provider(&server, 20), "algorithmia");
    assert_eq!(fake.calls(), 2);
}

#[test]
fn without_redis_at_the_start_the_gateway_warns_and_connects_later() {
    let (mut redis, fake) = (Redis::start(), Algorithmia::start());
    redis.stop();
    let server = before_local(&redis, &fake).start();
    assert_eq!(provider(&server, 1), "local");
    assert!(
        server.said().contains(&format!("Redis at {} does not answer", redis.url())),
        "{}",
        server.said()
    );
    assert!(server.get("/readyz").json()["replicas_are_on_their_own"].is_string());
    redis.start_again();
    until(Duration::from_secs(10), "Redis is found", || server.metric("pixcolor_redis_up") == 1.0);
    assert_eq!(provider(&server, 2), "algorithmia");
}

#[test]
fn redis_works_with_tls_and_a_password_that_is_never_shown() {
    let (redis, authority) = Redis::start_tls("swordfish");
    let fake = Algorithmia::start();
    let start = |authority: &std::path::Path, password: &str| {
        let url = format!("rediss://127.0.0.1:{}", redis.port);
        setup(&redis, &fake, "")
            .env("PIXCOLOR_SHARED__REDIS", url)
            .env("PIXCOLOR_SHARED__PASSWORD", "{ env = \"MY_PASSWORD\" }")
            .env("MY_PASSWORD", password)
            .env("SSL_CERT_FILE", authority)
            .start()
    };
    let server = start(&authority, "swordfish");
    assert_eq!(server.metric("pixcolor_redis_up"), 1.0);
    assert_eq!(provider(&server, 1), "algorithmia");
    let report = server.command(&["check"]);
    assert!(!server.said().contains("swordfish") && !report.contains("swordfish"), "{report}");

    let server = start(&authority, "sardine");
    assert!(server.get("/readyz").json()["replicas_are_on_their_own"].is_string());
    assert!(!server.said().contains("sardine"), "{}", server.said());
    let nobody = authority.with_file_name("nobody.pem");
    std::fs::write(&nobody, "").unwrap();
    assert_eq!(start(&nobody, "swordfish").metric("pixcolor_redis_up"), 0.0);
}

/// The output of `pixcolor serve` when it does not start.
#[track_caller]
fn refusal(config: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    std::fs::write(folder.path().join("config/pixcolor.toml"), config).unwrap();
    let output = pixcolor(folder.path()).env("ROCKET_PORT", "0").output().unwrap();
    assert!(!output.status.success(), "it started");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn an_invalid_or_required_but_missing_redis_is_an_error_that_names_file_and_key() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let said = refusal(&format!("[shared]\nredis = \"{url}\"\nrequired = true\n"));
    assert!(said.contains("pixcolor.toml:2: `shared.redis`: Redis at ") && said.contains(&url), "{said}");
    let said = refusal("[shared]\nredis = \"http://127.0.0.1\"\n");
    assert!(said.contains("pixcolor.toml:2: `shared.redis` is not an address"), "{said}");
    let said = refusal("[shared]\nredis = \"redis://:swordfish@127.0.0.1\"\n");
    assert!(said.contains("pixcolor.toml:2: `shared.redis` must not contain the password"), "{said}");
    assert!(!said.contains("swordfish"), "{said}");
}
