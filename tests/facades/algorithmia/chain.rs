//! A gateway whose provider is another gateway, connected through the Algorithmia facade.

use serde_json::{Value, json};

use super::key;
use crate::harness::picture::colorfulness;
use crate::harness::{Picture, Server, Setup};

/// A gateway whose only provider is the gateway at `url`.
fn first(url: &str, key: &str, more: &str) -> Setup {
    let file = format!("kind = \"algorithmia\"\nbase_url = \"{url}\"\nbreaker = {{ failures = 0 }}\n{more}");
    Setup::new()
        .file("config/pixcolor.toml", "route = [\"algorithmia\"]\n")
        .file("config/providers/algorithmia.toml", file)
        .env("ALGORITHMIA_API_KEY", key)
}

/// A provider's calls and credits in a gateway's ledger.
#[track_caller]
fn account(server: &Server, provider: &str) -> (u64, String) {
    let usage = server.get("/v1/usage").json();
    let lines = usage["lines"].as_array().unwrap_or_else(|| panic!("{usage}"));
    let line = lines.iter().find(|line| line["provider"] == provider).unwrap_or(&Value::Null);
    (line["calls"].as_u64().unwrap_or(0), line["credits"].as_str().unwrap_or("0").to_owned())
}

#[test]
fn a_picture_goes_through_two_gateways_and_both_count_its_credits() {
    let local = "kind = \"onnx\"\nprice.terms = [{ per = \"call\", rate = 3 }]\n";
    let second =
        Setup::new().file("config/pixcolor.toml", "").file("config/providers/local.toml", local).start();
    let key = key(&second, "first");
    let first = first(&second.url(""), &key, "").start();

    let picture = Picture::jpeg(1200, 800, 11);
    let answer = first.colorize(&picture);
    let colored = answer.picture();
    assert_eq!((colored.width(), colored.height()), (1200, 800));
    assert!(colorfulness(&colored) > 3.0);
    assert_eq!(answer.header("x-pixcolor-provider"), "algorithmia");
    // The provider `algorithmia` charges one credit for each started second.
    let credits: u32 = answer.header("x-pixcolor-credits").parse().unwrap();
    assert!((1..=30).contains(&credits), "{credits}");
    assert_eq!(account(&first, "algorithmia"), (1, credits.to_string()));
    assert_eq!(account(&second, "local"), (1, "3".to_owned()));

    // A repeated request costs nothing at either gateway.
    first.colorize(&picture).picture();
    let again = first.post("/v1/colorize", &[("Cache-Control", "no-cache")], &picture.bytes);
    assert_eq!(again.header("x-pixcolor-credits"), "1");
    assert_eq!(account(&second, "local"), (1, "3".to_owned()));
    assert_eq!(account(&first, "algorithmia").0, 2);
    assert!(!first.said().contains(&key) && !second.said().contains(&key));
}

#[test]
fn the_first_gateways_page_shows_the_second_gateways_result() {
    let second = Server::start();
    let first = first(&second.url(""), "simANY", "").start();
    let (form, body) = Picture::png(96, 64, 12).multipart(&[]);
    let page = first.post("/", &[("Content-Type", &form)], &body);
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.text().contains("data:image/png;base64,"));
    assert_eq!(page.header("x-pixcolor-provider"), "algorithmia");
}

#[test]
fn the_first_gateway_recognises_the_second_gateways_errors() {
    let second = Setup::new()
        .env("PIXCOLOR_ON_COLOUR", "\"refuse\"")
        .env("PIXCOLOR_QUOTA__LIMITS__REQUESTS", r#"{ rate = 2, per = "day", burst = 2 }"#)
        .env("PIXCOLOR_QUOTA__LIMITS__KEY_REQUESTS", r#"{ rate = 2, per = "day", burst = 2 }"#)
        .start();
    let good = key(&second, "good");
    let attempt = |server: &Server| -> Value {
        let answer =
            server.post("/v1/colorize", &[("Accept", "application/json")], &Picture::png(64, 48, 1).bytes);
        let attempts = answer.json()["attempts"].clone();
        json!([attempts[0]["failure"], attempts[0]["credits"]])
    };
    assert_eq!(attempt(&first(&second.url(""), "simBAD", "").start()), json!(["denied", "0"]));
    let elsewhere = "algorithm = \"util/whoopsWrongAlgo\"\n";
    assert_eq!(attempt(&first(&second.url(""), &good, elsewhere).start()), json!(["failed", "0"]));
    let first = first(&second.url(""), &good, "retries = 0\n").start();
    first.colorize(&Picture::png(64, 48, 1)).picture();
    // Fetching the result file did not count towards the rate limit. The next call exceeds it.
    let busy = first.post("/v1/colorize", &[("Cache-Control", "no-cache")], &Picture::png(64, 48, 2).bytes);
    assert_eq!(busy.problem(503)["attempts"][0]["failure"], "busy");
    assert!(!busy.header("retry-after").is_empty());
}
