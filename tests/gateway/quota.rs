//! Limits on clients, over HTTP: rates, bounds on what is had at once, lists of addresses, and keys.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::{Answer, Picture, Server, Setup, agent};

const LIMITS: &str = "PIXCOLOR_QUOTA__LIMITS__";

/// A server with some of its limits changed.
fn server(limits: &[(&str, &str)]) -> Server {
    setup(limits).start()
}

fn setup(limits: &[(&str, &str)]) -> Setup {
    limits.iter().fold(Setup::new(), |setup, (name, value)| setup.env(&format!("{LIMITS}{name}"), value))
}

fn small(seed: u32) -> Picture {
    Picture::png(32, 24, seed)
}

/// An empty upload, as somebody.
fn knock(server: &Server, headers: &[(&str, &str)]) -> Answer {
    server.post("/v1/colorize", headers, b"")
}

/// What is left of each limit, by `GET /v1/quota`.
#[track_caller]
fn remaining(server: &Server, limit: &str, headers: &[(&str, &str)]) -> u64 {
    let standing = server.get_with("/v1/quota", headers).json();
    let limits = standing["limits"].as_array().unwrap();
    let limit = limits.iter().find(|facts| facts["name"] == limit).unwrap_or_else(|| panic!("{standing}"));
    limit["remaining"].as_u64().unwrap()
}

#[test]
fn who_is_over_a_limit_gets_429_with_a_true_retry_after_and_the_limits_name() {
    let server = server(&[("PICTURES", r#"{ rate = 20, per = "minute", burst = 2 }"#)]);
    for seed in 1..=2 {
        let answer = server.colorize(&small(seed));
        assert_eq!(answer.status, 200);
        assert!(answer.header("ratelimit").contains(&format!("\"pictures\";r={}", 2 - seed)), "{answer:?}");
    }
    let refused = server.colorize(&small(3));
    let problem = refused.problem(429);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    assert_eq!(problem["retry_after"], wait);
    assert_eq!(problem["violated-policies"], serde_json::json!(["pictures"]));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("`pictures`") && detail.contains("20 pictures per minute"), "{detail}");
    let limits = refused.header("ratelimit");
    assert!(limits.contains("\"pictures\";r=0;t=") && limits.contains("\"requests\";r="), "{limits}");
    let policy = refused.header("ratelimit-policy");
    assert!(policy.contains("\"pictures\";q=2;pixcolor-unit=\"pictures\";w=6"), "{policy}");
    assert!(policy.contains("\"bytes\";q=4294967296;qu=\"content-bytes\";w=60"), "{policy}");
    server.colorize(&small(3)).problem(429);
    std::thread::sleep(Duration::from_secs(wait));
    assert_eq!(server.colorize(&small(3)).status, 200);
    server.colorize(&small(4)).problem(429);
    assert!(server.metric(r#"pixcolor_quota_refusals_total{limit="pictures"}"#) > 2.9);
}

#[test]
fn the_wait_is_true_when_several_limits_count_at_once() {
    let server = server(&[
        ("REQUESTS", r#"{ rate = 1, per = "second", burst = 2 }"#),
        ("PICTURES", r#"{ rate = 30, per = "minute", burst = 1 }"#),
        ("MEGAPIXELS", r#"{ rate = 60, per = "minute", burst = 50 }"#),
    ]);
    assert_eq!(server.colorize(&small(1)).status, 200);
    // Let in by `requests`, refused by `pictures`: the wait is for both.
    let refused = server.colorize(&small(2));
    assert_eq!(refused.problem(429)["violated-policies"], serde_json::json!(["pictures"]));
    std::thread::sleep(Duration::from_secs(refused.header("retry-after").parse().unwrap()));
    assert_eq!(server.colorize(&small(2)).status, 200);
}

#[test]
fn an_upload_that_is_refused_is_refused_before_it_is_read_and_the_answer_can_be_read() {
    let server = server(&[("REQUESTS", r#"{ rate = 1, per = "hour", burst = 1 }"#)]);
    assert_eq!(server.colorize(&small(1)).status, 200);
    // All of it is sent before the answer is read.
    let large = Picture { bytes: vec![7; 15 << 20], media_type: "image/png" };
    server.colorize(&large).problem(429);
    // Nothing more is sent before the answer is read.
    let head = "POST /v1/colorize HTTP/1.1\r\nHost: x\r\nContent-Length: 15000000\r\n\r\n0123456789abcdef";
    let start = Instant::now();
    let answer = read_head(&mut server.raw(head.as_bytes()));
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn each_way_to_upload_is_limited_and_nothing_else_is() {
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
    // A browser without JavaScript is answered with a page.
    let page = server.post("/", &[("Content-Type", &form)], &body);
    assert_eq!((page.status, page.header("content-type")), (429, "text/html; charset=utf-8"));
    for path in ["/", "/v1/providers", "/v1/quota", "/healthz", "/readyz", "/metrics"] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.header("ratelimit")), (200, ""), "{path}");
    }
}

#[test]
fn bytes_are_counted_by_their_length_or_as_the_most_there_may_be() {
    let server = setup(&[("BYTES", r#"{ rate = "2 MiB", per = "hour", burst = "2 MiB" }"#)])
        .env("PIXCOLOR_LIMITS__UPLOAD_BYTES", "1 MiB")
        .start();
    let half = Picture { bytes: vec![7; 512 << 10], media_type: "image/png" };
    server.colorize(&half).problem(415);
    assert_eq!(remaining(&server, "bytes", &[]), 3 << 19);
    // Nobody knows how much is coming.
    let mut chunked = server.raw(
        b"POST /v1/colorize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
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
fn megapixels_are_known_from_the_header_and_refused_before_anything_is_decoded() {
    let server = setup(&[("MEGAPIXELS", r#"{ rate = 1, per = "hour", burst = 1 }"#)])
        .env("PIXCOLOR_LIMITS__PIXELS", "1000000")
        .start();
    assert_eq!(server.colorize(&Picture::png(800, 600, 1)).status, 200);
    assert_eq!(server.colorize(&Picture::png(800, 600, 2)).status, 200);
    // Broken after its header: who decoded it would say so.
    let mut broken = Picture::png(800, 600, 3);
    broken.bytes.truncate(200);
    let problem = server.colorize(&broken).problem(429);
    assert_eq!(problem["violated-policies"], serde_json::json!(["megapixels"]));
    assert_eq!(server.colorize(&Picture::png(100, 100, 4)).status, 200);
}

#[test]
fn what_the_cache_answers_costs_nothing_that_protects_credit() {
    let server = server(&[("PICTURES", r#"{ rate = 1, per = "day", burst = 1 }"#)]);
    let picture = Picture::jpeg(64, 48, 1);
    server.colorize(&picture).picture();
    for _ in 0..5 {
        let again = server.colorize(&picture);
        again.picture();
        assert!(again.header("ratelimit").contains("\"pictures\";r=0"), "{again:?}");
    }
    server.colorize(&Picture::jpeg(64, 48, 2)).problem(429);
    // A fresh call is one all the same.
    let fresh = [("Content-Type", "image/jpeg"), ("Cache-Control", "no-cache")];
    server.post("/v1/colorize", &fresh, &picture.bytes).problem(429);
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
        assert_eq!(answer.status, 400, "{number}: {answer:?}");
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

/// A server that believes what the tests' own machine says about clients.
fn behind_proxy(limits: &[(&str, &str)]) -> Setup {
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
    assert_eq!(statuses(&["203.0.113.1", "203.0.113.1", "203.0.113.1"]), [400, 400, 429]);
    assert_eq!(statuses(&["203.0.113.2", "198.18.0.1, 203.0.113.2", "203.0.113.2"]), [400, 400, 429]);
    assert_eq!(statuses(&["2001:db8::1", "2001:db8::2:1", "2001:db8:0:0:5::3"]), [400, 400, 429]);
    assert_eq!(statuses(&["2001:db8:0:1::1"]), [400]);
    // Nine for everybody together: two are left, whoever takes them.
    assert_eq!(statuses(&["203.0.113.3", "203.0.113.4", "203.0.113.5"]), [400, 400, 429]);
    let standing = server.get_with("/v1/quota", &[("X-Forwarded-For", "2001:db8::7")]).json();
    assert_eq!((&standing["client"], &standing["peer"]), (&"ip:2001:db8::/64".into(), &"127.0.0.1".into()));
    assert_eq!(standing["notices"], serde_json::Value::Null);
    assert!(!server.said().contains("forwarding headers"), "{}", server.said());
}

#[test]
fn a_client_can_see_how_it_stands_which_costs_nothing() {
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
fn what_is_turned_off_limits_nobody() {
    let server = setup(&[("REQUESTS", r#"{ rate = 1, per = "day", burst = 1 }"#)])
        .env("PIXCOLOR_QUOTA__ENABLED", "false")
        .start();
    for _ in 0..5 {
        let answer = knock(&server, &[]);
        assert_eq!((answer.status, answer.header("ratelimit")), (400, ""));
    }
    let standing = server.get("/v1/quota").json();
    assert_eq!((&standing["enabled"], &standing["limits"]), (&false.into(), &serde_json::json!([])));
}

/// The head of an answer, as far as the first empty line.
fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn who_is_denied_gets_403_before_a_body_is_read() {
    let server = behind_proxy(&[]).env("PIXCOLOR_DENY", r#"["203.0.113.0/24", "2001:db8:bad::/48"]"#).start();
    let denied = [("X-Forwarded-For", "203.0.113.77")];
    for path in ["/", "/v1/quota", "/healthz", "/static/app.css", "/nothing/here"] {
        server.get_with(path, &denied).problem(403);
        assert_ne!(server.get(path).status, 403, "{path}");
    }
    knock(&server, &[("X-Forwarded-For", "2001:db8:bad:1::1")]).problem(403);
    assert_eq!(knock(&server, &[("X-Forwarded-For", "2001:db8:9::1")]).status, 400);
    // Rocket's peek, and not a byte more.
    let start = Instant::now();
    let mut stream = server.raw(
        b"POST /v1/colorize HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.77\r\n\
          Content-Length: 10000000\r\n\r\n0123456789abcd",
    );
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 403") && head.contains("connection: close"), "{head}");
    assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
    assert!(server.metric(r#"pixcolor_denied_requests_total{reason="address"}"#) > 6.9);
}

#[test]
fn where_some_are_allowed_nobody_else_is_let_in() {
    let server = behind_proxy(&[])
        .env("PIXCOLOR_ALLOW", r#"["203.0.113.0/24", "127.0.0.1"]"#)
        .env("PIXCOLOR_DENY", r#"["203.0.113.9"]"#)
        .start();
    for (from, status) in [("203.0.113.8", 400), ("203.0.113.9", 403), ("198.51.100.1", 403)] {
        assert_eq!(knock(&server, &[("X-Forwarded-For", from)]).status, status, "{from}");
    }
    assert_eq!(knock(&server, &[]).status, 400);
}

#[test]
fn a_key_opens_every_route_in_every_form_and_counts_by_itself() {
    let server = setup(&[
        ("REQUESTS", r#"{ rate = 1, per = "day", burst = 1 }"#),
        ("KEY_REQUESTS", r#"{ rate = 100, per = "day", burst = 100 }"#),
    ])
    .env("PIXCOLOR_ANONYMOUS", "false")
    .start();
    let key = server.command(&["key", "new", "bob@example.org"]);
    assert!(key.starts_with("sim") && key.len() == 28, "{key}");
    assert!(server.command(&["key", "list"]).ends_with("bob@example.org"));
    std::thread::sleep(Duration::from_millis(1_100));

    let picture = small(1);
    let (form, body) = picture.multipart(&[]);
    for scheme in ["", "Simple ", "simple ", "Bearer ", "bearer "] {
        let header = format!("{scheme}{key}");
        let bob = ("Authorization", header.as_str());
        server.post("/v1/colorize", &[bob], &picture.bytes).picture();
        assert_eq!(server.post("/image", &[bob], picture.data_url().as_bytes()).status, 200);
        assert_eq!(server.post("/", &[bob, ("Content-Type", &form)], &body).status, 200);
        assert_eq!(server.get_with("/v1/quota", &[bob]).json()["client"], "key:bob@example.org");
    }
    let bearer = format!("Bearer {key}");
    assert_eq!(remaining(&server, "key-requests", &[("Authorization", &bearer)]), 85);

    let wrong = format!("Bearer sim{}", "x".repeat(25));
    for headers in [&[][..], &[("Authorization", wrong.as_str())], &[("Authorization", "Basic Ym9iOmJvYg==")]]
    {
        let refused = server.post("/v1/colorize", headers, &picture.bytes);
        refused.problem(401);
        assert_eq!(refused.header("www-authenticate"), "Bearer");
        server.post("/image", headers, picture.data_url().as_bytes()).problem(401);
        assert_eq!(server.post("/", &[headers, &[("Content-Type", &form)]].concat(), &body).status, 401);
        server.get_with("/v1/quota", headers).problem(401);
    }
    // What colours nothing needs none.
    assert_eq!(server.get("/").status, 200);

    server.command(&["key", "revoke", "bob@example.org"]);
    std::thread::sleep(Duration::from_millis(1_100));
    server.post("/v1/colorize", &[("Authorization", &bearer)], &picture.bytes).problem(401);
    assert!(!server.said().contains(&key[3..]), "a key was logged: {}", server.said());
    assert!(server.metric(r#"pixcolor_denied_requests_total{reason="key"}"#) > 11.9);
}

#[test]
fn keys_are_optional_and_a_wrong_one_is_told_as_soon_as_there_are_any() {
    let server = server(&[("REQUESTS", r#"{ rate = 3, per = "day", burst = 3 }"#)]);
    // A tool that insists on a key is content with any, while there are none.
    assert_eq!(knock(&server, &[("Authorization", "Bearer whatever")]).status, 400);
    let key = server.command(&["key", "new", "ann"]);
    std::thread::sleep(Duration::from_millis(1_100));
    knock(&server, &[("Authorization", "Bearer whatever")]).problem(401);
    // A proxy in front may ask for a password of its own.
    assert_eq!(knock(&server, &[("Authorization", "Basic Ym9iOmJvYg==")]).status, 400);
    assert_eq!(knock(&server, &[]).status, 400);
    knock(&server, &[]).problem(429);
    assert_eq!(knock(&server, &[("Authorization", &key)]).status, 400);
}

#[test]
fn key_commands_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let key = |args: &[&str]| {
        let output = crate::harness::server::pixcolor(folder.path()).arg("key").args(args).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said)
    };
    assert_eq!(key(&["new", "bob"]).0, Some(0));
    for (args, said) in [
        (&["new", "bob"][..], "already"),
        (&["new", "b b"], "cannot be named"),
        (&["revoke", "ann"], "no key named `ann`"),
    ] {
        let (code, output) = key(args);
        assert!(code == Some(1) && output.contains(said), "{args:?}: {output}");
    }
    let file = folder.path().join(".local/state/pixcolor/keys.json");
    std::fs::write(&file, "rubbish").unwrap();
    for command in ["check", "serve"] {
        let output = crate::harness::server::pixcolor(folder.path()).arg(command).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("keys.json"), "{command}: {said}");
    }
}

/// A request whose upload of this many bytes has begun and goes no further.
fn begun(server: &Server, from: &str, bytes: usize) -> TcpStream {
    let mut stream = server.raw(
        format!(
            "POST /v1/colorize HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {from}\r\nContent-Length: {bytes}\r\n\r\n"
        )
        .as_bytes(),
    );
    stream.write_all(&[0; 1_000]).unwrap();
    stream
}

#[test]
fn uploads_in_progress_are_bounded_for_each_client_and_for_all_and_others_are_told_at_once() {
    let server = behind_proxy(&[])
        .env("PIXCOLOR_LIMITS__UPLOAD_BYTES", "1 MiB")
        .env("PIXCOLOR_LIMITS__UPLOAD_MEMORY", "3 MiB")
        .env("PIXCOLOR_QUOTA__CLIENT_UPLOAD_MEMORY", "2 MiB")
        .start();
    let upload = |from: &str| {
        let picture = Picture { bytes: vec![7; 1 << 20], media_type: "image/png" };
        let start = Instant::now();
        let answer = server.post("/v1/colorize", &[("X-Forwarded-For", from)], &picture.bytes);
        (answer, start.elapsed())
    };
    #[track_caller]
    fn refused((answer, took): (Answer, Duration)) {
        answer.problem(503);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    let one = begun(&server, "203.0.113.1", 1 << 20);
    let two = begun(&server, "203.0.113.1", 1 << 20);
    std::thread::sleep(Duration::from_millis(300));
    refused(upload("203.0.113.1"));
    assert_eq!(upload("203.0.113.2").0.status, 415);
    let three = begun(&server, "203.0.113.3", 1 << 20);
    std::thread::sleep(Duration::from_millis(300));
    refused(upload("203.0.113.2"));
    // Who leaves makes room.
    drop((one, two, three));
    let end = Instant::now() + Duration::from_secs(20);
    while upload("203.0.113.1").0.status == 503 {
        assert!(Instant::now() < end, "the room of uploads that broke off is never free again");
        std::thread::sleep(Duration::from_millis(50));
    }
    for bound in ["client_upload_memory", "upload_memory"] {
        assert!(server.metric(&format!("pixcolor_concurrency_refusals_total{{bound=\"{bound}\"}}")) > 0.9);
    }
}

#[test]
fn one_client_cannot_have_all_that_is_decoded_and_others_get_their_turn() {
    let server = behind_proxy(&[])
        .env("PIXCOLOR_LIMITS__PIXELS", "4000000")
        .env("PIXCOLOR_LIMITS__DECODING_PIXELS", "4000000")
        .env("PIXCOLOR_QUOTA__CLIENT_DECODING_PIXELS", "8000000")
        .start();
    let pictures: Vec<_> = (0..9).map(|seed| Picture::png(2000, 2000, seed)).collect();
    let (server, pictures) = (&server, &pictures);
    let colorize = move |from: &str, index: usize| {
        server.post("/v1/colorize", &[("X-Forwarded-For", from)], &pictures[index].bytes)
    };
    let (greedy, other) = std::thread::scope(|scope| {
        let asking: Vec<_> =
            (0..8).map(|index| scope.spawn(move || colorize("203.0.113.1", index))).collect();
        std::thread::sleep(Duration::from_millis(100));
        let other = scope.spawn(move || colorize("203.0.113.2", 8));
        (asking.into_iter().map(|asked| asked.join().unwrap()).collect::<Vec<_>>(), other.join().unwrap())
    });
    other.picture();
    let served = greedy.iter().filter(|answer| answer.status == 200).count();
    assert!((2..8).contains(&served), "{served}");
    for answer in greedy.iter().filter(|answer| answer.status != 200) {
        answer.problem(503);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    }
}

#[test]
fn one_private_peer_behind_nearly_all_requests_is_told_once() {
    // Others could come, but only this machine does, as behind a rootless engine.
    let server = Setup::new().env("ROCKET_ADDRESS", "0.0.0.0").start();
    for _ in 0..99 {
        assert_eq!(knock(&server, &[]).status, 400);
    }
    assert!(!server.said().contains("nearly all requests"), "{}", server.said());
    for _ in 0..30 {
        knock(&server, &[]);
    }
    let said = server.said();
    assert_eq!(said.matches("nearly all requests come from").count(), 1, "{said}");
    assert!(
        said.contains("come from 127.0.0.1 and name nobody") && said.contains("docs/network.md"),
        "{said}"
    );
    for path in ["/readyz", "/v1/quota"] {
        let answer = server.get(path);
        assert_eq!(answer.status, 200);
        let notices = answer.json()["notices"].to_string();
        assert!(notices.contains("nearly all requests come from 127.0.0.1"), "{path}: {notices}");
    }
}
