//! Kind `http`: each shipped provider file, tested with a host that follows its protocol, and the example in the
//! documentation.

mod hostile_replies;
mod result_urls;

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::algorithmia::{facts, facts_of};
use crate::fakes::KEY;
use crate::fakes::apis::{self, Api};
use crate::fakes::http::{Reply, Request, Server as Http};
use crate::fakes::multipart::parts;
use crate::fakes::picture::colored;
use crate::harness::picture::colorfulness;
use crate::harness::{Picture, Setup};

/// A gateway whose route is a shipped provider at `url`, then the built-in model.
fn shipped(name: &str, url: &str) -> Setup {
    let key = |key: &str| format!("PIXCOLOR_PROVIDERS__{}__{key}", name.to_uppercase());
    Setup::new()
        .env("PIXCOLOR_ROUTE", format!("[\"{name}\", \"local\"]"))
        .env("PIXCOLOR_CACHE__ENABLED", "false")
        .env(&key("BASE_URL"), url)
        .env(&key("ALLOW_PRIVATE"), "true")
        .env(&format!("PIXCOLOR_{}_KEY", name.to_uppercase()), KEY)
}

/// A gateway with its own provider file for the host at `url`, then the built-in model.
fn described(url: &str, file: &str) -> Setup {
    let head = format!(
        "kind = \"http\"\nmodel = \"m\"\nbase_url = \"{url}\"\nallow_private = true\nsecrets.key = {{ env = \"THE_KEY\" }}\n\
         price.terms = [{{ per = \"call\", rate = 3 }}]\nbreaker = {{ failures = 0 }}\n"
    );
    Setup::new()
        .file("config/pixcolor.toml", "route = [\"far\", \"local\"]\n")
        .file("config/providers/far.toml", format!("{head}{file}"))
        .env("THE_KEY", KEY)
        .env("PIXCOLOR_CACHE__ENABLED", "false")
}

const RAW: &str = "request = { body = \"raw\", headers = { A = \"{{secret.key}}\" } }\nreply = { output = \"raw\", error = \"/error\" }\n";
/// A coloured copy of the image in a request's body.
fn tint(request: &Request) -> Vec<u8> {
    colored(&request.body).unwrap()
}

#[test]
fn each_shipped_file_works_with_a_host_that_follows_its_protocol() {
    for (name, host, path, credits, asked) in [
        (
            "deepai",
            Api::deepai(),
            "",
            "500",
            vec!["POST /api/colorizer", "GET /job-view-file/0001/output.png"],
        ),
        (
            "replicate",
            Api::replicate(),
            "",
            "7.3125",
            vec!["POST /v1/predictions", "GET /pbxt/0001/output.png"],
        ),
        ("cog", Api::cog(), "", "0", vec!["POST /predictions"]),
        (
            "huggingface",
            Api::huggingface(),
            "/hf-inference",
            "400",
            vec!["POST /hf-inference/models/black-forest-labs/FLUX.1-Kontext-dev"],
        ),
        // Tokens times their price: 56 x 0.05 + 1024 x 0.1 + 1584 x 0.4.
        ("openai", Api::openai(), "", "738.8", vec!["POST /v1/images/edits"]),
    ] {
        let server = shipped(name, &format!("{}{path}", host.url())).start();
        let answer = server.colorize(&Picture::jpeg(1200, 900, 5));
        let picture = answer.picture();
        assert_eq!((picture.width(), picture.height()), (1200, 900), "{name}");
        assert_eq!(answer.header("x-pixcolor-attempts"), "", "{name}");
        assert_eq!(
            (answer.header("x-pixcolor-provider"), answer.header("x-pixcolor-credits")),
            (name, credits)
        );
        assert!(colorfulness(&picture) > 5.0, "{name}");
        assert_eq!(host.asked(), asked, "{name}");
        // The top is warm and the bottom is cool, as in the fake's tint: the image was not rotated or moved.
        let rgb = picture.to_rgb8();
        let warm = |y: u32| i32::from(rgb.get_pixel(600, y).0[0]) - i32::from(rgb.get_pixel(600, y).0[2]);
        assert!(warm(60) > 0 && warm(840) < 0, "{name}: {} {}", warm(60), warm(840));
        // The host's error message about a wrong key contains that key. The harness searches all output for the key.
        let denied = match name {
            "deepai" => json!({ "status": format!("invalid api key {KEY}") }),
            "openai" => json!({ "error": { "message": format!("Incorrect API key provided: {KEY}") } }),
            "replicate" => {
                json!({ "title": "Unauthenticated", "detail": format!("not a valid token: {KEY}") })
            }
            // This host needs no key.
            "cog" => json!({ "error": "not yours" }),
            _ => json!({ "error": format!("Invalid credentials {KEY}") }),
        };
        host.next([apis::json(401, &denied)]);
        let facts = facts(&server);
        assert_eq!(facts["provider"], "local", "{name}");
        let attempt = &facts["attempts"][0];
        assert_eq!(
            (&attempt["failure"], &attempt["credits"]),
            (&json!("denied"), &json!("0")),
            "{name}: {attempt}"
        );
        let reason = attempt["reason"].as_str().unwrap();
        assert!(reason.contains("(the key)") || name == "cog", "{name}: {reason}");
    }
}

#[test]
fn shipped_files_need_a_key_and_are_not_offered_without_it() {
    let server = Setup::new().env("OPENAI_API_KEY", "somebody-elses").start();
    let facts = server.get("/v1/providers").json();
    let all = facts["providers"].as_array().unwrap();
    for (name, reason) in [
        ("cog", "it has no address: set `base_url`"),
        ("deepai", "its secret `key` has no value: environment variable PIXCOLOR_DEEPAI_KEY is not set"),
        ("huggingface", "PIXCOLOR_HUGGINGFACE_KEY"),
        ("openai", "PIXCOLOR_OPENAI_KEY"),
        ("replicate", "PIXCOLOR_REPLICATE_KEY"),
    ] {
        let provider = all.iter().find(|provider| provider["name"] == name).unwrap();
        assert_eq!((&provider["ready"], &provider["kind"]), (&json!(false), &json!("http")));
        assert!(provider["reason"].as_str().unwrap().contains(reason), "{provider}");
        server
            .post(&format!("/v1/colorize?provider={name}"), &[], &Picture::png(64, 48, 4).bytes)
            .problem(503);
    }
    assert!(!server.get("/").text().contains("id=\"provider\""), "there is nothing to choose");
    let second = Setup::new()
        .file("config/pixcolor.toml", "route = [\"local\"]\n")
        .file("config/providers/second.toml", "kind = \"onnx\"\n")
        .start();
    let page = second.get("/");
    assert!(
        page.text().contains("value=\"second\"") && !page.text().contains("value=\"openai\""),
        "{}",
        page.text()
    );
}

#[test]
fn replicate_is_polled_and_cancelled_after_the_time_out() {
    let host = Api::replicate();
    let quick = |setup: Setup| setup.env("PIXCOLOR_PROVIDERS__REPLICATE__POLL__INTERVAL", "0.05");
    let server = quick(shipped("replicate", &host.url())).start();
    host.takes_polls(3);
    assert_eq!(facts(&server)["provider"], "replicate");
    let one = "/v1/predictions/gm3qorzdhgbfurvjtvhg6dckhu";
    let mut asked = vec!["POST /v1/predictions".to_owned()];
    asked.extend(std::iter::repeat_n(format!("GET {one}"), 4));
    asked.push("GET /pbxt/0001/output.png".to_owned());
    assert_eq!(host.asked(), asked);
    let (_, polls) =
        host.requests().split_first().map(|(first, rest)| (first.clone(), rest.to_vec())).unwrap();
    let key = format!("Bearer {KEY}");
    for request in polls {
        // Result files are public, so the key is not sent with requests for them.
        let expected = request.path().starts_with("/v1/").then_some(key.as_str());
        assert_eq!(request.header("Authorization"), expected, "{}", request.path());
        assert_eq!(request.header("Prefer"), None);
    }

    let host = Api::replicate();
    let server = quick(shipped("replicate", &host.url()))
        .env("PIXCOLOR_PROVIDERS__REPLICATE__POLL__DEADLINE", "0.5")
        .start();
    host.takes_polls(10_000);
    let facts = facts(&server);
    let attempt = &facts["attempts"][0];
    assert_eq!((&facts["provider"], &attempt["failure"]), (&json!("local"), &json!("timeout")), "{attempt}");
    assert_eq!(attempt["credits"], Value::Null, "the cost until the time-out is unknown");
    assert_eq!(host.asked().last().unwrap(), &format!("POST {one}/cancel"));
    assert_eq!(host.asked().iter().filter(|asked| asked.contains("cancel")).count(), 1);
}

#[test]
fn polling_survives_transient_errors_and_ends_at_a_failure() {
    let host = Api::replicate();
    let server = shipped("replicate", &host.url())
        .env("PIXCOLOR_PROVIDERS__REPLICATE__POLL__INTERVAL", "0.05")
        .env("PIXCOLOR_PROVIDERS__REPLICATE__BREAKER__FAILURES", "0")
        .start();
    let urls = json!({ "get": "/v1/predictions/gm3qorzdhgbfurvjtvhg6dckhu", "cancel": "/v1/stop" });
    let started = || apis::json(201, &json!({ "status": "starting", "urls": urls }));
    let hang_up = Reply { hang_up: true, ..Reply::default() };
    host.file("/x.png", colored(&Picture::png(96, 64, 1).bytes).unwrap());
    let done = json!({ "status": "succeeded", "output": "/x.png", "metrics": { "predict_time": 2 } });
    host.next([
        started(),
        apis::json(503, &json!({})),
        hang_up.clone(),
        apis::json(429, &json!({})),
        apis::json(200, &done),
    ]);
    assert_eq!(facts(&server)["credits"], "4.5");

    for (reply, failure, said, credits, stopped) in [
        (
            json!({ "status": "failed", "error": "CUDA out of memory" }),
            "failed",
            "CUDA out of memory",
            Value::Null,
            false,
        ),
        (
            json!({ "status": "failed", "error": "late", "metrics": { "predict_time": 2 } }),
            "failed",
            "late",
            json!("4.5"),
            false,
        ),
        (
            json!({ "status": "succeeded", "output": null }),
            "bad_answer",
            "no text at `/output`",
            Value::Null,
            false,
        ),
        (json!("what?"), "bad_answer", "nothing at `/status`", Value::Null, false),
        (json!({ "detail": "not found" }), "failed", "status 404", Value::Null, true),
    ] {
        let before = host.requests().len();
        host.next([started(), apis::json(if stopped { 404 } else { 200 }, &reply)]);
        let facts = facts(&server);
        let attempt = &facts["attempts"][0];
        assert_eq!(
            (&attempt["failure"], &attempt["credits"]),
            (&json!(failure), &credits),
            "{reply}: {attempt}"
        );
        assert!(attempt["reason"].as_str().unwrap().contains(said), "{attempt}");
        let asked = &host.asked()[before..];
        assert_eq!(asked.contains(&"POST /v1/stop".to_owned()), stopped, "{asked:?}");
    }
    // The key is never sent to another host.
    let stranger = Api::blank();
    let there =
        json!({ "get": format!("{}/get", stranger.url()), "cancel": format!("{}/stop", stranger.url()) });
    host.next([apis::json(201, &json!({ "status": "starting", "urls": there }))]);
    let facts = facts(&server);
    assert_eq!(facts["attempts"][0]["failure"], "bad_answer", "{facts}");
    assert_eq!(stranger.requests().len(), 0);
}

#[test]
fn a_setting_that_changes_pixels_changes_the_cache_key() {
    let host = Http::start(|request| Reply::new(200, "image/png", tint(request)));
    let setup = |query: &str| {
        described(
            &host.url(),
            &format!("[request]\nbody = \"raw\"\nquery.strength = \"{query}\"\n[reply]\noutput = \"raw\"\n"),
        )
        .env("PIXCOLOR_CACHE__ENABLED", "true")
    };
    let folder = tempfile::tempdir().unwrap();
    let shared = |query: &str| setup(query).env("XDG_CACHE_HOME", folder.path()).start();
    for (query, origin) in [("1", "fwd=miss"), ("1", "hit"), ("2", "fwd=miss")] {
        let server = shared(query);
        let answer = server.colorize(&Picture::png(96, 64, 1));
        assert!(answer.header("cache-status").contains(origin), "{query}: {}", answer.header("cache-status"));
    }
}

#[test]
fn the_balance_is_a_metric_that_no_request_waits_for() {
    let host = Http::start(|request| match request.path() {
        "/account" if request.header("A") == Some(KEY) => {
            apis::json(200, &json!({ "left": { "credits": "41.5" } }))
        }
        _ => Reply::new(200, "image/png", tint(request)),
    });
    let server = described(
        &host.url(),
        &format!("{RAW}balance = {{ path = \"/account\", pointer = \"/left/credits\" }}\n"),
    )
    .start();
    server.until("a balance", |server| server.metric("pixcolor_provider_balance{provider=\"far\"}") > 40.9);
    assert_eq!(facts_of(&server, 2)["provider"], "far");
}

/// The example in the documentation, verbatim.
fn example() -> &'static str {
    let (_, rest) = include_str!("../../../docs/providers.md")
        .split_once("<!-- providers/colorist.toml: run by tests/gateway/http/mod.rs -->\n```toml\n")
        .unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_documented_example_works_as_written() {
    let picture = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (kept, log) = (picture.clone(), asked.clone());
    let host = Http::start(move |request| {
        log.lock().unwrap().push(format!("{} {}", request.method, request.target));
        let authorized = request.header("Authorization") == Some(&format!("Bearer {KEY}"));
        let job = |state: &str, seconds: Value| {
            json!({ "ok": true, "job": {
            "state": state, "ask": "/v2/jobs/7", "stop": "/v2/jobs/7", "result": "/files/7.png", "seconds": seconds,
        } })
        };
        match (request.method.as_str(), request.path()) {
            ("GET", "/files/7.png") => Reply::new(200, "image/png", kept.lock().unwrap().clone()),
            _ if !authorized => apis::json(401, &json!({ "message": "who are you?" })),
            ("POST", "/v2/jobs") => {
                let parts = parts(request).unwrap();
                let [model, file] = parts.as_slice() else { panic!("{parts:?}") };
                assert_eq!(
                    (model.name.as_str(), model.body.as_slice()),
                    ("model", b"colorist-large".as_slice())
                );
                assert_eq!((file.name.as_str(), file.file_name.as_deref()), ("picture", Some("photo.png")));
                *kept.lock().unwrap() = colored(&file.body).unwrap();
                apis::json(202, &job("queued", Value::Null))
            }
            ("GET", "/v2/jobs/7") => apis::json(200, &job("ready", json!(1.5))),
            _ => apis::json(404, &json!({ "message": "not found" })),
        }
    });
    let server = Setup::new()
        .file("config/pixcolor.toml", "route = [\"colorist\", \"local\"]\n")
        .file("config/providers/colorist.toml", example())
        .env("COLORIST_KEY", KEY)
        .env("PIXCOLOR_PROVIDERS__COLORIST__BASE_URL", host.url())
        .env("PIXCOLOR_PROVIDERS__COLORIST__ALLOW_PRIVATE", "true")
        .start();
    let facts = facts(&server);
    assert_eq!(
        (&facts["provider"], &facts["model"], &facts["credits"]),
        (&json!("colorist"), &json!("colorist-large"), &json!("4"))
    );
    assert_eq!(*asked.lock().unwrap(), ["POST /v2/jobs?size=96x64", "GET /v2/jobs/7", "GET /files/7.png"]);
}
