//! Responses need few writes. Each write is a system call, and many small writes take several times as long as a few
//! large ones. strace counts them, because a client cannot: the kernel joins and splits writes.

use std::io::Read;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::wait::until;
use crate::harness::{Picture, Server, Setup};

/// System calls that write to a connection in Linux.
const WRITES: &str = "write,writev,sendto,sendmsg";

/// The maximum of writes per started 300 kB.
const MOST: usize = 20;

/// A response on a new connection.
struct Delivered {
    what: String,
    /// The client's port, which identifies the connection in the log.
    port: u16,
    head: String,
    body: Vec<u8>,
}

impl Delivered {
    /// The value of a header; the name is case-insensitive.
    fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).unwrap_or_else(|| panic!("{}", self.head)).1
    }
}

#[track_caller]
fn ask(server: &Server, line: &str, headers: &str, body: &[u8]) -> Delivered {
    let head = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    let mut stream = server.raw(&[head.as_bytes(), body].concat());
    let port = stream.local_addr().unwrap().port();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
    let body = answer.split_off(end + 4);
    let head = String::from_utf8(answer).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{line}: {head}{}", String::from_utf8_lossy(&body));
    Delivered { what: line.to_owned(), port, head, body }
}

fn strace(log: &Path) -> Vec<String> {
    // `-D` makes strace a grandchild, so that signals still reach the server. `-yy` prints both ends of a connection.
    let args = ["-D", "-f", "-yy", "-s", "0", "-e", "signal=kill", "-e"].map(str::to_owned);
    [&args[..], &[format!("trace={WRITES}"), "-o".to_owned(), log.display().to_string()]].concat()
}

/// Stops the server, and returns strace's output.
fn log_of(server: &mut Server, log: &Path) -> String {
    let leader = server.child.id().to_string();
    server.child.kill().unwrap();
    // strace pads the PID.
    let ends = |line: &str| {
        let event = line.strip_prefix(&leader).map(str::trim_start);
        event.is_some_and(|event| event == "+++ killed by SIGKILL +++")
    };
    let text = || std::fs::read_to_string(log).unwrap();
    until("strace ends", || text().lines().any(ends));
    text()
}

#[test]
fn every_large_response_needs_few_writes() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    // Some containers forbid tracing.
    if !Command::new("strace").args(strace(&log)).arg("true").status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: strace is missing or is not allowed to trace");
        return;
    }
    let setup = Setup::new()
        .env("PIXCOLOR_FACADES__ALGORITHMIA__STORAGE", "true")
        .env("PIXCOLOR_QUOTA__ENABLED", "false");
    let mut server = setup.under("strace", strace(&log)).start();
    let answers = answers(&server);
    let log = log_of(&mut server, &log);
    for Delivered { what, port, body, .. } in answers {
        let connection = format!("->127.0.0.1:{port}]>");
        let is_write = |line: &&str| {
            let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
            WRITES.split(',').any(|name| call.starts_with(&format!("{name}(")))
        };
        let writes = log.lines().filter(|line| line.contains(&connection)).filter(is_write).count();
        println!("{what}: {} bytes, {writes} writes", body.len());
        assert!(writes > 0, "no write of {what} is in the log");
        let most = MOST * body.len().div_ceil(300_000);
        assert!(writes <= most, "{what}: {writes} writes for {} bytes", body.len());
    }
}

/// Every kind of large response: results, JSON, data URLs, pages, files, and those of the facades.
fn answers(server: &Server) -> Vec<Delivered> {
    let picture = Picture::png(500, 375, 1);
    let post = "POST /v1/colorize";
    let raw = ask(server, post, "", &picture.bytes);
    assert!((250_000..350_000).contains(&raw.body.len()), "{} bytes", raw.body.len());
    let result = ask(server, &format!("GET {}", raw.header("content-location")), "", b"");
    assert_eq!(result.body, raw.body);
    let (form, multipart) = picture.multipart(&[]);
    let form = format!("Content-Type: {form}\r\n");
    let algorithm = "POST /v1/algo/deeplearning/ColorfulImageColorization/1.1.5";
    let called = ask(server, algorithm, "Content-Type: application/octet-stream\r\n", &picture.bytes);
    let envelope: serde_json::Value = serde_json::from_slice(&called.body).unwrap();
    let output = envelope["result"]["output"].as_str().unwrap().replace("data://", "GET /v1/data/");
    let collection = json!({ "name": "a" }).to_string();
    ask(server, "POST /v1/data/.my", "", collection.as_bytes());
    ask(server, "PUT /v1/data/.my/a/photo.png", "", &raw.body);
    let facts = ask(server, post, "Accept: application/json\r\n", &picture.bytes);
    let facts_of: serde_json::Value = serde_json::from_slice(&facts.body).unwrap();
    let colored = Picture { bytes: raw.body.clone(), media_type: "image/png" };
    assert_eq!(facts_of["image"], colored.data_url());
    let sample = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("static/sample.jpg")).unwrap();
    let file = ask(server, "GET /static/sample.jpg", "", b"");
    assert_eq!(file.body, sample);
    vec![
        ask(server, "POST /image", "", picture.data_url().as_bytes()),
        ask(server, "POST /", &form, &multipart),
        ask(server, "POST /v1/images/edits", &form, &multipart),
        ask(server, &output, "", b""),
        ask(server, "GET /v1/data/.my/a/photo.png", "", b""),
        ask(server, "POST /v1/algo/demo/Hello", "Content-Type: text/plain\r\n", &[b'a'; 300_000]),
        ask(server, "GET /openapi.json", "", b""),
        ask(server, "GET /docs", "", b""),
        ask(server, "GET /", "", b""),
        ask(server, "GET /metrics", "", b""),
        file,
        facts,
        result,
        raw,
    ]
}
