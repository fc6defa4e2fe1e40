//! Chromium and its driver.

use std::path::Path;
use std::process::{Child, Command};

use serde_json::{Value, json};

use super::{program, start_and_read};

/// Starts chromedriver and returns its process and port.
pub fn start_driver() -> (Child, u16) {
    let mut command = Command::new("chromedriver");
    command.arg("--port=0");
    let port = |line: &str| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok();
    // Chromedriver exits if its port is free for IPv4 but in use for IPv6, or the other way round.
    let started = (0..5).find_map(|_| start_and_read(&mut command, port));
    started.expect("chromedriver prints its port")
}

/// What a session of chromedriver needs.
pub fn capabilities(profile: &Path) -> Value {
    let options = json!({
        "binary": program("chromium"),
        "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", "--force-color-profile=srgb", "--lang=en-GB",
            // Two host names resolve to this machine; all others do not resolve.
            "--host-resolver-rules=MAP photos.example 127.0.0.1, MAP evil.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            format!("--user-data-dir={}", profile.display()),
        ],
    });
    json!({
        "browserName": "chrome",
        "goog:chromeOptions": options,
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
    })
}

/// The URL of an entry of the `performance` log, if the entry is about a request.
pub fn requested(entry: &Value) -> Option<String> {
    let event: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
    let is_request = event["message"]["method"] == "Network.requestWillBeSent";
    is_request.then(|| event["message"]["params"]["request"]["url"].as_str().unwrap().to_owned())
}
