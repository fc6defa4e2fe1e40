//! URLs in a host's replies, and the URL of the host itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{RAW, described, tint};
use crate::algorithmia::{before_local, facts};
use crate::fakes::KEY;
use crate::fakes::apis::{self, Api};
use crate::fakes::http::{Reply, Server as Http};
use crate::fakes::picture::{colored, gzip_of_zeros};
use crate::harness::{Picture, Setup};

const URL: &str = "request = { body = \"raw\", headers = { A = \"{{secret.key}}\" } }\n\
    reply = { output = \"json_url\", pointer = \"/url\", error = \"/error\" }\n";

#[test]
fn a_result_url_is_fetched_from_listed_hosts_only_and_without_the_key() {
    let good = Arc::new(Mutex::new(Vec::new()));
    let seen = good.clone();
    let strays = Arc::new(AtomicUsize::new(0));
    let counted = strays.clone();
    let stranger = Http::start(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Reply::new(200, "image/png", "")
    });
    let away = stranger.url();
    let cdn = Http::start(move |request| {
        seen.lock().unwrap().push(request.clone());
        match request.path() {
            "/x.png" => Reply::new(200, "image/png", colored(&Picture::png(96, 64, 1).bytes).unwrap()),
            "/there" => Reply::new(302, "text/plain", "").with("Location", "/x.png"),
            "/away" => Reply::new(302, "text/plain", "").with("Location", away.clone()),
            "/metadata" => {
                Reply::new(302, "text/plain", "").with("Location", "http://169.254.169.254/latest")
            }
            "/round" => Reply::new(302, "text/plain", "").with("Location", "/round"),
            "/endless" => Reply { endless: true, ..Reply::new(200, "image/png", vec![0; 65_536]) },
            "/huge" => Reply { promised: Some(2 << 30), ..Reply::new(200, "image/png", "x") },
            "/bomb" => {
                Reply::new(200, "image/png", gzip_of_zeros(128 << 20)).with("Content-Encoding", "gzip")
            }
            "/html" => Reply::new(200, "text/html", "<h1>gone</h1>"),
            _ => Reply::new(410, "text/plain", "gone"),
        }
    });
    let host = Api::blank();
    let listed = cdn.url().replace("http://", "");
    let file = URL.replace("pointer", &format!("hosts = [\"{listed}\"], pointer"));
    let server = described(&host.url(), &file).start();
    let say = |address: &str| {
        host.always(apis::json(200, &json!({ "url": address })));
        facts(&server)
    };
    for path in ["/x.png", "/there"] {
        assert_eq!(say(&format!("{}{path}", cdn.url()))["provider"], "far", "{path}");
    }
    for (address, said) in [
        (format!("{}/away", cdn.url()), "redirects to an address that is at 127.0.0.1, which is neither"),
        (format!("{}/metadata", cdn.url()), "169.254.169.254"),
        (format!("{}/round", cdn.url()), "more than 3 times"),
        (format!("{}/endless", cdn.url()), "larger than"),
        (format!("{}/huge", cdn.url()), "larger than"),
        (format!("{}/bomb", cdn.url()), "larger than"),
        (format!("{}/html", cdn.url()), "not a usable picture"),
        (format!("{}/gone", cdn.url()), "status 410"),
        (format!("{}/x.png", stranger.url()), "neither its own host nor among its `reply.hosts`"),
        ("http://169.254.169.254/latest/meta-data".to_owned(), "neither its own host nor"),
        ("http://localhost:22/".to_owned(), "neither its own host nor"),
        ("file:///etc/passwd".to_owned(), "not an http or https address"),
        ("http://[".to_owned(), "is invalid"),
    ] {
        let facts = say(&address);
        let attempt = &facts["attempts"][0];
        // The call itself is charged.
        assert_eq!(
            (&attempt["failure"], &attempt["credits"]),
            (&json!("bad_answer"), &json!("3")),
            "{address}: {attempt}"
        );
        assert!(attempt["reason"].as_str().unwrap().contains(said), "{address}: {attempt}");
    }
    assert_eq!(strays.load(Ordering::SeqCst), 0, "a request was sent to a host that is not listed");
    assert!(
        good.lock().unwrap().iter().all(|request| request.header("A").is_none()),
        "the key went to another host"
    );
    assert!(host.requests().iter().all(|request| request.header("A") == Some(KEY)));

    // With `auth` the key is sent, but only to the provider's own host.
    let host = Api::blank();
    let file = file.replace("pointer =", "auth = true, pointer =");
    let server = described(&host.url(), &file).start();
    host.file("/own.png", colored(&Picture::png(96, 64, 1).bytes).unwrap());
    host.always(apis::json(200, &json!({ "url": "/own.png" })));
    assert_eq!(facts(&server)["provider"], "far");
    assert_eq!(host.requests().last().unwrap().header("A"), Some(KEY));
    host.always(apis::json(200, &json!({ "url": format!("{}/x.png", cdn.url()) })));
    let facts = facts(&server);
    assert!(facts["attempts"][0]["reason"].as_str().unwrap().contains("its key may be sent"), "{facts}");
}

#[test]
fn a_private_address_is_used_only_if_the_file_allows_it() {
    let host = Http::start(|request| Reply::new(200, "image/png", tint(request)));
    let port = host.url().rsplit(':').next().unwrap().to_owned();
    let without =
        |base: &str| described(base, RAW).env("PIXCOLOR_PROVIDERS__FAR__ALLOW_PRIVATE", "false").start();
    let server = without(&host.url());
    let facts = server.get("/v1/providers").json();
    let reason = facts["providers"][0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("127.0.0.1 is this machine itself, which `allow_private = true`"), "{reason}");
    // The address of a host name is checked when the name is resolved.
    let server = without(&format!("http://localhost:{port}"));
    let named = self::facts(&server);
    let attempt = &named["attempts"][0];
    assert_eq!((&attempt["failure"], &attempt["credits"]), (&json!("bad_answer"), &json!("0")), "{attempt}");
    assert!(attempt["reason"].as_str().unwrap().contains("this machine itself"), "{attempt}");
    for base in [host.url(), format!("http://localhost:{port}")] {
        assert_eq!(self::facts(&described(&base, RAW).start())["provider"], "far", "{base}");
    }
}

#[test]
fn an_algorithmia_host_can_be_barred_from_private_addresses() {
    let host = Http::start(|_| Reply::new(500, "text/plain", ""));
    let server = before_local(&host.url(), "allow_private = false\n").start();
    let facts = server.get("/v1/providers").json();
    let reason = facts["providers"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("127.0.0.1 is this machine itself"), "{reason}");
}

#[test]
fn a_gateway_configured_to_call_itself_notices_at_once() {
    let server = Setup::new()
        .file("config/pixcolor.toml", "")
        .file("config/providers/me.toml", "kind = \"onnx\"\n")
        .env("PIXCOLOR_CACHE__ENABLED", "false")
        .start();
    // The gateway's own port is known only after its start.
    let me = format!(
        "kind = \"http\"\nmodel = \"me\"\nbase_url = \"{}\"\nallow_private = true\nprice.terms = []\n\
         request = {{ path = \"/v1/colorize\", body = \"raw\", query = {{ provider = \"me\" }} }}\n\
         reply = {{ output = \"raw\", error = \"/detail\" }}\n",
        server.url("")
    );
    std::fs::write(server.path("config/providers/me.toml"), me).unwrap();
    server.until("the provider leads to the gateway itself", |server| {
        let providers = server.get("/v1/providers").json();
        providers["providers"].as_array().unwrap().iter().any(|it| it["name"] == "me" && it["kind"] == "http")
    });
    let start = Instant::now();
    let picture = Picture::png(96, 64, 1);
    let answer = server.post("/v1/colorize?provider=me", &[], &picture.bytes);
    let detail = answer.problem(502)["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("status 508") && detail.contains("is asking itself"), "{detail}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    // A request that other proxies have forwarded is accepted.
    let others = [("CDN-Loop", "pixcolor-0123, example.com; a=b")];
    assert_eq!(server.post("/v1/colorize", &others, &picture.bytes).status, 200);
}
