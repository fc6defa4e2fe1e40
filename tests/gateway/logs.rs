//! What the log contains and never contains, request IDs, and trace context.

use serde_json::Value;

use super::addresses::behind_proxy;
use super::algorithmia::before_local;
use crate::fakes::KEY;
use crate::fakes::algorithmia::{Algorithmia, Behavior};
use crate::fakes::http::{Reply, Server as Http};
use crate::fakes::picture::colored;
use crate::harness::{Picture, Server, Setup};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn traceparent() -> String {
    format!("00-{TRACE}-{SPAN}-01")
}

/// The log lines with this request ID.
fn lines_of(server: &Server, id: &str) -> Vec<Value> {
    let said = server.said();
    let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["span"]["request_id"] == id).collect()
}

/// Waits for the access log line of a request. All other lines of the request precede it.
#[track_caller]
fn line_of(server: &Server, id: &str) -> Value {
    let of_request = || {
        let lines = lines_of(server, id).into_iter();
        lines.filter(|line| line["route"].is_string()).collect::<Vec<_>>()
    };
    server.until(id, |_| !of_request().is_empty());
    let [line] = &of_request()[..] else { panic!("{:?}", of_request()) };
    line.clone()
}

#[test]
fn a_request_is_one_log_line_and_all_its_lines_have_its_id() {
    let fake = Algorithmia::start();
    fake.next([Behavior::PlainText(400)]);
    let server = before_local(&fake.url(), "").env("PIXCOLOR_CACHE__ENABLED", "true").start();
    let (picture, path) = (Picture::png(96, 64, 1), "/v1/colorize?format=jpeg");
    let ask = |id: &str| {
        server.post(path, &[("X-Request-Id", id), ("traceparent", &traceparent())], &picture.bytes)
    };

    let first = ask("first-1");
    assert_eq!((first.status, first.header("x-request-id")), (200, "first-1"));
    let line = line_of(&server, "first-1");
    for (field, expected) in [
        ("method", "POST"),
        ("route", "/v1/colorize"),
        ("outcome", "miss"),
        ("provider", "local"),
        ("credits", "0"),
        ("client", "127.0.0.0/24"),
        ("level", "INFO"),
    ] {
        assert_eq!(line[field], expected, "{line}");
    }
    assert_eq!(line["status"], 200);
    assert!(line["milliseconds"].as_f64().is_some_and(|taken| taken > 0.0), "{line}");
    assert_eq!(line["span"]["trace_id"], TRACE);
    // Lines logged by the flight's own task have the ID, too.
    let failed =
        lines_of(&server, "first-1").into_iter().find(|line| line["level"] == "WARN").expect("a warning");
    assert_eq!(
        (&failed["provider"], &failed["kind"]),
        (&"algorithmia".into(), &"rejected".into()),
        "{failed}"
    );

    // A provider that failed is called again, although the next provider's result is cached.
    ask("second");
    assert_eq!(line_of(&server, "second")["credits"], "2");
    ask("again/2=");
    let line = line_of(&server, "again/2=");
    assert_eq!((&line["outcome"], &line["credits"]), (&"hit".into(), &"0".into()), "{line}");
    assert!(line["provider"].is_string());

    // Every response has a request ID, also an error. An invalid ID from the client is replaced.
    for (id, path, status) in
        [("nowhere", "/nothing", 404), ("wrong", "/v1/colorize", 404), ("", "/healthz", 200)]
    {
        let answer = server.get_with(path, &[("X-Request-Id", id)]);
        let wanted = if path == "/v1/colorize" { 405 } else { status };
        assert_eq!(answer.status, wanted);
        let given = answer.header("x-request-id");
        assert_eq!((given == id, given.is_empty()), (!id.is_empty(), false), "{given}");
        assert_eq!(line_of(&server, given)["status"], wanted);
    }
    for odd in ["two words", "{\"a\":1}", &"x".repeat(129)] {
        let answer = server.get_with("/healthz", &[("X-Request-Id", odd)]);
        let id = answer.header("x-request-id");
        assert!(id.len() == 36 && id != odd, "{id}");
    }
    let twice = server.get_with("/healthz", &[("X-Request-Id", "one"), ("X-Request-Id", "two")]);
    assert_eq!(twice.header("x-request-id").len(), 36);
    let line = line_of(&server, twice.header("x-request-id"));
    assert_eq!(line["span"].get("trace_id"), None, "{line}");
}

/// The trace ID and span ID of a header.
#[track_caller]
fn parts(traceparent: Option<&str>) -> (String, String) {
    let parts: Vec<&str> = traceparent.expect("a traceparent").split('-').collect();
    assert_eq!((parts.len(), parts[0], parts[3]), (4, "00", "01"), "{parts:?}");
    (parts[1].to_owned(), parts[2].to_owned())
}

#[test]
fn the_trace_context_reaches_every_kind_of_provider_with_a_new_span_per_request() {
    let fake = Algorithmia::start();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = seen.clone();
    let api = Http::start(move |request| {
        noted.lock().unwrap().push(request.header("traceparent").map(str::to_owned));
        Reply::new(200, "image/png", colored(&request.body).unwrap())
    });
    let file = format!(
        "kind = \"http\"\nmodel = \"m\"\nbase_url = \"{}\"\nallow_private = true\nrequest.body = \"raw\"\nreply.output = \"raw\"\nprice.terms = []\n",
        api.url()
    );
    let program = "kind = \"exec\"\ncommand = [\"sh\", \"-c\", \"echo in trace $TRACEPARENT >&2; cat\"]\n";
    let server = before_local(&fake.url(), "")
        .file("config/providers/api.toml", file)
        .file("config/providers/program.toml", program)
        .start();
    let ask = |provider: &str, headers: &[(&str, &str)]| {
        let path = format!("/v1/colorize?provider={provider}");
        server.post(&path, headers, &Picture::png(96, 64, 1).bytes)
    };
    for provider in ["algorithmia", "api", "program"] {
        ask(provider, &[("traceparent", &traceparent()), ("X-Request-Id", provider)]);
    }
    let algorithmia: Vec<_> =
        fake.requests().iter().map(|request| parts(request.header("traceparent"))).collect();
    assert!(algorithmia.len() > 1, "a call and the download of its file");
    let api = parts(seen.lock().unwrap()[0].as_deref());
    line_of(&server, "program");
    let said = lines_of(&server, "program")
        .into_iter()
        .find(|line| line["message"].as_str().unwrap().contains("in trace"));
    let said = said.unwrap_or_else(|| panic!("{}", server.said()));
    let program = parts(said["message"].as_str().unwrap().split("in trace ").nth(1));
    let hops: Vec<_> = algorithmia.into_iter().chain([api, program]).collect();
    assert!(hops.iter().all(|(trace, _)| trace == TRACE), "{hops:?}");
    let spans: std::collections::BTreeSet<_> =
        hops.iter().map(|(_, span)| span.as_str()).chain([SPAN]).collect();
    assert_eq!(spans.len(), hops.len() + 1, "each request has its own span: {hops:?}");

    // A request without a valid trace context starts no trace.
    for headers in [&[][..], &[("traceparent", "00-0-0-00")]] {
        ask("algorithmia", headers);
        assert_eq!(fake.last_call().header("traceparent"), None);
    }
}

#[test]
fn no_log_line_contains_a_key_a_whole_address_a_query_or_a_body() {
    let fake = Algorithmia::start();
    fake.next([Behavior::PlainText(500), Behavior::Status(403, "no such user", None)]);
    let file = format!(
        "kind = \"algorithmia\"\nbase_url = \"{}\"\nbreaker = {{ failures = 0 }}\nretries = 0\n",
        fake.url()
    );
    let server = behind_proxy(&[("PICTURES", r#"{ rate = 4, per = "day", burst = 4 }"#)])
        .file(
            "config/pixcolor.toml",
            "route = [\"algorithmia\", \"local\"]\n[admin]\ntoken = { env = \"THE_TOKEN\" }\n",
        )
        .file("config/providers/algorithmia.toml", file)
        .env("PIXCOLOR_DENY", "[\"203.0.113.99\"]")
        .env("ALGORITHMIA_API_KEY", KEY)
        .env("THE_TOKEN", "planted-token")
        // Everything that PixColor itself logs.
        .env("RUST_LOG", "warn,pixcolor=trace,rocket=off,_=off")
        .start();
    let key = server.command(&["key", "new", "bob"]);
    let picture = Picture::png(96, 64, 1);
    for (number, from) in
        ["203.0.113.77", "2001:db8:1:2:3::77", "203.0.113.99", "::ffff:203.0.113.78"].into_iter().enumerate()
    {
        let with_key = format!("Bearer {key}");
        for auth in [with_key.as_str(), "Bearer planted-wrong-key", ""] {
            let headers = [
                ("X-Forwarded-For", from),
                ("Authorization", auth),
                ("Cookie", "planted=cookie"),
                ("User-Agent", "planted-agent"),
                ("Referer", "http://planted.example/"),
            ];
            let picture = Picture::png(96, 64, number as u32);
            server.post("/v1/colorize?format=png&planted=query", &headers, &picture.bytes);
            server.post("/v1/colorize?format=planted-format", &headers, &picture.bytes);
            server.post("/v1/colorize", &headers, b"planted body, no picture");
            server.post("/image", &headers, b"data:image/png;base64,planted+body");
            server.post("/v1/estimate", &headers, b"{\"sha256\": \"planted-json\"}");
            server.get_with("/v1/usage?from=planted-day", &headers);
            server.get_with("/nothing/planted-path?planted=query", &headers);
            server.get_with("/v1/results/sha256/planted-hash", &headers);
        }
    }
    server.get_with("/v1/admin/config", &[("Authorization", "Bearer planted-token")]);
    let last = server.colorize(&picture);
    line_of(&server, last.header("x-request-id"));
    let said = server.said();
    for secret in ["planted", KEY, &key, "203.0.113.77", "203.0.113.78", "203.0.113.99", "2001:db8:1:2"] {
        assert!(!said.contains(secret), "{secret} is in the log:\n{said}");
    }
    // The log does contain these requests: it shows the clients' shortened addresses.
    for network in ["203.0.113.0/24", "2001:db8:1::/48", "127.0.0.0/24"] {
        assert!(said.contains(&format!("\"client\":\"{network}\"")), "{network}: {said}");
    }
    assert!(said.contains("\"provider algorithmia failed"), "{said}");
}

#[test]
fn the_logged_part_of_an_address_is_configurable() {
    let server = Setup::new()
        .env("PIXCOLOR_TRUSTED_PROXIES", r#"["127.0.0.1"]"#)
        .env("PIXCOLOR_LOG__IPV4_PREFIX", "0")
        .env("PIXCOLOR_LOG__IPV6_PREFIX", "128")
        .start();
    for (from, logged) in [("203.0.113.77", "0.0.0.0/0"), ("2001:db8::77", "2001:db8::77/128")] {
        let answer = server.get_with("/healthz", &[("X-Forwarded-For", from)]);
        assert_eq!(line_of(&server, answer.header("x-request-id"))["client"], logged);
    }
}

#[test]
fn the_name_of_a_key_is_in_its_log_lines_and_its_usage() {
    let server = Setup::new().start();
    let key = server.command(&["key", "new", "bob"]);
    let (bearer, wrong) = (format!("Bearer {key}"), "Bearer not-a-key");
    let ask = |id: &str, path: &str, key: Option<&str>, seed: u32| {
        let headers = [("X-Request-Id", id), ("Content-Type", "image/png")];
        let headers = headers.into_iter().chain(key.map(|key| ("Authorization", key))).collect::<Vec<_>>();
        match path {
            "/v1/colorize" => server.post(path, &headers, &Picture::png(64, 48, seed).bytes).status,
            _ => server.get_with(path, &headers).status,
        }
    };
    server.until("the new key is known", |_| ask("warm-up", "/v1/providers", Some(wrong), 0) == 401);
    for (id, path, key, status, name) in [
        ("with-key", "/v1/colorize", Some(bearer.as_str()), 200, Some("bob")),
        ("with-key-again", "/v1/colorize", Some(bearer.as_str()), 200, Some("bob")),
        ("no-key", "/v1/colorize", None, 200, None),
        ("wrong-key", "/v1/colorize", Some(wrong), 401, None),
        // These routes need no key.
        ("health", "/healthz", Some(bearer.as_str()), 200, Some("bob")),
        ("not-found", "/nothing", Some(bearer.as_str()), 404, Some("bob")),
    ] {
        let seed = id.len() as u32;
        assert_eq!(ask(id, path, key, seed), status, "{id}");
        assert_eq!(line_of(&server, id)["key"].as_str(), name, "{id}");
    }
    assert!(!server.said().contains(&key));

    // Free calls are recorded without waiting for the disk.
    let usage = || server.command(&["usage", "--by", "client", "--csv"]);
    let counted = |usage: &str| ["key:bob,2,", "ip:127.0.0.1,1,"].iter().all(|line| usage.contains(line));
    server.until("the requests are counted", |_| counted(&usage()));
}
