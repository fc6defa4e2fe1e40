//! Details of the HTTP protocol that Algorithmia's clients rely on.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::{ALGORITHM, error, image, key, output, pipe, post_json, storing};
use crate::fakes::KEY;
use crate::fakes::algorithmia::{Algorithmia, Behavior};
use crate::harness::{Picture, Server, Setup, agent};

/// Sends raw bytes and returns the raw response.
fn raw(server: &Server, request: &[u8]) -> String {
    let mut answer = Vec::new();
    let mut stream = server.raw(request);
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn doubled_slashes_chunked_bodies_and_a_key_without_scheme_are_accepted() {
    let server = Server::start();
    let server_with_key = Server::start();
    let bob = key(&server_with_key, "bob");
    let request = |path: &str, key: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: {key}\r\nContent-Type: text/plain\r\n{body}"
        )
    };
    let chunked = "Transfer-Encoding: chunked\r\n\r\n4\r\nHAL \r\n4;x=y\r\n9000\r\n0\r\n\r\n";
    for path in [
        "//v1/algo/demo/Hello",
        "/v1/algo/demo/Hello/",
        "/v1/algo/demo/Hello/0.1.1/",
        "//v1//algo/demo/Hello/latest",
    ] {
        let answer = raw(&server, request(path, "simANY", chunked).as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(answer.contains("\"result\":\"Hello HAL 9000\""), "{path}: {answer}");
        assert!(!answer.contains("\"error\""), "{answer}");
    }
    let plain = "Content-Length: 3\r\n\r\nBob";
    for key in [bob.clone(), format!("Simple {bob}"), format!("simple {bob}"), format!("Bearer {bob}")] {
        let answer = raw(&server_with_key, request("/v1/algo/demo/Hello", &key, plain).as_bytes());
        assert!(answer.contains("Hello Bob"), "{answer}");
    }
    let wrong = raw(&server_with_key, request("/v1/algo/demo/Hello", "Simple simWRONG", plain).as_bytes());
    assert!(
        wrong.starts_with("HTTP/1.1 401")
            && wrong.contains("{\"error\":{\"message\":\"authorization required"),
        "{wrong}"
    );
}

#[test]
fn a_large_chunked_picture_arrives_whole() {
    let server = Server::start();
    let picture = Picture::jpeg(900, 700, 8);
    let body = image(&picture).to_string();
    // A reader has no known length, so the body is chunked.
    let request = agent().post(server.url(ALGORITHM)).header("Content-Type", "application/json");
    let mut reader = body.as_bytes();
    let answer = crate::harness::Answer::new(request.send(ureq::SendBody::from_reader(&mut reader)).unwrap());
    server.get(&output(&answer)).picture();
}

#[test]
fn head_returns_the_length_of_a_file_without_a_body() {
    let server = Server::start();
    let path = output(&pipe(&server, &image(&Picture::png(64, 48, 1))));
    let file = server.get(&path);
    let head = raw(
        &server,
        format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(),
    );
    let (fields, body) = head.split_once("\r\n\r\n").unwrap();
    let fields = fields.to_lowercase();
    assert!(fields.starts_with("http/1.1 200"), "{head}");
    assert!(fields.contains(&format!("content-length: {}\r\n", file.body.len())), "{head}");
    assert!(
        fields.contains("x-data-type: file") && fields.contains("\netag: \"") && fields.contains("\ndate: ")
    );
    assert_eq!(body, "");
    assert_eq!(file.header("etag").trim_matches('"').len(), 64);

    let missing = raw(
        &server,
        b"HEAD /v1/data/.algo/o/n/temp/x.png HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    let (fields, body) = missing.split_once("\r\n\r\n").unwrap();
    assert!(
        fields.starts_with("HTTP/1.1 404")
            && fields.to_lowercase().contains("x-error-message: there is no such result")
    );
    assert_eq!(body, "");
}

#[test]
fn a_too_large_body_is_read_before_it_is_refused() {
    let server = Setup::new().env("PIXCOLOR_LIMITS__UPLOAD_BYTES", "\"100 KiB\"").start();
    let large = vec![b'x'; 8 << 20];
    for (kind, chunked) in
        [("application/json", false), ("application/octet-stream", false), ("text/plain", true)]
    {
        let mut head = format!("POST {ALGORITHM} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n");
        head += &match chunked {
            true => format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", large.len()),
            false => format!("Content-Length: {}\r\n\r\n", large.len()),
        };
        let mut stream = server.raw(head.as_bytes());
        // A client can send its whole body before it reads the response.
        stream.write_all(&large).unwrap();
        if chunked {
            stream.write_all(b"\r\n0\r\n\r\n").unwrap();
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        assert!(answer.contains("\"error_type\":\"TooLargeError\""), "{answer}");
    }
}

#[test]
fn every_error_has_an_envelope_and_a_status_that_clients_can_read() {
    let server = Server::start();
    let say = |kind: &str, body: &[u8]| server.post(ALGORITHM, &[("Content-Type", kind)], body);
    for (answer, status, kind, words) in [
        (say("application/json", b"{"), 200, "InputError", "EOF"),
        (say("application/json", b"{}"), 200, "InputError", "The input cannot be read"),
        (say("application/json", b"{\"image\": 5}"), 200, "InputError", "The input cannot be read"),
        (say("application/json", b"{\"image\": \"cat\"}"), 200, "InputError", "A picture is a data URL"),
        (say("application/json", b"{\"image\": \"s3://b/x\"}"), 200, "InputError", "A picture is a data URL"),
        (say("text/plain", b"\xff"), 200, "InputError", "not UTF-8"),
        (say("application/octet-stream", b"GIF89a\xe4\x20"), 200, "InputError", "damaged"),
        (say("application/octet-stream", b"words"), 200, "UnsupportedError", "not a picture"),
        (say("multipart/form-data; boundary=x", b"words"), 415, "UnsupportedError", "Content-Type"),
        (say("application/octet-stream", b""), 415, "UnsupportedError", "empty"),
        (
            post_json(&server, "/v1/algo/demo/Hello?timeout=soon", &[], &json!("x")),
            400,
            "InputError",
            "timeout",
        ),
        (
            post_json(&server, "/v1/algo/demo/Hello?stdout=perhaps", &[], &json!("x")),
            400,
            "InputError",
            "stdout",
        ),
    ] {
        let message = error(&answer, status);
        assert!(message.to_lowercase().contains(&words.to_lowercase()), "{words}: {message}");
        assert_eq!(answer.json()["error"]["error_type"], kind, "{message}");
    }
    error(&server.post("/v1/algo/demo", &[], b"x"), 404);
    assert_eq!(server.get("/v1/algo/demo/Hello").header("allow"), "POST");
    error(&server.get("/v1/algo/demo/Hello"), 405);
    error(&server.get("/v1/connector/s3/a/b"), 404);
    error(&server.get("/v1/data/dropbox://a/b"), 400);
    // Other paths return problems in PixColor's own format.
    server.get("/v1/nothing").problem(404);
    server.post("/v1/colorize", &[], b"words").problem(415);
}

#[test]
fn raw_output_has_no_envelope_and_its_errors_have_error_statuses() {
    let server = Server::start();
    let raw = |path: &str, body: &[u8]| server.post(path, &[("Content-Type", "text/plain")], body);
    let hello = raw("/v1/algo/demo/Hello?timeout=300&stdout=False&output=raw", b"HAL");
    assert_eq!((hello.status, hello.text()), (200, "Hello HAL"));
    assert!(hello.header("content-type").starts_with("text/plain"));
    let picture = Picture::png(64, 48, 1);
    let made = raw(&format!("{ALGORITHM}?output=raw"), picture.data_url().as_bytes());
    assert_eq!(made.header("content-type"), "application/json");
    assert!(made.json()["output"].as_str().unwrap().starts_with("data://.algo/"));
    for (path, status) in
        [(format!("{ALGORITHM}?output=raw"), 400), ("/v1/algo/a/B?output=raw".to_owned(), 400)]
    {
        let failed = raw(&path, b"cat");
        assert_eq!(failed.status, status);
        assert!(failed.header("content-type").starts_with("text/plain") && !failed.text().starts_with('{'));
    }
    let void = raw(&format!("{ALGORITHM}?output=void"), picture.data_url().as_bytes()).json();
    assert!(void["async"].is_string() && void["request_id"].as_str().unwrap().starts_with("req-"));
}

/// A gateway whose only provider is the fake.
fn asking(fake: &Algorithmia, more: &str) -> Setup {
    let file = format!(
        "kind = \"algorithmia\"\nbase_url = \"{}\"\nbreaker = {{ failures = 0 }}\nretries = 0\n",
        fake.url()
    );
    Setup::new()
        .file("config/pixcolor.toml", format!("route = [\"algorithmia\"]\n{more}"))
        .file("config/providers/algorithmia.toml", file)
        .env("ALGORITHMIA_API_KEY", KEY)
}

#[test]
fn provider_failures_have_algorithmias_error_types() {
    let fake = Algorithmia::start();
    let server = asking(&fake, "").start();
    fake.next([Behavior::Slow(Duration::from_secs(8))]);
    let start = std::time::Instant::now();
    let late = post_json(&server, &format!("{ALGORITHM}?timeout=1"), &[], &image(&Picture::png(64, 48, 1)));
    assert!(start.elapsed() < Duration::from_secs(5));
    let message = error(&late, 200);
    assert_eq!(late.json()["error"]["error_type"], "TimeoutError", "{message}");
    let duration = late.json()["metadata"]["duration"].as_f64().unwrap();
    assert!((0.5..5.0).contains(&duration), "{duration}");

    fake.next([Behavior::Envelope("the cat sat on the model", None)]);
    let failed = pipe(&server, &image(&Picture::png(64, 48, 2)));
    assert!(error(&failed, 200).contains("the cat sat on the model"));
    assert_eq!(failed.json()["error"]["error_type"], "AlgorithmError");

    let poor = asking(&fake, "[budgets.small]\ncredits = 4\n").start();
    let spent = pipe(&poor, &image(&Picture::png(64, 48, 3)));
    error(&spent, 200);
    assert_eq!(spent.json()["error"]["error_type"], "PaymentRequiredError");

    // A client over its rate limit learns when to retry.
    let strict = Setup::new()
        .env("PIXCOLOR_QUOTA__LIMITS__REQUESTS", r#"{ rate = 2, per = "day", burst = 2 }"#)
        .start();
    for left in ["1", "0"] {
        let answer = post_json(&strict, "/v1/algo/demo/Hello", &[], &json!("x"));
        assert!(
            answer.header("ratelimit").contains(&format!("\"requests\";r={left}")),
            "{:?}",
            answer.headers
        );
    }
    let over = post_json(&strict, "/v1/algo/demo/Hello", &[], &json!("x"));
    error(&over, 429);
    assert!(over.header("retry-after").parse::<u64>().is_ok());
}

#[test]
fn metadata_and_headers_report_duration_and_cost() {
    let fake = Algorithmia::start();
    fake.next([Behavior::Slow(Duration::from_millis(700))]);
    let server = asking(&fake, "").start();
    let call =
        || post_json(&server, &format!("{ALGORITHM}?stdout=True"), &[], &image(&Picture::png(64, 48, 1)));
    let first = call();
    output(&first);
    let metadata = |answer: &crate::harness::Answer| -> Value { answer.json()["metadata"].clone() };
    let duration = |answer| metadata(answer)["duration"].as_f64().unwrap();
    assert!((0.7..20.0).contains(&duration(&first)), "{}", duration(&first));
    assert_eq!(first.header("x-pixcolor-credits"), "2");
    assert!(
        metadata(&first)["stdout"].as_str().unwrap().ends_with("miss, 2 credits\n"),
        "{}",
        metadata(&first)
    );
    assert_eq!(metadata(&first)["request_id"], format!("req-{}", first.header("x-request-id")));
    let again = call();
    assert!(duration(&again) < 0.5, "{}", duration(&again));
    assert_eq!(again.header("x-pixcolor-credits"), "0");
    assert_eq!(fake.calls(), 1);
    let quiet = pipe(&server, &image(&Picture::png(64, 48, 1)));
    assert!(metadata(&quiet).get("stdout").is_none() && metadata(&quiet).get("alerts").is_none());
    assert_eq!(server.metric("pixcolor_renditions_total{origin=\"memory\"}"), 2.0);
}

#[test]
fn a_provider_skipped_for_its_budget_is_an_alert() {
    let fake = Algorithmia::start();
    let server = asking(&fake, "[budgets.small]\ncredits = 4\n")
        .env("PIXCOLOR_ROUTE", "[\"algorithmia\", \"local\"]")
        .start();
    let answer = pipe(&server, &image(&Picture::png(64, 48, 1)));
    output(&answer);
    let alert = answer.json()["metadata"]["alerts"][0].as_str().unwrap().to_owned();
    assert!(alert.contains("algorithmia") && alert.contains("small"), "{alert}");
}

#[test]
fn errors_behind_doubled_slashes_have_the_same_format() {
    let server = storing().start();
    error(&server.get("//v1/data/.my/none/x"), 404);
    let answer = server.post("//v1/algo/nobody/Nothing", &[("Content-Type", "text/plain")], b"x");
    assert!(answer.json()["error"]["message"].is_string(), "{}", answer.text());
}

#[test]
fn json_with_millions_of_values_takes_little_memory() {
    let server = storing().start();
    let before = server.peak();
    let nested = format!("[{}0]", "[0],".repeat(2_000_000));
    let json = [("Content-Type", "application/json")];
    for path in [ALGORITHM, "/v1/algo/demo/Hello"] {
        let answer = server.post(path, &json, nested.as_bytes());
        assert!(answer.text().contains("1000 values"), "{}", answer.text());
    }
    let folder = format!("{{\"name\": \"c\", \"more\": {nested}}}");
    assert_eq!(server.post("/v1/data/.my", &json, folder.as_bytes()).status, 400);
    let more = server.peak() - before;
    assert!(more < 100, "{more} MB");
}

#[test]
fn a_new_gateway_accepts_its_first_results_concurrently() {
    let server = Server::start();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..12)
            .map(|seed| {
                let server = &server;
                let colored = Picture::new(Picture::in_color(96, 64, seed), image::ImageFormat::Png).bytes;
                let binary = [("Content-Type", "application/octet-stream")];
                scope.spawn(move || server.post(ALGORITHM, &binary, &colored))
            })
            .collect();
        for call in calls {
            let answer = call.join().unwrap();
            assert!(answer.json()["result"]["output"].is_string(), "{}", answer.text());
        }
    });
}
