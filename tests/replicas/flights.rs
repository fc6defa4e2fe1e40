//! Identical uploads share one call, even if clients send them to different replicas.

use std::time::{Duration, Instant};

use crate::common::{Balancer, post_all, setup, small, three, until};
use crate::fakes::algorithmia::{Algorithmia, Behavior};
use crate::harness::Picture;
use crate::redis::Redis;

#[test]
fn three_hundred_identical_uploads_to_three_replicas_cause_one_call_and_equal_responses() {
    let (redis, fake) = (Redis::start(), Algorithmia::start());
    fake.always(Behavior::Slow(Duration::from_millis(1500)));
    let servers = three(&redis, &fake, "");
    let balancer = Balancer::start(&servers);
    let answers = post_all((0..300).map(|_| (format!("{}/v1/colorize", balancer.url), small(1))));
    let first = answers[0].picture();
    assert!(crate::harness::picture::colorfulness(&first) > 5.0);
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (200, &answers[0].body));
        assert_eq!(answer.header("etag"), answers[0].header("etag"));
    }
    assert_eq!(fake.calls(), 1);
    for server in &servers {
        // Each replica answered some requests and serves the result at its address.
        assert!(server.metric("pixcolor_http_requests_total{method=\"POST\",status=\"200\"}") >= 50.0);
        assert_eq!(server.get(answers[0].header("content-location")).body, answers[0].body);
    }
}

#[test]
fn no_cache_requests_call_again_and_no_store_requests_share_no_flight() {
    let (redis, fake) = (Redis::start(), Algorithmia::start());
    let [one, other, _] = three(&redis, &fake, "");
    let ask = |server: &crate::harness::Server, control: &str| {
        let headers = [("Content-Type", "image/png"), ("Cache-Control", control)];
        assert_eq!(server.post("/v1/colorize", &headers, &small(1).bytes).status, 200);
        fake.calls()
    };
    assert_eq!(ask(&one, "no-cache"), 1);
    assert_eq!(ask(&other, "no-cache"), 2, "`no-cache` does not accept the earlier result");
    assert_eq!(ask(&one, "no-store"), 2, "this replica has cached the result");
    // Another picture, which is not cached anywhere.
    let headers = [("Content-Type", "image/png"), ("Cache-Control", "no-store")];
    assert_eq!(one.post("/v1/colorize", &headers, &small(2).bytes).status, 200);
    assert_eq!(other.post("/v1/colorize", &headers, &small(2).bytes).status, 200);
    assert_eq!(fake.calls(), 4);
}

#[test]
fn a_failure_is_not_shared_and_followers_retry() {
    let (redis, fake) = (Redis::start(), Algorithmia::start());
    fake.next([Behavior::Envelope("out of order", Some("SystemError"))]);
    let servers = three(&redis, &fake, "");
    let answers = post_all(servers.iter().map(|server| (server.url("/v1/colorize"), small(1))));
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 2, "{answers:?}");
    assert_eq!(fake.calls(), 2);
}

#[test]
fn a_killed_leader_is_replaced_and_its_reservation_stays() {
    const BUDGET: &str = "[budgets.small]\nscope = \"all\"\ncredits = 100\n";
    let (redis, fake) = (Redis::start(), Algorithmia::start());
    fake.always(Behavior::Slow(Duration::from_secs(2)));
    let start = || setup(&redis, &fake, BUDGET).start();
    let (mut leader, others) = (start(), [start(), start()]);
    let request = format!(
        "POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: {}\r\n\r\n",
        small(1).bytes.len()
    );
    let _waits = leader.raw(&[request.as_bytes(), &small(1).bytes].concat());
    until(Duration::from_secs(20), "the leader makes the call", || fake.calls() == 1);
    let urls: Vec<_> = others.iter().map(|server| server.url("/v1/colorize")).collect();
    let waiting = std::thread::spawn(move || post_all(urls.into_iter().map(|url| (url, small(1)))));
    others.iter().for_each(|server| server.until_in_flight(1));
    leader.child.kill().unwrap();
    let killed = Instant::now();
    let answers = waiting.join().unwrap();
    // The killed leader's lock lasts 10 seconds, and a call 2 seconds. The other 8 are for a slow machine.
    assert!(killed.elapsed() < Duration::from_secs(10 + 2 + 8), "{:?}", killed.elapsed());
    answers.iter().for_each(|answer| assert_eq!((answer.status, &answer.body), (200, &answers[0].body)));
    assert_eq!(fake.calls(), 2);
    let [one, _] = &others;
    assert_eq!(one.metric("pixcolor_budget_spent_credits{budget=\"small\"}"), 2.0);
    // 5 credits stay reserved for the killed call, whose cost is unknown.
    assert_eq!(one.metric("pixcolor_budget_remaining_credits{budget=\"small\"}"), 93.0);
}

#[test]
fn a_result_chosen_by_one_clients_budget_is_not_shared_with_another_client() {
    // A call costs 2 credits and reserves 5, so each client can make one call.
    const EACH: &str = "[budgets.each]\nscope = \"client\"\ncredits = 6\n";
    let (redis, fake) = (Redis::start(), Algorithmia::start());
    let [one, other] = [(); 2].map(|()| {
        setup(&redis, &fake, EACH)
            .env("PIXCOLOR_ROUTE", r#"["algorithmia", "local"]"#)
            .env("PIXCOLOR_TRUSTED_PROXIES", r#"["127.0.0.1"]"#)
            .start()
    });
    let provider = |server: &crate::harness::Server, client: &str, seed: u32| {
        let answer = server.post("/v1/colorize", &[("X-Forwarded-For", client)], &small(seed).bytes);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.header("x-pixcolor-provider").to_owned()
    };
    let [bob, ann] = ["203.0.113.1", "203.0.113.2"];
    assert_eq!(provider(&one, bob, 1), "algorithmia");
    assert_eq!(provider(&one, bob, 2), "local", "his budget is spent");
    assert_eq!(provider(&other, ann, 2), "algorithmia", "and hers is not");
    // A result that no budget influenced is shared with every client.
    assert_eq!((provider(&one, bob, 2).as_str(), fake.calls()), ("local", 2));
    assert_eq!((provider(&other, bob, 1).as_str(), fake.calls()), ("algorithmia", 2));
}

#[test]
fn when_the_leaders_client_leaves_a_waiting_replica_makes_the_call() {
    let (redis, fake) = (Redis::start(), Algorithmia::start());
    let one = setup(&redis, &fake, "")
        .env("PIXCOLOR_PROVIDERS__ALGORITHMIA__CONCURRENCY", "1")
        .env("PIXCOLOR_PROVIDERS__ALGORITHMIA__TIMEOUT", "60")
        .start();
    let other = setup(&redis, &fake, "").start();
    let upload = |picture: &Picture| {
        let length = picture.bytes.len();
        let head =
            format!("POST /v1/colorize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n");
        [head.as_bytes(), &picture.bytes].concat()
    };
    fake.hold(true);
    let _busy = one.raw(&upload(&small(0)));
    until(Duration::from_secs(20), "the first call", || fake.calls() == 1);
    let leader = one.raw(&upload(&small(1)));
    one.until_in_flight(2);
    let url = other.url("/v1/colorize");
    let follower = std::thread::spawn(move || post_all([(url, small(1))]));
    other.until_in_flight(1);
    drop(leader);
    fake.hold(false);
    assert_eq!(follower.join().unwrap()[0].status, 200);
    assert_eq!(fake.calls(), 2);
    let dropped = "pixcolor_provider_calls_total{outcome=\"abandoned\",provider=\"algorithmia\"}";
    assert_eq!((one.metric(dropped), other.metric(dropped)), (1.0, 0.0));
}
