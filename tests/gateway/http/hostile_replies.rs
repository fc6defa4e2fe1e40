//! Hosts with arbitrary replies: time and memory are bounded, and the next provider answers.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{RAW, described};
use crate::algorithmia::facts;
use crate::fakes::KEY;
use crate::fakes::apis::{self, Api};
use crate::fakes::http::{Reply, nobody};
use crate::fakes::picture::{colored, gzip_of_zeros};
use crate::harness::Picture;

/// The name of a case, a reply, the attempt's `failure`, its cost, and the number of requests to the host.
type Case = (&'static str, Reply, &'static str, Option<&'static str>, usize);

fn cases() -> Vec<Case> {
    let text = |status: u16, body: &str| Reply::new(status, "text/html", body);
    let some = |body: &[u8]| Reply::new(200, "image/png", body);
    let half = {
        let mut picture = colored(&Picture::png(96, 64, 1).bytes).unwrap();
        picture.truncate(picture.len() / 2);
        picture
    };
    let bomb = some(&gzip_of_zeros(128 << 20)).with("Content-Encoding", "gzip");
    vec![
        ("HTML", text(200, "<html><h1>Welcome</h1>"), "bad_answer", Some("3"), 1),
        ("nothing", some(b""), "bad_answer", Some("3"), 1),
        ("half a picture", some(&half), "bad_answer", Some("3"), 1),
        ("cut", Reply { promised: Some(half.len() * 2), ..some(&half) }, "unreachable", None, 1),
        (
            "longer than Content-Length",
            Reply { promised: Some(10), ..some(&half) },
            "bad_answer",
            Some("3"),
            1,
        ),
        ("2 GB", Reply { promised: Some(2 << 30), ..some(&half) }, "bad_answer", None, 1),
        ("never ending", Reply { endless: true, ..some(&half) }, "bad_answer", None, 1),
        ("gzip bomb", bomb, "bad_answer", None, 1),
        ("broken gzip", some(b"\x1f\x8bno").with("Content-Encoding", "gzip"), "unreachable", None, 1),
        ("silence", apis::slow(some(&half), 5), "timeout", None, 1),
        (
            "silence in the middle",
            Reply { pause: Duration::from_secs(30), ..some(&half) },
            "timeout",
            None,
            1,
        ),
        ("no answer", Reply { hang_up: true, ..Reply::default() }, "unreachable", None, 1),
        ("redirect", text(307, "").with("Location", nobody()), "bad_answer", None, 1),
        ("400", apis::json(400, &json!({ "error": "no cats" })), "rejected", Some("0"), 1),
        ("403", text(403, "no"), "denied", Some("0"), 1),
        ("404", text(404, "no"), "failed", Some("0"), 1),
        ("429", text(429, "no"), "busy", Some("0"), 3),
        ("429, in an hour", text(429, "no").with("Retry-After", "3600"), "busy", Some("0"), 1),
        ("429, for ever", text(429, "no").with("Retry-After", "18446744073709551615"), "busy", Some("0"), 1),
        ("redirects to itself", text(307, "").with("Location", "/round"), "bad_answer", None, 4),
        ("500", text(500, "no"), "failed", None, 1),
        ("502", text(502, KEY), "failed", None, 1),
        ("503", text(503, "no"), "unavailable", Some("0"), 3),
        ("504", text(504, "no"), "timeout", None, 1),
    ]
}

#[test]
fn after_any_reply_of_a_host_the_built_in_model_answers_in_bounded_time_and_memory() {
    let host = Api::blank();
    let server = described(&host.url(), &format!("first_byte_timeout = 1\ntimeout = 1\n{RAW}")).start();
    for (what, reply, failure, credits, calls) in cases() {
        let (before, start) = (host.requests().len(), Instant::now());
        host.always(reply);
        let facts = facts(&server);
        let attempt = &facts["attempts"][0];
        assert_eq!(facts["provider"], "local", "{what}");
        assert_eq!(
            (&attempt["failure"], &attempt["credits"]),
            (&json!(failure), &json!(credits)),
            "{what}: {attempt}"
        );
        assert_eq!(host.requests().len() - before, calls, "{what}");
        // The time covers `timeout`, the network, and colouring with the built-in model.
        assert!(start.elapsed() < Duration::from_secs(15), "{what}: {:?}", start.elapsed());
    }
    let memory = server.metric("process_resident_memory_bytes");
    assert!(memory < 400e6, "{memory} bytes");
}

#[test]
fn long_deep_or_odd_json_is_a_bad_reply() {
    let host = Api::blank();
    let file = "request = { body = \"raw\" }\nreply = { output = \"json_base64\", pointer = \"/a/0\", max_bytes = \"8 MiB\" }\n";
    let server = described(&host.url(), file).start();
    let memory = server.metric("process_resident_memory_bytes");
    for (what, body) in [
        (
            "many numbers",
            format!("{{\"a\": [{}0], \"b\": [{}0]}}", "0,".repeat(2_000_000), "0,".repeat(2_000_000)),
        ),
        ("deep", "[".repeat(4_000_000)),
        (
            "many names",
            format!("{{{}\"z\":0}}", (0..400_000).map(|i| format!("\"k{i}\":[],")).collect::<String>()),
        ),
        ("too long", format!("{{\"a\": [\"{}\"]}}", "A".repeat(16 << 20))),
        ("no picture", json!({ "a": ["aGVsbG8="] }).to_string()),
        ("no base64", json!({ "a": ["%%%"] }).to_string()),
        ("a number", json!({ "a": [7] }).to_string()),
        ("not there", "{}".to_owned()),
        ("a list", "[]".to_owned()),
        ("null", "null".to_owned()),
        ("two documents", "{}{}".to_owned()),
        ("no text", "\u{0}\u{1}".to_owned()),
    ] {
        host.always(Reply::new(200, "application/json", body));
        let facts = facts(&server);
        assert_eq!(
            (&facts["provider"], &facts["attempts"][0]["failure"]),
            (&json!("local"), &json!("bad_answer")),
            "{what}"
        );
    }
    let grown = server.metric("process_resident_memory_bytes") - memory;
    assert!(grown < 200e6, "{grown} bytes more");
}

/// An image of a single colour, which compresses to a few bytes at any size.
fn plain(side: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(side, side, image::Rgb([180, 90, 60]));
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[test]
fn large_decoded_replies_share_bounded_memory() {
    // An image of 50 megapixels is refused before decoding. Images of 4 megapixels are decoded, but never 24 of them at
    // the same time.
    let bombs = [(7060, "far more pixels than the picture sent"), (2048, "")];
    let host = Api::blank();
    let setup = described(&host.url(), &format!("luma_lock = false\nconcurrency = 24\n{RAW}"));
    let setup = setup.env("PIXCOLOR_QUOTA__ENABLED", "false").env("PIXCOLOR_ROUTE", "[\"far\"]");
    // The last request waits for all others, for a long time on a slow machine.
    let server = setup.env("PIXCOLOR_LIMITS__REQUEST_SECONDS", "600").start();
    for (side, said) in bombs {
        host.always(Reply::new(200, "image/png", plain(side)));
        // Featureless images, so that the output guard cannot reject the reply as a different picture.
        let gray = |seed: u8| image::GrayImage::from_pixel(64, 64, image::Luma([100 + seed]));
        let pictures: Vec<_> =
            (0..24).map(|seed| Picture::new(gray(seed), image::ImageFormat::Png)).collect();
        std::thread::scope(|scope| {
            let asked: Vec<_> =
                pictures.iter().map(|picture| scope.spawn(|| server.colorize(picture))).collect();
            for answer in asked.into_iter().map(|asked| asked.join().unwrap()) {
                match said {
                    "" => drop(answer.picture()),
                    said => assert!(answer.problem(502)["detail"].as_str().unwrap().contains(said)),
                }
            }
        });
        let peak = server.peak();
        println!("{side}: {peak} MB");
        assert!(peak < 450, "{side}: {peak} MB");
    }
}

#[test]
fn polling_an_endless_job_times_out() {
    let host = Api::replicate();
    let server = super::shipped("replicate", &host.url())
        .env("PIXCOLOR_PROVIDERS__REPLICATE__TIMEOUT", "2")
        .env("PIXCOLOR_PROVIDERS__REPLICATE__POLL__INTERVAL", "0.05")
        .start();
    let urls = json!({ "get": "/v1/predictions/x" });
    let later = apis::json(429, &json!({})).with("Retry-After", "18446744073709551615");
    host.next([apis::json(201, &json!({ "status": "starting", "urls": urls })), later]);
    let facts = facts(&server);
    assert_eq!(
        (&facts["provider"], &facts["attempts"][0]["failure"]),
        (&json!("local"), &json!("timeout")),
        "{facts}"
    );
}
