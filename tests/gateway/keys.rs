//! Clients' keys: made and revoked on the command line, shown over HTTP.

use std::time::Duration;

use serde_json::json;

use super::algorithmia::before_local;
use super::cache::by_fingerprint;
use super::quota::{knock, remaining, server, setup, small};
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::{Picture, Setup};

#[test]
fn a_key_opens_every_route_in_every_form_and_counts_by_itself() {
    let server = setup(&[
        ("REQUESTS", r#"{ rate = 1, per = "day", burst = 1 }"#),
        ("KEY_REQUESTS", r#"{ rate = 100, per = "day", burst = 100 }"#),
    ])
    .env("PIXCOLOR_ANONYMOUS", "false")
    .start();
    let key = server.command(&["key", "new", "bob@example.org"]);
    assert!(key.starts_with("sim") && key.len() == 28, "{key}");
    assert!(server.command(&["key", "list"]).ends_with("bob@example.org"));
    std::thread::sleep(Duration::from_millis(1_100));

    let picture = small(1);
    let (form, body) = picture.multipart(&[]);
    for scheme in ["", "Simple ", "simple ", "Bearer ", "bearer "] {
        let header = format!("{scheme}{key}");
        let bob = ("Authorization", header.as_str());
        server.post("/v1/colorize", &[bob], &picture.bytes).picture();
        assert_eq!(server.post("/image", &[bob], picture.data_url().as_bytes()).status, 200);
        assert_eq!(server.post("/", &[bob, ("Content-Type", &form)], &body).status, 200);
        assert_eq!(server.get_with("/v1/quota", &[bob]).json()["client"], "key:bob@example.org");
    }
    let bearer = format!("Bearer {key}");
    assert_eq!(remaining(&server, "key-requests", &[("Authorization", &bearer)]), 85);

    let wrong = format!("Bearer sim{}", "x".repeat(25));
    for headers in [&[][..], &[("Authorization", wrong.as_str())], &[("Authorization", "Basic Ym9iOmJvYg==")]]
    {
        let refused = server.post("/v1/colorize", headers, &picture.bytes);
        refused.problem(401);
        assert_eq!(refused.header("www-authenticate"), "Bearer");
        server.post("/image", headers, picture.data_url().as_bytes()).problem(401);
        assert_eq!(server.post("/", &[headers, &[("Content-Type", &form)]].concat(), &body).status, 401);
        server.get_with("/v1/quota", headers).problem(401);
    }
    // What colours nothing needs none.
    assert_eq!(server.get("/").status, 200);

    server.command(&["key", "revoke", "bob@example.org"]);
    std::thread::sleep(Duration::from_millis(1_100));
    server.post("/v1/colorize", &[("Authorization", &bearer)], &picture.bytes).problem(401);
    assert!(!server.said().contains(&key[3..]), "a key was logged: {}", server.said());
    assert!(server.metric(r#"pixcolor_denied_requests_total{reason="key"}"#) > 11.9);
}

#[test]
fn keys_are_optional_and_a_wrong_one_is_told_as_soon_as_there_are_any() {
    let server = server(&[("REQUESTS", r#"{ rate = 3, per = "day", burst = 3 }"#)]);
    // A tool that insists on a key is content with any, while there are none.
    assert_eq!(knock(&server, &[("Authorization", "Bearer whatever")]).status, 400);
    let key = server.command(&["key", "new", "ann"]);
    std::thread::sleep(Duration::from_millis(1_100));
    knock(&server, &[("Authorization", "Bearer whatever")]).problem(401);
    // A proxy in front may ask for a password of its own.
    assert_eq!(knock(&server, &[("Authorization", "Basic Ym9iOmJvYg==")]).status, 400);
    assert_eq!(knock(&server, &[]).status, 400);
    knock(&server, &[]).problem(429);
    assert_eq!(knock(&server, &[("Authorization", &key)]).status, 400);
}

#[test]
fn key_commands_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let key = |args: &[&str]| {
        let output = crate::harness::server::pixcolor(folder.path()).arg("key").args(args).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said)
    };
    assert_eq!(key(&["new", "bob"]).0, Some(0));
    for (args, said) in [
        (&["new", "bob"][..], "already"),
        (&["new", "b b"], "cannot be named"),
        (&["revoke", "ann"], "no key named `ann`"),
    ] {
        let (code, output) = key(args);
        assert!(code == Some(1) && output.contains(said), "{args:?}: {output}");
    }
    let file = folder.path().join(".local/state/pixcolor/keys.json");
    std::fs::write(&file, "rubbish").unwrap();
    for command in ["check", "serve"] {
        let output = crate::harness::server::pixcolor(folder.path()).arg(command).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("keys.json"), "{command}: {said}");
    }
}

#[test]
fn where_nobody_is_anonymous_results_need_a_key_and_no_cache_in_between_may_keep_them() {
    let server = Setup::new().env("PIXCOLOR_ANONYMOUS", "false").start();
    assert!(server.said().contains("nobody can use this gateway"), "{}", server.said());
    let key = server.command(&["key", "new", "bob"]);
    let bob = ("Authorization", key.as_str());
    let picture = Picture::png(64, 48, 1);
    let made = server.post("/v1/colorize", &[bob], &picture.bytes);
    for path in [made.header("content-location"), &by_fingerprint(&picture)] {
        server.get(path).problem(401);
        let found = server.get_with(path, &[bob]);
        assert_eq!(found.picture(), made.picture());
        assert!(found.header("cache-control").starts_with("private"), "{found:?}");
    }
    // The command line has it in a file.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.png"), &picture.bytes).unwrap();
    std::fs::write(folder.path().join("key"), key + "\n").unwrap();
    let colorize = |more: &[&str]| {
        let mut command = crate::harness::server::pixcolor(folder.path());
        let output =
            command.args(["colorize", "a.png", "--gateway", &server.url("")]).args(more).output().unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (done, said) = colorize(&[]);
    assert!(!done && said.contains("A key is needed here"), "{said}");
    let (done, said) = colorize(&["--key-file", "key"]);
    assert!(done && said.contains("a-coloured.png"), "{said}");
    let (done, said) = colorize(&["--key-file", "missing"]);
    assert!(!done && said.contains("missing"), "{said}");
}

#[test]
fn each_key_has_a_budget_of_its_own_and_is_called_by_its_name_in_the_account() {
    let fake = Algorithmia::start();
    // A call costs 2 credits and may cost 5: each client can have one.
    let budget = "[budgets.each]\nscope = \"client\"\ncredits = 6\n";
    let server = before_local(&fake.url(), "timeout = 5\n")
        .file("config/pixcolor.toml", format!("route = [\"algorithmia\", \"local\"]\n{budget}"))
        .env("MY_TOKEN", "let-me-in")
        .env("PIXCOLOR_ADMIN__TOKEN", "{ env = \"MY_TOKEN\" }")
        .start();
    let keys = ["bob", "ann"].map(|name| server.command(&["key", "new", name]));
    let [bob, ann] = keys.each_ref().map(|key| vec![("Authorization", key.as_str())]);
    for (client, provider) in [
        (&bob, "algorithmia"),
        (&bob, "local"),
        (&ann, "algorithmia"),
        (&vec![], "algorithmia"),
        (&ann, "local"),
        (&vec![], "local"),
    ] {
        let answer = server.post("/v1/colorize", client, &small(1).bytes);
        assert_eq!(answer.header("x-pixcolor-provider"), provider, "{client:?}");
    }
    let usage = server.get_with("/v1/usage?by=client", &[("Authorization", "Bearer let-me-in")]);
    let lines = usage.json()["lines"].as_array().unwrap().clone();
    let told: Vec<_> = lines.iter().map(|line| (line["client"].clone(), line["credits"].clone())).collect();
    for client in ["ip:127.0.0.1", "key:ann", "key:bob"] {
        assert!(told.contains(&(json!(client), json!("2"))), "{told:?}");
    }
    assert!(!usage.text().contains(&keys[0]) && !server.said().contains(&keys[0]));
}
