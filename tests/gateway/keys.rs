//! API keys: created and revoked on the command line, used over HTTP.

use serde_json::json;

use super::algorithmia::before_local;
use super::cache::by_fingerprint;
use super::quota::{knock, remaining, server, setup, small};
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::{Picture, Setup};

#[test]
fn a_key_is_accepted_on_every_route_in_every_form_and_counted_separately() {
    let setup = setup(&[
        ("REQUESTS", r#"{ rate = 1, per = "day", burst = 14 }"#),
        ("KEY_REQUESTS", r#"{ rate = 100, per = "day", burst = 100 }"#),
    ])
    .env("PIXCOLOR_ANONYMOUS", "false");
    let key = setup.command(&["key", "new", "bob@example.org"]);
    assert!(key.starts_with("sim") && key.len() == 28, "{key}");
    assert!(setup.command(&["key", "list"]).ends_with("bob@example.org"));
    let server = setup.start();

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
        assert!(refused.header("ratelimit").starts_with("\"requests\";r="), "{refused:?}");
        assert!(refused.header("ratelimit-policy").starts_with("\"requests\";q=14;"), "{refused:?}");
        server.post("/image", headers, picture.data_url().as_bytes()).problem(401);
        assert_eq!(server.post("/", &[headers, &[("Content-Type", &form)]].concat(), &body).status, 401);
        server.get_with("/v1/quota", headers).problem(401);
    }
    // The page itself needs no key.
    assert_eq!(server.get("/").status, 200);

    server.command(&["key", "revoke", "bob@example.org"]);
    server.until("the key is refused", |server| {
        server.get_with("/v1/quota", &[("Authorization", &bearer)]).status == 401
    });
    server.post("/v1/colorize", &[("Authorization", &bearer)], &picture.bytes).problem(401);
    assert!(!server.said().contains(&key[3..]), "a key was logged: {}", server.said());
    assert!(server.metric(r#"pixcolor_denied_requests_total{reason="key"}"#) > 11.9);
}

#[test]
fn wrong_keys_count_as_requests_of_their_address_on_every_route() {
    let server = setup(&[
        ("REQUESTS", r#"{ rate = 1, per = "day", burst = 5 }"#),
        ("EVERYBODY", r#"{ of = "requests", by = "all", rate = 5, per = "day" }"#),
    ])
    .start();
    let key = server.command(&["key", "new", "bob"]);
    let wrong = [("Authorization", "Bearer whatever")];
    server.until_known(&key);
    let missing = format!("/v1/results/{}", "0".repeat(64));
    for path in ["/v1/quota", "/v1/usage", "/v1/providers", &missing] {
        let refused = server.get_with(path, &wrong);
        refused.problem(401);
        assert!(refused.header("ratelimit").starts_with("\"requests\";r="), "{refused:?}");
    }
    knock(&server, &wrong).problem(401);
    for refused in [knock(&server, &wrong), server.get_with("/v1/quota", &wrong)] {
        assert_eq!(refused.problem(429)["violated-policies"], json!(["requests"]));
        assert!(refused.header("retry-after").parse::<u64>().unwrap() > 10_000);
    }
    // The wrong keys count neither for a client with a valid key nor towards the limit for all clients.
    let bob = [("Authorization", key.as_str())];
    assert_eq!(remaining(&server, "everybody", &bob), 5);
    assert_eq!(knock(&server, &bob).status, 415);
}

#[test]
fn a_revoked_key_is_rejected_even_if_it_was_the_only_one() {
    let server = server(&[]);
    let key = server.command(&["key", "new", "bob"]);
    server.until_known(&key);
    server.command(&["key", "revoke", "bob"]);
    let revoked = [("Authorization", key.as_str())];
    server.until("the key is refused", |server| knock(server, &revoked).status == 401);
    let problem = server.get_with("/v1/quota", &revoked).problem(401);
    assert!(problem["detail"].as_str().unwrap().contains("was revoked"), "{problem}");
    // Once any key has existed, an unknown key is rejected. A request without a key is accepted.
    knock(&server, &[("Authorization", "Bearer whatever")]).problem(401);
    assert_eq!(knock(&server, &[]).status, 415);
    let list = server.command(&["key", "list"]);
    assert!(list.contains("  bob  revoked 20"), "{list}");
    // A new key may have the same name, and the old key stays revoked.
    let new = server.command(&["key", "new", "bob"]);
    server.until_known(&new);
    knock(&server, &revoked).problem(401);
}

#[test]
fn without_anonymous_access_server_information_needs_a_key_or_the_admin_token() {
    let server = Setup::new()
        .env("PIXCOLOR_ANONYMOUS", "false")
        .env("MY_TOKEN", "let-me-in")
        .env("PIXCOLOR_ADMIN__TOKEN", "{ env = \"MY_TOKEN\" }")
        .start();
    let key = server.command(&["key", "new", "bob"]);
    server.until_known(&key);
    for path in ["/v1/usage", "/v1/providers"] {
        server.get(path).problem(401);
        server.get_with(path, &[("Authorization", "Bearer sardine")]).problem(401);
        for right in [key.as_str(), "Bearer let-me-in"] {
            assert_eq!(server.get_with(path, &[("Authorization", right)]).status, 200, "{path}");
        }
    }
    server.post("/v1/estimate", &[], b"").problem(401);
    for path in ["/", "/healthz", "/readyz", "/metrics", "/static/app.css"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
}

#[test]
fn keys_are_optional_and_wrong_ones_are_rejected_once_any_key_exists() {
    let server = server(&[("REQUESTS", r#"{ rate = 4, per = "day", burst = 4 }"#)]);
    // While no keys exist, any key is accepted, because some tools always send one.
    assert_eq!(knock(&server, &[("Authorization", "Bearer whatever")]).status, 415);
    let key = server.command(&["key", "new", "ann"]);
    server.until_known(&key);
    knock(&server, &[("Authorization", "Bearer whatever")]).problem(401);
    // A proxy in front of the gateway may require its own password, which is not an API key.
    assert_eq!(knock(&server, &[("Authorization", "Basic Ym9iOmJvYg==")]).status, 415);
    assert_eq!(knock(&server, &[]).status, 415);
    knock(&server, &[]).problem(429);
    assert_eq!(knock(&server, &[("Authorization", &key)]).status, 415);
}

#[test]
fn key_commands_explain_errors() {
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
fn without_anonymous_access_results_need_a_key_and_proxies_must_not_store_them() {
    let server = Setup::new().env("PIXCOLOR_ANONYMOUS", "false").start();
    assert!(server.said().contains("no client can use this gateway"), "{}", server.said());
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
    // The command line reads the key from a file.
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
fn each_key_has_its_own_budget_and_its_name_in_the_ledger() {
    let fake = Algorithmia::start();
    // A call costs 2 credits and may cost 5, so each client's 6 credits allow one call.
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
    let charged: Vec<_> =
        lines.iter().map(|line| (line["client"].clone(), line["credits"].clone())).collect();
    for client in ["ip:127.0.0.1", "key:ann", "key:bob"] {
        assert!(charged.contains(&(json!(client), json!("2"))), "{charged:?}");
    }
    assert!(!usage.text().contains(&keys[0]) && !server.said().contains(&keys[0]));
}

#[test]
fn a_key_may_have_its_own_limits_and_budgets() {
    let fake = Algorithmia::start();
    // A call costs 2 credits and may cost 5: 6 credits allow one call, 7 allow two.
    let own = "[budgets.each]\nscope = \"client\"\ncredits = 6\n[keys.bob.budgets.each]\ncredits = 7\n\
               [keys.bob.limits.key-requests]\nrate = 3\n";
    let server = before_local(&fake.url(), "timeout = 5\n")
        .file("config/pixcolor.toml", format!("route = [\"algorithmia\", \"local\"]\n{own}"))
        .start();
    assert!(server.said().contains("`keys.bob` is for a key that does not exist"), "{}", server.said());
    let keys = ["bob", "ann"].map(|name| server.command(&["key", "new", name]));
    let [bob, ann] = keys.each_ref().map(|key| [("Authorization", key.as_str())]);
    server.until_known(&keys[1]);
    let standing = server.get_with("/v1/quota", &bob).json();
    let limits: Vec<_> =
        standing["limits"].as_array().unwrap().iter().map(|it| (&it["name"], &it["rate"])).collect();
    assert_eq!(limits, [(&json!("key-requests"), &json!(3)), (&json!("key-pictures"), &json!(6_000))]);
    for (client, seed, provider) in [
        (&bob, 1, "algorithmia"),
        (&bob, 2, "algorithmia"),
        (&bob, 3, "local"),
        (&ann, 4, "algorithmia"),
        (&ann, 5, "local"),
        (&ann, 6, "local"),
        (&ann, 7, "local"),
    ] {
        let answer = server.post("/v1/colorize", client, &small(seed).bytes);
        assert_eq!(answer.header("x-pixcolor-provider"), provider, "{seed}: {answer:?}");
    }
    let refused = server.post("/v1/colorize", &bob, &small(8).bytes);
    let problem = refused.problem(429);
    assert_eq!(problem["violated-policies"], json!(["key-requests"]));
    assert!(problem["detail"].as_str().unwrap().contains("3 requests per minute for each key"), "{problem}");
    assert!(refused.header("ratelimit-policy").contains("\"key-requests\";q=3;w=60"), "{refused:?}");
}
