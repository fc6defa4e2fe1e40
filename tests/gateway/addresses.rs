//! Clients by address: trusted and untrusted proxies, allow lists and deny lists.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::quota::{knock, read_head, server, setup};
use crate::harness::{Answer, Setup, agent};

/// A server that trusts this machine as a proxy.
pub fn behind_proxy(limits: &[(&str, &str)]) -> Setup {
    setup(limits).env("PIXCOLOR_TRUSTED_PROXIES", r#"["127.0.0.1"]"#)
}

#[test]
fn behind_a_trusted_proxy_each_address_and_each_ipv6_network_is_a_client() {
    let server = behind_proxy(&[
        ("REQUESTS", r#"{ rate = 2, per = "day", burst = 2 }"#),
        ("EVERYBODY", r#"{ of = "requests", by = "all", rate = 9, per = "day" }"#),
    ])
    .start();
    let knock = |from: &str| knock(&server, &[("X-Forwarded-For", from)]).status;
    let statuses = |from: &[&str]| from.iter().map(|from| knock(from)).collect::<Vec<_>>();
    assert_eq!(statuses(&["203.0.113.1", "203.0.113.1", "203.0.113.1"]), [415, 415, 429]);
    assert_eq!(statuses(&["203.0.113.2", "198.18.0.1, 203.0.113.2", "203.0.113.2"]), [415, 415, 429]);
    assert_eq!(statuses(&["2001:db8::1", "2001:db8::2:1", "2001:db8:0:0:5::3"]), [415, 415, 429]);
    assert_eq!(statuses(&["2001:db8:0:1::1"]), [415]);
    // The limit for all clients together is nine requests: two are left.
    assert_eq!(statuses(&["203.0.113.3", "203.0.113.4", "203.0.113.5"]), [415, 415, 429]);
    let standing = server.get_with("/v1/quota", &[("X-Forwarded-For", "2001:db8::7")]).json();
    assert_eq!((&standing["client"], &standing["peer"]), (&"ip:2001:db8::/64".into(), &"127.0.0.1".into()));
    assert_eq!(standing["notices"], serde_json::Value::Null);
    assert!(!server.said().contains("forwarding headers"), "{}", server.said());
}

#[test]
fn a_thousand_requests_with_made_up_headers_from_one_untrusted_peer_share_one_bucket() {
    let server = server(&[("REQUESTS", r#"{ rate = 1000, per = "day", burst = 1000 }"#)]);
    let mut random = 0x9E37_79B9_u32;
    let mut address = move || {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        IpAddr::from(random.to_be_bytes()).to_string()
    };
    let agent = agent();
    for number in 0..1_000 {
        let (xff, real, forwarded) = (address(), address(), format!("for={}", address()));
        let request = agent.post(server.url("/v1/colorize"));
        let request = request.header("X-Forwarded-For", &xff).header("X-Real-IP", &real);
        let answer = Answer::new(request.header("Forwarded", &forwarded).send(b"").unwrap());
        assert_eq!(answer.status, 415, "{number}: {answer:?}");
    }
    let made_up = address();
    knock(&server, &[("X-Forwarded-For", &made_up)]).problem(429);
    knock(&server, &[]).problem(429);
    let said = server.said();
    assert_eq!(said.matches("trusted_proxies").count(), 1, "{said}");
    assert!(said.contains("127.0.0.1 sends forwarding headers"), "{said}");
    for path in ["/readyz", "/v1/quota"] {
        let notices = server.get(path).json()["notices"].to_string();
        assert!(notices.contains("127.0.0.1 sends forwarding headers"), "{path}: {notices}");
    }
}

#[test]
fn one_private_peer_behind_nearly_all_requests_is_logged_once() {
    // All requests come from this machine, as behind a rootless container engine.
    let server = Setup::new().env("ROCKET_ADDRESS", "0.0.0.0").start();
    for _ in 0..99 {
        assert_eq!(knock(&server, &[]).status, 415);
    }
    assert!(!server.said().contains("nearly all requests"), "{}", server.said());
    for _ in 0..30 {
        knock(&server, &[]);
    }
    let said = server.said();
    assert_eq!(said.matches("nearly all requests come from").count(), 1, "{said}");
    assert!(
        said.contains("come from 127.0.0.1 without a forwarding header") && said.contains("docs/network.md"),
        "{said}"
    );
    for path in ["/readyz", "/v1/quota"] {
        let answer = server.get(path);
        assert_eq!(answer.status, 200);
        let notices = answer.json()["notices"].to_string();
        assert!(notices.contains("nearly all requests come from 127.0.0.1"), "{path}: {notices}");
    }
}

#[test]
fn a_denied_address_gets_403_before_a_body_is_read() {
    let server = behind_proxy(&[]).env("PIXCOLOR_DENY", r#"["203.0.113.0/24", "2001:db8:bad::/48"]"#).start();
    let denied = [("X-Forwarded-For", "203.0.113.77")];
    for path in ["/", "/v1/quota", "/healthz", "/static/app.css", "/nothing/here"] {
        server.get_with(path, &denied).problem(403);
        assert_ne!(server.get(path).status, 403, "{path}");
    }
    knock(&server, &[("X-Forwarded-For", "2001:db8:bad:1::1")]).problem(403);
    assert_eq!(knock(&server, &[("X-Forwarded-For", "2001:db8:9::1")]).status, 415);
    // Only the 14 bytes of the body that Rocket reads first are sent. Without an early response, the server would wait
    // two minutes for more.
    let start = Instant::now();
    let mut stream = server.raw(
        b"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.77\r\n\
          Content-Length: 10000000\r\n\r\n0123456789abcd",
    );
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 403") && head.contains("connection: close"), "{head}");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert!(server.metric(r#"pixcolor_denied_requests_total{reason="address"}"#) > 6.9);
}

#[test]
fn with_an_allow_list_every_other_address_is_rejected() {
    let server = behind_proxy(&[])
        .env("PIXCOLOR_ALLOW", r#"["203.0.113.0/24", "127.0.0.1"]"#)
        .env("PIXCOLOR_DENY", r#"["203.0.113.9"]"#)
        .start();
    for (from, status) in [("203.0.113.8", 415), ("203.0.113.9", 403), ("198.51.100.1", 403)] {
        assert_eq!(knock(&server, &[("X-Forwarded-For", from)]).status, status, "{from}");
    }
    assert_eq!(knock(&server, &[]).status, 415);
}
