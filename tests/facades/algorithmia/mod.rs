//! The Algorithmia facade, tested with the vendor's unmodified clients, in their versions of 2017 and their last ones.

mod chain;
mod clients;
mod docs;
mod inputs;
mod storage;
mod wire;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Answer, Picture, Server, Setup, agent};

/// The path of the colouring algorithm.
pub const ALGORITHM: &str = "/v1/algo/deeplearning/ColorfulImageColorization/1.1.5";

/// A gateway that stores clients' files.
pub fn storing() -> Setup {
    Setup::new().env("PIXCOLOR_FACADES__ALGORITHMIA__STORAGE", "true")
}

/// Calls the algorithm with JSON.
#[track_caller]
pub fn pipe(server: &Server, input: &Value) -> Answer {
    post_json(server, ALGORITHM, &[], input)
}

#[track_caller]
pub fn post_json(server: &Server, path: &str, headers: &[(&str, &str)], input: &Value) -> Answer {
    let headers = [&[("Content-Type", "application/json")], headers].concat();
    server.post(path, &headers, input.to_string().as_bytes())
}

/// Requests with methods that only the data API uses.
pub trait Files {
    fn put(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer;
    fn patch(&self, path: &str, body: &[u8]) -> Answer;
    fn delete_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer;

    fn delete(&self, path: &str) -> Answer {
        self.delete_with(path, &[])
    }
}

impl Files for Server {
    #[track_caller]
    fn put(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let request = agent().put(self.url(path));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Answer::new(request.send(body).expect("an answer"))
    }

    #[track_caller]
    fn patch(&self, path: &str, body: &[u8]) -> Answer {
        Answer::new(agent().patch(self.url(path)).send(body).expect("an answer"))
    }

    #[track_caller]
    fn delete_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = agent().delete(self.url(path));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Answer::new(request.call().expect("an answer"))
    }
}

/// The path of the picture that a response names as its output.
#[track_caller]
pub fn output(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let envelope = answer.json();
    assert!(envelope.get("error").is_none(), "{envelope}");
    assert_eq!(envelope["metadata"]["content_type"], "json");
    assert!(envelope["metadata"]["duration"].as_f64().is_some_and(|seconds| seconds >= 0.0), "{envelope}");
    path(envelope["result"]["output"].as_str().expect("a URI"))
}

/// The path of a URI.
pub fn path(uri: &str) -> String {
    format!("/v1/data/{}", uri.strip_prefix("data://").expect("a data URI"))
}

/// The message of an error. Checks that it is in the body and the header.
#[track_caller]
pub fn error(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    let message = answer.json()["error"]["message"].as_str().expect("a message").to_owned();
    assert!(!message.is_empty() && answer.json().get("result").is_none());
    let header = answer.header("x-error-message");
    assert!(header.bytes().all(|b| (b' '..=b'~').contains(&b)) && !header.is_empty(), "{header:?}");
    message
}

/// Creates a key and waits until the gateway knows it.
pub fn key(server: &Server, name: &str) -> String {
    let key = server.command(&["key", "new", name]);
    server.until_known(&key);
    key
}

/// The path of a client that `tests/run` installs; `None` if it is missing.
pub fn installed(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".test").join(path);
    if !path.exists() {
        assert!(std::env::var_os("CI").is_none(), "{} is missing: run tests/run", path.display());
        eprintln!("skipped: {} is missing; tests/run installs it", path.display());
        return None;
    }
    Some(path)
}

/// A picture as the input of the algorithm.
pub fn image(picture: &Picture) -> Value {
    json!({ "image": picture.data_url() })
}
