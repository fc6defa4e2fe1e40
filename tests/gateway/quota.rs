//! Rate limits over HTTP.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::{Answer, Picture, Server, Setup};

const LIMITS: &str = "PIXCOLOR_QUOTA__LIMITS__";

/// A server with some of its limits changed.
pub fn server(limits: &[(&str, &str)]) -> Server {
    setup(limits).start()
}

pub fn setup(limits: &[(&str, &str)]) -> Setup {
    limits.iter().fold(Setup::new(), |setup, (name, value)| setup.env(&format!("{LIMITS}{name}"), value))
}

pub fn small(seed: u32) -> Picture {
    Picture::png(32, 24, seed)
}

/// Sends an empty upload as this client.
pub fn knock(server: &Server, headers: &[(&str, &str)]) -> Answer {
    server.post("/v1/colorize", headers, b"")
}

/// What remains of a limit, from `GET /v1/quota`.
#[track_caller]
pub fn remaining(server: &Server, limit: &str, headers: &[(&str, &str)]) -> u64 {
    let standing = server.get_with("/v1/quota", headers).json();
    let limits = standing["limits"].as_array().unwrap();
    let limit = limits.iter().find(|facts| facts["name"] == limit).unwrap_or_else(|| panic!("{standing}"));
    limit["remaining"].as_u64().unwrap()
}

/// The head of a response, up to the first empty line.
pub fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn a_client_over_a_limit_gets_429_with_an_exact_retry_after_and_the_limits_name() {
    let server = server(&[("PICTURES", r#"{ rate = 4, per = "minute", burst = 2 }"#)]);
    for seed in 1..=2 {
        let answer = server.colorize(&small(seed));
        assert_eq!(answer.status, 200);
        assert!(answer.header("ratelimit").contains(&format!("\"pictures\";r={}", 2 - seed)), "{answer:?}");
    }
    let refused = server.colorize(&small(3));
    let problem = refused.problem(429);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=15).contains(&wait), "{wait}");
    assert_eq!(problem["retry_after"], wait);
    assert_eq!(problem["violated-policies"], serde_json::json!(["pictures"]));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("`pictures`") && detail.contains("4 pictures per minute"), "{detail}");
    let limits = refused.header("ratelimit");
    assert!(limits.contains("\"pictures\";r=0;t=") && limits.contains("\"requests\";r="), "{limits}");
    let policy = refused.header("ratelimit-policy");
    assert!(policy.contains("\"pictures\";q=2;pixcolor-unit=\"pictures\";w=30"), "{policy}");
    assert!(policy.contains("\"bytes\";q=4294967296;qu=\"content-bytes\";w=60"), "{policy}");
    server.colorize(&small(3)).problem(429);
    std::thread::sleep(Duration::from_secs(wait));
    assert_eq!(server.colorize(&small(3)).status, 200);
    server.colorize(&small(4)).problem(429);
    let counted = |limit, outcome| {
        server.metric(&format!("pixcolor_quota_checks_total{{limit=\"{limit}\",outcome=\"{outcome}\"}}"))
    };
    assert_eq!((counted("pictures", "allowed"), counted("pictures", "refused")), (3.0, 3.0));
    assert_eq!(counted("requests", "allowed"), 6.0);
}

#[test]
fn retry_after_is_exact_with_several_limits() {
    let server = server(&[
        ("REQUESTS", r#"{ rate = 1, per = "second", burst = 2 }"#),
        ("PICTURES", r#"{ rate = 6, per = "minute", burst = 1 }"#),
        ("MEGAPIXELS", r#"{ rate = 60, per = "minute", burst = 50 }"#),
    ]);
    assert_eq!(server.colorize(&small(1)).status, 200);
    // Admitted by `requests`, rejected by `pictures`: Retry-After covers both.
    let refused = server.colorize(&small(2));
    assert_eq!(refused.problem(429)["violated-policies"], serde_json::json!(["pictures"]));
    std::thread::sleep(Duration::from_secs(refused.header("retry-after").parse().unwrap()));
    assert_eq!(server.colorize(&small(2)).status, 200);
}

#[test]
fn a_rejected_upload_is_not_read_and_its_response_arrives() {
    let server = server(&[("REQUESTS", r#"{ rate = 1, per = "hour", burst = 1 }"#)]);
    assert_eq!(server.colorize(&small(1)).status, 200);
    // The client sends its whole body before it reads the response.
    let large = Picture { bytes: vec![7; 15 << 20], media_type: "image/png" };
    server.colorize(&large).problem(429);
    // The client sends only the first bytes of its body, and then reads the response.
    let head =
        "POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 15000000\r\n\r\n0123456789abcdef";
    let start = Instant::now();
    let answer = read_head(&mut server.raw(head.as_bytes()));
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn every_upload_route_is_limited_and_no_other_route() {
    let server = server(&[("REQUESTS", r#"{ rate = 1, per = "hour", burst = 3 }"#)]);
    let picture = small(1);
    let (form, body) = picture.multipart(&[]);
    assert_eq!(server.colorize(&picture).header("ratelimit-policy").matches("requests").count(), 1);
    let legacy = server.post("/image", &[], picture.data_url().as_bytes());
    assert!(legacy.header("ratelimit").contains("\"requests\";r=1;t="), "{legacy:?}");
    let page = server.post("/", &[("Content-Type", &form)], &body);
    assert!(page.header("ratelimit").contains("\"requests\";r=0;t="), "{page:?}");
    server.colorize(&picture).problem(429);
    server.post("/image", &[], picture.data_url().as_bytes()).problem(429);
    // A browser without JavaScript gets a page.
    let page = server.post("/", &[("Content-Type", &form)], &body);
    assert_eq!((page.status, page.header("content-type")), (429, "text/html; charset=utf-8"));
    for path in ["/", "/v1/providers", "/v1/quota", "/healthz", "/readyz", "/metrics"] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.header("ratelimit")), (200, ""), "{path}");
    }
}

#[test]
fn bytes_are_counted_by_content_length_or_the_maximum() {
    let server = setup(&[("BYTES", r#"{ rate = "2 MiB", per = "hour", burst = "2 MiB" }"#)])
        .env("PIXCOLOR_LIMITS__UPLOAD_BYTES", "1 MiB")
        .start();
    let half = Picture { bytes: vec![7; 512 << 10], media_type: "image/png" };
    server.colorize(&half).problem(415);
    assert_eq!(remaining(&server, "bytes", &[]), 3 << 19);
    // The length of a chunked body is unknown, so the maximum counts.
    let mut chunked = server.raw(
        b"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
          14\r\n01234567890123456789\r\n0\r\n\r\n",
    );
    assert!(read_head(&mut chunked).starts_with("HTTP/1.1 415"));
    assert_eq!(remaining(&server, "bytes", &[]), 1 << 19);
    let whole = Picture { bytes: vec![7; 1 << 20], media_type: "image/png" };
    let problem = server.colorize(&whole).problem(429);
    assert_eq!(problem["violated-policies"], serde_json::json!(["bytes"]));
    server.colorize(&half).problem(415);
}

#[test]
fn megapixels_come_from_the_header_and_are_rejected_before_decoding() {
    let server = setup(&[("MEGAPIXELS", r#"{ rate = 1, per = "hour", burst = 1 }"#)])
        .env("PIXCOLOR_LIMITS__PIXELS", "1000000")
        .start();
    assert_eq!(server.colorize(&Picture::png(800, 600, 1)).status, 200);
    assert_eq!(server.colorize(&Picture::png(800, 600, 2)).status, 200);
    // The file is broken after its header, so decoding it would give another error.
    let mut broken = Picture::png(800, 600, 3);
    broken.bytes.truncate(200);
    let problem = server.colorize(&broken).problem(429);
    assert_eq!(problem["violated-policies"], serde_json::json!(["megapixels"]));
    assert_eq!(server.colorize(&Picture::png(100, 100, 4)).status, 200);
}

#[test]
fn cache_hits_take_nothing_from_the_limits_that_protect_credit() {
    let server = server(&[("PICTURES", r#"{ rate = 1, per = "day", burst = 1 }"#)]);
    let picture = Picture::jpeg(64, 48, 1);
    server.colorize(&picture).picture();
    for _ in 0..5 {
        let again = server.colorize(&picture);
        again.picture();
        assert!(again.header("ratelimit").contains("\"pictures\";r=0"), "{again:?}");
    }
    server.colorize(&Picture::jpeg(64, 48, 2)).problem(429);
    // A free call counts towards `pictures`, too.
    let fresh = [("Content-Type", "image/jpeg"), ("Cache-Control", "no-cache")];
    server.post("/v1/colorize", &fresh, &picture.bytes).problem(429);
}

#[test]
fn a_client_can_read_its_limits_for_free() {
    let server = server(&[("PICTURES", r#"{ rate = 3, per = "day", burst = 3 }"#)]);
    for _ in 0..20 {
        assert_eq!(remaining(&server, "pictures", &[]), 3);
    }
    server.colorize(&small(1)).picture();
    let standing = server.get("/v1/quota");
    assert_eq!(standing.header("cache-control"), "no-store");
    let standing = standing.json();
    assert_eq!((&standing["client"], &standing["enabled"]), (&"ip:127.0.0.1".into(), &true.into()));
    let pictures = standing["limits"].as_array().unwrap().iter().find(|limit| limit["name"] == "pictures");
    let mut pictures = pictures.unwrap().clone();
    let more_in = pictures["more_in_seconds"].take().as_u64().unwrap();
    assert!((28_000..=28_800).contains(&more_in), "{more_in}");
    let expected = serde_json::json!({
        "name": "pictures", "gate": "spend", "of": "pictures", "by": "client", "rate": 3, "per": "day",
        "burst": 3, "remaining": 2, "more_in_seconds": null,
    });
    assert_eq!(pictures, expected);
}

#[test]
fn with_rate_limits_disabled_no_client_is_limited() {
    let server = setup(&[("REQUESTS", r#"{ rate = 1, per = "day", burst = 1 }"#)])
        .env("PIXCOLOR_QUOTA__ENABLED", "false")
        .start();
    for _ in 0..5 {
        let answer = knock(&server, &[]);
        assert_eq!((answer.status, answer.header("ratelimit")), (415, ""));
    }
    let standing = server.get("/v1/quota").json();
    assert_eq!((&standing["enabled"], &standing["limits"]), (&false.into(), &serde_json::json!([])));
}
