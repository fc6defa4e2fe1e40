//! Clients that disconnect while they wait: a call that costs credit and has not begun is not made.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use super::algorithmia::before_local;
use super::proxies;
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::server::pixcolor;
use crate::harness::wait::until;
use crate::harness::{Picture, Server, Setup};

/// A provider that accepts one call at a time, for 2 credits each, and queues the others.
fn one_at_a_time(fake: &Algorithmia, more: &str) -> Setup {
    before_local(&fake.url(), &format!("concurrency = 1\nqueue = 200\n{more}"))
}

/// Sends an image and does not wait for the response.
fn send(address: SocketAddr, picture: &Picture) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "POST /v1/colorize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        picture.media_type,
        picture.bytes.len()
    );
    stream.write_all(&[head.as_bytes(), &picture.bytes].concat()).unwrap();
    stream
}

fn send_many(address: SocketAddr, count: u32) -> Vec<TcpStream> {
    (0..count).map(|seed| send(address, &Picture::png(64, 48, seed))).collect()
}

/// The status of the response.
fn status(mut stream: TcpStream) -> u16 {
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    String::from_utf8_lossy(&head[9..]).parse().unwrap()
}

/// The number of established connections to a local port, from the kernel's lists.
fn established(port: u16) -> usize {
    let lists =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|list| std::fs::read_to_string(list).unwrap()).concat();
    let local = format!(":{port:04X}");
    let is = |line: &&str| {
        let mut words = line.split_whitespace().skip(1);
        words.next().is_some_and(|address| address.ends_with(&local)) && words.nth(1) == Some("01")
    };
    lists.lines().filter(is).count()
}

#[track_caller]
fn until_idle(server: &Server) {
    until("the last response", || server.metric("pixcolor_http_requests_in_flight") < 1.5);
}

#[track_caller]
fn usage(server: &Server, provider: &str) -> (u64, String) {
    let usage = server.get("/v1/usage").json();
    let lines = usage["lines"].as_array().unwrap();
    let line = lines.iter().find(|line| line["provider"] == provider);
    line.map_or((0, "0".to_owned()), |line| {
        (line["calls"].as_u64().unwrap(), line["credits"].as_str().unwrap().to_owned())
    })
}

fn outcome(server: &Server, outcome: &str) -> f64 {
    server.metric(&format!("pixcolor_provider_calls_total{{outcome=\"{outcome}\",provider=\"algorithmia\"}}"))
}

/// `count` clients connect through `address` and leave during the first call.
#[track_caller]
fn leave(server: &Server, fake: &Algorithmia, address: SocketAddr, count: u32) {
    fake.hold(true);
    let clients = send_many(address, count);
    server.until_in_flight(count as usize);
    until("the first call", || fake.calls() > 0);
    drop(clients);
    // A proxy notices first that its clients have left, and then closes its own connections to the gateway.
    until("the end of their connections", || established(server.address.port()) == 0);
    fake.hold(false);
    until_idle(server);
}

#[test]
fn a_hundred_clients_that_leave_early_cause_no_calls_and_no_charge() {
    let fake = Algorithmia::start();
    let server =
        one_at_a_time(&fake, "").env("PIXCOLOR_PROVIDERS__ALGORITHMIA__BREAKER__FAILURES", "1").file(
            "config/pixcolor.toml",
            "route = [\"algorithmia\", \"local\"]\nbudgets.all = { credits = 10000 }\n",
        );
    let server = server.start();
    leave(&server, &fake, server.address, 100);
    // Only the call that was already running is made.
    assert_eq!(fake.calls(), 1);
    assert_eq!(usage(&server, "algorithmia"), (1, "2".to_owned()));
    assert_eq!(usage(&server, "local").0, 0, "the next provider is not called either");
    assert_eq!(server.metric("pixcolor_budget_spent_credits{budget=\"all\"}"), 2.0, "nothing stays reserved");
    assert_eq!((outcome(&server, "ok"), outcome(&server, "abandoned")), (1.0, 99.0));
    assert_eq!(server.metric("pixcolor_http_requests_total{method=\"POST\",status=\"499\"}"), 99.0);
    // Calls that were not made do not count as failures of the provider.
    let answer = server.colorize(&Picture::png(64, 48, 1000));
    assert_eq!((answer.status, answer.header("x-pixcolor-provider")), (200, "algorithmia"));
}

#[test]
fn with_on_disconnect_finish_every_call_is_made() {
    let fake = Algorithmia::start();
    let server = one_at_a_time(&fake, "on_disconnect = \"finish\"\n").start();
    leave(&server, &fake, server.address, 10);
    assert_eq!(fake.calls(), 10);
    assert_eq!(usage(&server, "algorithmia"), (10, "20".to_owned()));
}

#[test]
fn a_call_is_made_while_one_of_its_clients_waits() {
    let fake = Algorithmia::start();
    let server = one_at_a_time(&fake, "").env("PIXCOLOR_CACHE__ENABLED", "true").start();
    fake.hold(true);
    let busy = send(server.address, &Picture::png(64, 48, 0));
    until("the first call", || fake.calls() > 0);
    let shared = Picture::png(64, 48, 1);
    let leader = send(server.address, &shared);
    server.until_in_flight(2);
    let followers = [0, 1].map(|_| send(server.address, &shared));
    server.until_in_flight(4);
    let [stays, leaves] = followers;
    drop((leader, leaves));
    fake.hold(false);
    assert_eq!((status(busy), status(stays)), (200, 200));
    until_idle(&server);
    assert_eq!((fake.calls(), outcome(&server, "abandoned")), (2, 0.0));
}

#[test]
fn a_client_that_returns_is_served() {
    let fake = Algorithmia::start();
    let server = one_at_a_time(&fake, "").start();
    fake.hold(true);
    let busy = send(server.address, &Picture::png(64, 48, 0));
    until("the first call", || fake.calls() > 0);
    let picture = Picture::png(64, 48, 1);
    let impatient = send(server.address, &picture);
    server.until_in_flight(2);
    drop(impatient);
    let again = send(server.address, &picture);
    server.until_in_flight(3);
    fake.hold(false);
    assert_eq!((status(busy), status(again)), (200, 200));
    until_idle(&server);
    assert_eq!(fake.calls(), 2);
}

#[test]
fn departed_clients_are_noticed_on_a_dual_stack_listener() {
    for address in ["::", "0.0.0.0"] {
        let fake = Algorithmia::start();
        let server = one_at_a_time(&fake, "").env("ROCKET_ADDRESS", address).start();
        let port = server.address.port();
        let mut all = vec![SocketAddr::from(([127, 0, 0, 1], port))];
        if address == "::" {
            all.push(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port)));
        }
        for client in all {
            let before = fake.calls();
            leave(&server, &fake, client, 3);
            assert_eq!(fake.calls(), before + 1, "{client} at {address}");
            // A client that stays is served.
            assert_eq!(status(send(client, &Picture::png(64, 48, 77))), 200);
        }
    }
}

#[test]
fn departed_clients_are_noticed_behind_nginx_and_caddy() {
    for start in [proxies::nginx, proxies::caddy] {
        let fake = Algorithmia::start();
        let server = one_at_a_time(&fake, "").env("PIXCOLOR_TRUSTED_PROXIES", r#"["127.0.0.1/32"]"#).start();
        let proxy = start(&server, &[]);
        leave(&server, &fake, proxy.address(), 10);
        assert_eq!(fake.calls(), 1);
        assert_eq!(usage(&server, "algorithmia"), (1, "2".to_owned()));
        assert_eq!(status(send(proxy.address(), &Picture::png(64, 48, 99))), 200);
    }
}

#[test]
fn a_call_for_clients_without_a_connection_is_made() {
    let fake = Algorithmia::start();
    let server = one_at_a_time(&fake, "")
        .file(
            "config/pixcolor.toml",
            "route = [\"algorithmia\"]\n[facades.algorithmia.algorithms]\n\"me/colour\" = \"route\"\n",
        )
        .start();
    fake.hold(true);
    let busy = send(server.address, &Picture::png(64, 48, 0));
    until("the first call", || fake.calls() > 0);
    let picture = Picture::png(64, 48, 1);
    let image = ("Content-Type", picture.media_type);
    let accepted = server.post("/v1/algo/me/colour?output=void", &[image], &picture.bytes);
    assert_eq!(accepted.status, 200, "{}", accepted.text());
    fake.hold(false);
    assert_eq!(status(busy), 200);
    until("the second call", || fake.calls() == 2);
}

#[test]
fn a_free_provider_finishes_by_default_and_its_facts_say_so() {
    let fake = Algorithmia::start();
    let server =
        before_local(&fake.url(), "").file("config/providers/free.toml", "kind = \"onnx\"\n").start();
    let providers = server.get("/v1/providers").json();
    let of = |name: &str| {
        let all = providers["providers"].as_array().unwrap();
        let one: Option<&Value> = all.iter().find(|provider| provider["name"] == name);
        one.unwrap_or_else(|| panic!("{providers}"))["on_disconnect"].clone()
    };
    assert_eq!(
        (of("algorithmia"), of("local"), of("free")),
        (json!("drop"), json!("finish"), json!("finish"))
    );
    let output = pixcolor(&server.path("")).args(["check"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("on_disconnect"), "{said}");
}
