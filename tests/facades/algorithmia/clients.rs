//! A whole session with each of the vendor's clients: call, exists, get, put, list, delete, errors.

use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use image::GenericImageView;
use serde_json::{Value, json};

use super::{installed, key, storing};
use crate::harness::Picture;
use crate::harness::picture::colorfulness;

/// Runs a session and returns the output of each step.
fn session(mut command: Command, args: [&str; 3]) -> Value {
    let output = command.args(args).output().unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complained}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {complained}"))
}

/// Asserts that base64 contains a colour PNG with the size of the sent picture.
#[track_caller]
fn is_colored(base64: &Value, sent: &Picture) {
    let bytes = BASE64.decode(base64.as_str().unwrap()).unwrap_or_else(|_| panic!("{base64}"));
    assert_eq!(image::guess_format(&bytes).unwrap(), image::ImageFormat::Png);
    let colored = image::load_from_memory(&bytes).unwrap();
    let sent = image::load_from_memory(&sent.bytes).unwrap();
    assert_eq!(colored.dimensions(), sent.dimensions());
    assert!(colorfulness(&colored) > 3.0, "it is grey");
}

/// Asserts the output of a step.
#[track_caller]
fn says(said: &Value, step: &str, expected: impl Into<Value>) {
    assert_eq!(said[step], expected.into(), "{step}: {said}");
}

#[track_caller]
fn complains(said: &Value, step: &str, words: &str) {
    let text = said[step].as_str().unwrap_or_default();
    assert!(text.starts_with("error: ") && text.contains(words), "{step}: {said}");
}

#[test]
fn pythons_clients_of_2017_and_2022_work_unchanged() {
    for version in ["1.0.8", "2.0.5"] {
        let Some(python) = installed(&format!("algorithmia-{version}/bin/python")) else { return };
        let server = storing().start();
        let key = key(&server, "bob");
        let picture = Picture::jpeg(120, 90, 5);
        let mut command = Command::new(python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/facades/scripts/session.py"));
        let mut said = session(command, [&server.url(""), &key, &picture.data_url()]);

        says(&said, "hello", "Hello HAL 9000");
        says(&said, "hello_json", "Hello {\"a\":1}");
        says(&said, "raw", "Hello HAL 9000");
        assert!(said["void"].as_str().unwrap().starts_with("req-"), "{said}");
        is_colored(&said["colour"].take(), &picture);
        let [kind, duration, stdout] = [0, 1, 2].map(|part| said["metadata"][part].clone());
        assert!(kind == "json" && duration.as_f64().is_some_and(|seconds| seconds > 0.0), "{said}");
        assert!(stdout.as_str().unwrap().contains("120 x 90, coloured by local"), "{said}");
        assert!(said["octets"].as_str().unwrap().starts_with("data://.algo/deeplearning/"), "{said}");

        // If the status is not 200, version 2.0.5 shows only the number of the status.
        let refused = |words, status: &str| match version {
            "2.0.5" => format!("<Response [{status}]>"),
            _ => String::from(words),
        };
        complains(
            &said,
            "unknown_algorithm",
            &refused("algorithm algo://util/whoopsWrongAlgo not found", "404"),
        );
        complains(&said, "wrong_key", &refused("authorization required", "401"));
        complains(&said, "not_a_picture", "This is not a picture");
        complains(&said, "nothing", "The input cannot be read");
        complains(&said, "gone", "There is no such result");
        says(&said, "gone_exists", false);
        complains(&said, "wrong_key_file", "authorization required");

        says(&said, "no_collection", false);
        says(&said, "create", Value::Null);
        complains(&said, "create_again", &refused("already", "409"));
        for step in ["exists", "private", "permit", "permitted"] {
            says(&said, step, true);
        }
        says(&said, "put", ".my/robots/T-800 ä.txt");
        says(&said, "get", "123");
        says(&said, "get_json", json!({ "a": [1, null] }));
        let list = said["list"].as_array().unwrap();
        assert_eq!(list.len(), 3, "{said}");
        assert_eq!((&list[0][0], &list[0][1]), (&json!("T-800 ä.txt"), &json!(3)));
        assert!(list[0][2].as_i64().unwrap() >= 2026);
        says(&said, "dirs", json!(["robots"]));
        complains(&said, "put_nowhere", &refused("There is no such collection", "404"));
        complains(&said, "put_deep", &refused("one level deep", "400"));
        complains(&said, "delete_full", "not empty");
        says(&said, "delete_file", true);
        complains(&said, "delete_file_again", "There is no such file");
        says(&said, "delete", true);
        says(&said, "deleted", false);
        complains(&said, "elsewhere", "Only files at data://");
        if version == "2.0.5" {
            says(&said, "username", "bob");
        }
    }
}

#[test]
fn nodes_client_works_unchanged() {
    let Some(module) = installed("algorithmia-npm-0.3.10/node_modules/algorithmia") else { return };
    let server = storing().start();
    let key = key(&server, "bob");
    let picture = Picture::png(96, 64, 6);
    let mut command = Command::new("node");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/facades/scripts/session.js")).arg(module);
    let mut said = session(command, [&server.url(""), &key, &picture.data_url()]);
    says(&said, "hello", "Hello HAL 9000");
    says(&said, "exists", json!([true, 200]));
    is_colored(&said["get"].take(), &picture);
    assert!(said["octets"]["output"].as_str().unwrap().ends_with(".png"), "{said}");
    complains(&said, "unknown_algorithm", "algorithm algo://util/whoopsWrongAlgo not found");
    complains(&said, "not_a_picture", "This is not a picture");
    complains(&said, "wrong_key", "authorization required");
    complains(&said, "gone", "There is no such result");
    says(&said, "gone_exists", json!([false, 404]));
    says(&said, "create", 200);
    says(&said, "put", json!({ "result": "data://.my/droids/R2 D2.txt" }));
    says(&said, "put_octets", json!({ "result": "data://.my/droids/bytes" }));
    says(&said, "get_text", "beep");
    says(&said, "list", json!([["R2 D2.txt", 4], ["bytes", 3]]));
    complains(&said, "delete_full", "not empty");
    says(&said, "delete_file", json!({ "result": { "deleted": 1 } }));
    says(&said, "delete", json!({ "result": { "deleted": 1 } }));
    says(&said, "deleted", false);
}

#[test]
#[ignore = "the client's dependencies of 2020 take long to build; tests/run --all builds them and runs this test"]
fn rusts_client_works_unchanged() {
    let Some(program) = installed("algorithmia-rust/debug/session") else { return };
    let server = storing().start();
    let key = key(&server, "bob");
    let picture = Picture::jpeg(110, 70, 7);
    let mut said = session(Command::new(program), [&server.url(""), &key, &picture.data_url()]);
    is_colored(&said["colour"].take(), &picture);
    says(&said, "hello", "Hello HAL 9000");
    assert!(said["duration"].as_f64().is_some_and(|seconds| seconds > 0.0), "{said}");
    assert!(said["stdout"].as_str().unwrap().contains("110 x 70, coloured by local"), "{said}");
    says(&said, "exists", true);
    assert!(said["octets"].as_str().unwrap().contains("data://.algo/deeplearning/"), "{said}");
    complains(&said, "unknown_algorithm", "algorithm algo://util/whoopsWrongAlgo not found");
    complains(&said, "not_a_picture", "UnsupportedError: This is not a picture");
    complains(&said, "wrong_key", "authorization required");
    complains(&said, "gone", "There is no such result");
    says(&said, "gone_exists", false);
    for step in ["create", "put", "delete_file"] {
        says(&said, step, true);
    }
    says(&said, "get", "beep");
    says(&said, "list", json!([["R2 D2.txt", 4]]));
    says(&said, "is_folder", true);
    complains(&said, "delete_full", "not empty");
    says(&said, "delete", 0);
    says(&said, "deleted", false);
}
