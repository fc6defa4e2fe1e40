//! The address of the metrics, and access to them.

use std::net::TcpListener;
use std::process::Output;

use crate::fakes::KEY;
use crate::harness::server::pixcolor;
use crate::harness::{Answer, Picture, Server, Setup, agent};

/// The response for a path at the metrics address that the server announced.
fn own(server: &Server, path: &str) -> Answer {
    let said = server.said();
    let address = said.split("metrics at http://").nth(1).unwrap().split('/').next().unwrap();
    Answer::new(agent().get(format!("http://{address}{path}")).call().unwrap())
}

#[test]
fn a_separate_metrics_address_serves_only_metrics() {
    let mut server =
        Setup::new().file("config/pixcolor.toml", "[metrics]\naddress = \"127.0.0.1:0\"\n").start();
    assert_eq!(server.colorize(&Picture::png(32, 32, 1)).status, 200);
    server.get("/metrics").problem(404);
    let metrics = own(&server, "/metrics");
    assert_eq!(
        (metrics.status, metrics.header("content-type")),
        (200, "text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(metrics.text().contains("pixcolor_renditions_total{origin=\"miss\"} 1"), "{}", metrics.text());
    for path in ["/", "/healthz", "/v1/colorize", "/v1/admin/config"] {
        own(&server, path).problem(404);
    }
    assert_eq!(server.terminate(), Some(0), "{}", server.said());
}

#[test]
fn metrics_with_a_token_require_the_token() {
    let server =
        Setup::new().env("MY_TOKEN", KEY).env("PIXCOLOR_METRICS__TOKEN", r#"{ env = "MY_TOKEN" }"#).start();
    server.get("/metrics").problem(401);
    server.get_with("/metrics", &[("Authorization", "Bearer wrong")]).problem(403);
    let metrics = server.get_with("/metrics", &[("Authorization", &format!("Bearer {KEY}"))]);
    assert!(metrics.text().contains("pixcolor_build_info"), "{metrics:?}");
    assert_eq!(server.get("/healthz").status, 200);

    // If the configured token has no value, every request is refused, even one with an empty token.
    let server = Setup::new().env("PIXCOLOR_METRICS__TOKEN", r#"{ env = "MY_TOKEN" }"#).start();
    server.get("/metrics").problem(404);
    server.get_with("/metrics", &[("Authorization", "Bearer ")]).problem(404);
    assert!(server.said().contains("`metrics.token` has no value, so that /metrics answers 404"));
}

#[test]
fn an_unusable_metrics_address_is_reported_in_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    for (address, sentence) in [
        (
            address.as_str(),
            format!(
                "pixcolor: port {} is taken: another program listens on {address}. Stop it, or choose another \
                 with `metrics.address` in pixcolor.toml\n",
                taken.local_addr().unwrap().port()
            ),
        ),
        ("192.0.2.1:9464", "the server cannot listen on 192.0.2.1:9464: ".to_owned()),
        (
            "9464",
            "`metrics.address` must be an address and a port such as \"127.0.0.1:9464\", not ".to_owned(),
        ),
        (
            "localhost:9464",
            "must be an address and a port such as \"127.0.0.1:9464\", not \"localhost:9464\"".to_owned(),
        ),
    ] {
        let mut command = pixcolor(folder.path());
        command.env("ROCKET_PORT", "0").env("PIXCOLOR_METRICS__ADDRESS", format!("\"{address}\""));
        let Output { status, stdout, stderr } = command.output().unwrap();
        let said = String::from_utf8([stdout, stderr].concat()).unwrap();
        assert!(!status.success() && said.contains(&sentence), "{sentence}\n{said}");
        assert!(!said.contains("listens on http://"), "{said}");
    }
    let mut command = pixcolor(folder.path());
    command.env("ROCKET_PORT", "9464").env("PIXCOLOR_METRICS__ADDRESS", "\"127.0.0.1:9464\"");
    let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(said.contains("`metrics.address` is 127.0.0.1:9464, where the server itself listens"), "{said}");
}
