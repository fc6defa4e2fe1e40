//! Routing and request parsing.

use std::path::PathBuf;
use std::sync::mpsc;

use rocket::fairing::AdHoc;
use rocket::http::uri::Segments;
use rocket::http::uri::fmt::Path;
use rocket::request::{FromRequest, FromSegments, Outcome, Request};
use rocket::{get, post, routes};

use crate::wire::{Server, config, get, post};

#[get("/only-get")]
fn only_get() -> &'static str {
    "got"
}

#[test]
fn a_wrong_method_returns_404_without_an_allow_header() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![only_get]));
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let response = server.request(format!("{method} /only-get HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_eq!((response.status, response.header("allow")), (404, None), "{method}");
    }
}

#[test]
fn head_runs_the_get_handler_and_discards_its_body() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![only_get]));
    let mut wire = server.connect();
    wire.send("HEAD /only-get HTTP/1.1\r\nHost: test\r\n\r\n");
    let response = wire.head();
    assert_eq!((response.status, response.header("content-length")), (200, Some("3")));
    wire.send(get("/only-get"));
    assert_eq!(wire.response().text(), "got");
}

#[get("/path/<rest..>")]
fn path(rest: PathBuf) -> String {
    rest.display().to_string()
}

/// Every segment of the path, decoded.
struct All(Vec<String>);

impl<'r> FromSegments<'r> for All {
    type Error = std::convert::Infallible;

    fn from_segments(segments: Segments<'r, Path>) -> Result<Self, Self::Error> {
        Ok(Self(segments.map(str::to_owned).collect()))
    }
}

#[get("/segments/<rest..>")]
fn segments(rest: All) -> String {
    rest.0.join("|")
}

#[get("/own/<rest..>")]
fn own(rest: Segments<'_, Path>) -> String {
    rest.collect::<Vec<_>>().join("|")
}

#[test]
fn pathbuf_rejects_dot_segments_and_encoded_slashes_and_segments_accepts_them() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![path, segments, own]));
    for (target, as_path, as_segments) in [
        ("a/b", Some("a/b"), "a|b"),
        (".algo/temp/x.png", None, ".algo|temp|x.png"),
        ("data%3A%2F%2F.algo%2Ftemp", None, "data://.algo/temp"),
        ("a%2Fb", None, "a/b"),
        ("data:/x", None, "data:|x"),
        ("*", None, "*"),
        ("a/../b", Some("b"), "a|..|b"),
        ("..%2F..%2Fetc", None, "../../etc"),
    ] {
        let response = server.request(get(&format!("/path/{target}")));
        let text = (response.status == 200).then(|| response.text());
        assert_eq!(
            (text, text.is_none()),
            (as_path, response.status == 422),
            "{target}: {}",
            response.status
        );
        assert_eq!(server.request(get(&format!("/segments/{target}"))).text(), as_segments, "{target}");
        assert_eq!(server.request(get(&format!("/own/{target}"))).text(), as_segments, "{target}");
    }
}

#[test]
fn empty_path_segments_are_ignored() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![only_get]));
    for target in ["/only-get/", "/only-get//", "//only-get"] {
        assert_eq!(server.request(get(target)).text(), "got", "{target}");
    }
}

#[get("/number?<n>")]
fn number(n: Option<u8>) -> String {
    format!("{n:?}")
}

#[test]
fn an_optional_query_value_that_is_invalid_or_repeated_is_none() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![number]));
    for (target, seen) in [
        ("/number?n=7", "Some(7)"),
        ("/number", "None"),
        ("/number?n=seven", "None"),
        ("/number?n=7&n=8", "None"),
        ("/number?N=7&other=1", "None"),
    ] {
        assert_eq!(server.request(get(target)).text(), seen, "{target}");
    }
}

#[post("/image", format = "image/*")]
fn image() -> &'static str {
    "an image"
}

#[test]
fn a_route_with_a_format_does_not_match_a_body_without_content_type() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![image]));
    assert_eq!(server.request(post("/image", "Content-Type: image/png\r\n", "x")).text(), "an image");
    assert_eq!(server.request(post("/image", "", "x")).status, 404);
}

#[get("/who")]
fn who(client: std::net::IpAddr) -> String {
    client.to_string()
}

#[test]
fn x_real_ip_is_trusted_from_any_client_unless_ip_header_is_off() {
    let forged = "GET /who HTTP/1.1\r\nHost: test\r\nX-Real-IP: 192.0.2.1\r\n\r\n";
    let server = Server::start(rocket::custom(config()).mount("/", routes![who]));
    assert_eq!(server.request(forged).text(), "192.0.2.1");
    let config = rocket::Config { ip_header: None, ..config() };
    let server = Server::start(rocket::custom(config).mount("/", routes![who]));
    assert_eq!(server.request(forged).text(), "127.0.0.1");
}

#[test]
fn an_unreadable_request_is_answered_without_any_fairing() {
    let (sender, ran) = mpsc::sync_channel(9);
    let also = sender.clone();
    let rocket = rocket::custom(config())
        .attach(AdHoc::on_request("before", move |_, _| {
            sender.send("request").unwrap();
            Box::pin(async {})
        }))
        .attach(AdHoc::on_response("after", move |_, _| {
            also.send("response").unwrap();
            Box::pin(async {})
        }));
    let server = Server::start(rocket);
    let many = "X: y\r\n".repeat(101);
    for (request, status) in [
        ("BREW / HTTP/1.1\r\nHost: test\r\n\r\n".to_owned(), 400),
        ("CONNECT test:80 HTTP/1.1\r\nHost: test\r\n\r\n".to_owned(), 400),
        ("nonsense\r\n\r\n".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\n{many}\r\n"), 431),
    ] {
        let response = server.request(&request);
        assert_eq!(response.status, status, "{request}");
        assert_eq!(response.header("x-content-type-options"), None, "{request}");
        assert!(ran.try_recv().is_err(), "{request}");
    }
    assert_eq!(server.request(get("/")).status, 404);
    assert_eq!(ran.try_iter().collect::<Vec<_>>(), ["request", "response"]);
}

#[get("/header")]
fn header(headers: Value) -> String {
    format!("{:?}", headers.0)
}

/// The header `X-Value`; `None` if Rocket has dropped it.
struct Value(Option<String>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Value {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        Outcome::Success(Self(request.headers().get_one("x-value").map(str::to_owned)))
    }
}

#[test]
fn a_header_that_is_not_utf8_is_dropped() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![header]));
    for (value, seen) in [(&b"caf\xc3\xa9"[..], "Some(\"café\")"), (b"caf\xe9", "None")] {
        let request = [b"GET /header HTTP/1.1\r\nHost: test\r\nX-Value: ", value, b"\r\n\r\n"].concat();
        assert_eq!(server.request(request).text(), seen);
    }
}

#[test]
fn http2_without_tls_is_accepted_after_its_preface() {
    let server = Server::start(rocket::custom(config()));
    let mut wire = server.connect();
    wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let empty_settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    wire.send(empty_settings);
    assert_eq!(wire.bytes(9)[3], 4, "the first frame is SETTINGS");
}
