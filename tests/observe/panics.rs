//! How a panic appears in the log.

use std::process::Command;

use serde_json::Value;

/// Panics in a separate process, because a process has only one log.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn panics_on_purpose() {
    pixcolor::observe::init_log();
    let request = tracing::error_span!("request", request_id = "abc-1");
    let long = "x".repeat(100_000);
    let panicked = request.in_scope(|| std::panic::catch_unwind(|| panic!("planted: {long}")));
    assert!(panicked.is_err());
}

#[test]
fn a_panic_is_one_log_line_with_its_location_and_the_request_id() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "panics::panics_on_purpose", "--ignored", "--nocapture", "--test-threads=1"])
        .env_remove("RUST_LOG")
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [line] = lines.as_slice() else { panic!("{said}") };
    assert_eq!((&line["level"], &line["span"]["request_id"]), (&"ERROR".into(), &"abc-1".into()), "{line}");
    let place = line["place"].as_str().unwrap();
    assert!(place.contains("tests/observe/panics.rs:") && place.matches(':').count() == 2, "{place}");
    let words = line["message"].as_str().unwrap();
    assert!(words.contains("planted: xxx") && words.len() < 300, "{words}");
}
