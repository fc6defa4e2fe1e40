//! Request bodies: late, truncated, unread and oversized ones.

use std::sync::mpsc;

use rocket::data::{ByteUnit, Capped, Data, Limits, ToByteUnit};
use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome, Request};
use rocket::serde::json::{Json, Value};
use rocket::{delete, post, routes};

use crate::wire::{A_WHILE, PATIENCE, Server, config, post, post_head};

#[post("/read", data = "<body>")]
async fn read(body: Data<'_>) -> String {
    match body.open(16.bytes()).into_bytes().await {
        Ok(bytes) => format!("{} bytes, complete: {}", bytes.len(), bytes.is_complete()),
        Err(error) => format!("error: {error}"),
    }
}

#[post("/ignore")]
fn ignore() -> &'static str {
    "not looked at"
}

#[test]
fn request_fairings_wait_for_14_bytes_of_the_body() {
    let (sender, ran) = mpsc::sync_channel(9);
    let fairing = AdHoc::on_request("before", move |_, _| {
        sender.send(()).unwrap();
        Box::pin(async {})
    });
    let server = Server::start(rocket::custom(config()).attach(fairing).mount("/", routes![ignore]));

    let mut wire = server.connect();
    wire.send(post_head("/ignore", "", 20));
    wire.send("0123456789abc");
    assert!(ran.recv_timeout(A_WHILE).is_err(), "ran after 13 of 20 bytes");
    wire.send("d");
    ran.recv_timeout(PATIENCE).expect("runs after 14 of 20 bytes");

    server.request(post("/ignore", "", "abc"));
    ran.recv_timeout(PATIENCE).expect("runs after the whole of a shorter body");
}

struct Refused;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Refused {
    type Error = ();

    async fn from_request(_: &'r Request<'_>) -> Outcome<Self, ()> {
        Outcome::Error((Status::TooManyRequests, ()))
    }
}

#[post("/guarded")]
fn guarded(_refused: Refused) {}

#[test]
fn expect_100_continue_is_answered_before_any_guard_runs() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![guarded]));
    let mut wire = server.connect();
    wire.send(post_head("/guarded", "Expect: 100-continue\r\n", 20));
    assert_eq!(wire.head().status, 100);
    assert!(wire.is_quiet_for(A_WHILE));
    wire.send("01234567890123456789");
    assert_eq!(wire.head().status, 429);
}

#[test]
fn an_oversized_body_is_truncated_and_only_is_complete_shows_it() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![read]));
    for (body, seen) in
        [("0123456789abcdef", "16 bytes, complete: true"), ("0123456789abcdefg", "16 bytes, complete: false")]
    {
        let response = server.request(post("/read", "", body));
        assert_eq!((response.status, response.text()), (200, seen));
    }
}

#[post("/vec", data = "<body>")]
fn vec(body: Vec<u8>) -> String {
    body.len().to_string()
}

#[post("/capped", data = "<body>")]
fn capped(body: Capped<Vec<u8>>) -> String {
    body.len().to_string()
}

#[post("/json", data = "<body>")]
fn json(body: Json<Value>) -> String {
    body.to_string()
}

#[test]
fn data_guards_differ_in_how_they_treat_an_oversized_body() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![vec, capped, json]));
    let bytes = "x".repeat(8 * 1024 + 1);
    assert_eq!(server.request(post("/vec", "", &bytes)).status, 400);
    let response = server.request(post("/capped", "", &bytes));
    assert_eq!((response.status, response.text()), (200, "8192"));
    let json = format!("\"{}\"", "x".repeat(1024 * 1024));
    assert_eq!(server.request(post("/json", "", &json)).status, 413);
}

#[test]
fn the_default_limits_are_small() {
    let limits = Limits::default();
    for (name, limit) in [
        ("form", ByteUnit::Kibibyte(32)),
        ("data-form", ByteUnit::Mebibyte(2)),
        ("file", ByteUnit::Mebibyte(1)),
        ("string", ByteUnit::Kibibyte(8)),
        ("bytes", ByteUnit::Kibibyte(8)),
        ("json", ByteUnit::Mebibyte(1)),
        ("msgpack", ByteUnit::Mebibyte(1)),
    ] {
        assert_eq!(limits.get(name), Some(limit), "{name}");
    }
}

type Seen = mpsc::SyncSender<Result<(usize, bool), String>>;

#[post("/report", data = "<body>")]
async fn report_what_is_read(body: Data<'_>, sender: &rocket::State<Seen>) {
    let read = body.open(1.mebibytes()).into_bytes().await;
    let read = read.map(|bytes| (bytes.len(), bytes.is_complete()));
    sender.send(read.map_err(|error| error.to_string())).unwrap();
}

#[test]
fn a_truncated_body_is_an_error_except_within_its_first_14_bytes() {
    let (sender, seen) = mpsc::sync_channel(1);
    let sender: Seen = sender;
    let server =
        Server::start(rocket::custom(config()).mount("/", routes![report_what_is_read]).manage(sender));
    let length = post_head("/report", "", 100);
    let chunked = length.replace("Content-Length: 100", "Transfer-Encoding: chunked");
    for (head, part, taken_for_whole) in [
        (&length, "0123456789abcd", None),
        (&chunked, "e\r\n0123456789abcd\r\n", None),
        (&length, "01234", Some((5, true))),
        (&chunked, "5\r\n01234\r\n", Some((5, true))),
    ] {
        server.connect().send(format!("{head}{part}"));
        let seen = seen.recv_timeout(PATIENCE).unwrap();
        assert_eq!(seen.as_ref().ok(), taken_for_whole.as_ref(), "{part}: {seen:?}");
    }
}

#[test]
fn a_short_unread_body_keeps_the_connection_and_a_long_one_closes_it() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![ignore]));
    let mut wire = server.connect();
    for _ in 0..2 {
        wire.send(post("/ignore", "", "twenty bytes or more"));
        assert_eq!(wire.response().text(), "not looked at");
    }
    wire.send(post_head("/ignore", "", 1024 * 1024));
    wire.send([0; 20]);
    assert_eq!(wire.response().text(), "not looked at");
    assert!(wire.is_closed());
}

#[delete("/thing")]
fn remove() -> &'static str {
    "deleted"
}

#[test]
fn a_first_form_field_named_method_changes_the_method() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![remove]));
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(server.request(post("/thing", form, "_method=delete")).text(), "deleted");
    assert_eq!(server.request(post("/thing", form, "a=b&_method=delete")).status, 404);
    assert_eq!(server.request(post("/thing", "Content-Type: text/plain\r\n", "_method=delete")).status, 404);
}
