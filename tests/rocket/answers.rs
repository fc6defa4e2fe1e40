//! What Rocket adds to an answer, and how it puts it on the wire.

use rocket::http::Status;
use rocket::response::{Response, stream::ReaderStream};
use rocket::{get, routes};

use crate::wire::{Server, config, get};

#[get("/stream")]
fn stream() -> ReaderStream![std::io::Cursor<Vec<u8>>] {
    ReaderStream::one(std::io::Cursor::new(vec![7; 10_000]))
}

struct Larger;

impl<'r> rocket::response::Responder<'r, 'static> for Larger {
    fn respond_to(self, _: &'r rocket::Request<'_>) -> rocket::response::Result<'static> {
        let body = std::io::Cursor::new(vec![7; 10_000]);
        Response::build().streamed_body(body).max_chunk_size(64 * 1024).ok()
    }
}

#[get("/larger")]
fn larger() -> Larger {
    Larger
}

#[test]
fn a_body_is_written_four_kibibytes_at_a_time_unless_it_says_otherwise() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![stream, larger]));
    assert_eq!(server.ask(get("/stream")).chunks, [4096, 4096, 1808, 0]);
    assert_eq!(server.ask(get("/larger")).chunks, [10_000, 0]);
}

#[get("/plain")]
fn plain() -> &'static str {
    "plain"
}

#[test]
fn every_answer_says_rocket_and_has_the_shields_three_headers() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![plain]));
    for target in ["/plain", "/nowhere"] {
        let answer = server.ask(get(target));
        for (name, value) in [
            ("server", Some("Rocket")),
            ("x-content-type-options", Some("nosniff")),
            ("x-frame-options", Some("SAMEORIGIN")),
            ("permissions-policy", Some("interest-cohort=()")),
            ("content-security-policy", None),
        ] {
            assert_eq!(answer.header(name), value, "{target} {name}");
        }
    }
}

#[get("/panic")]
fn panics() -> Status {
    panic!("on purpose")
}

#[test]
fn a_handler_that_panics_is_a_500_and_the_connection_lives_on() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![panics, plain]));
    let mut wire = server.connect();
    wire.send(get("/panic"));
    assert_eq!(wire.answer().status, 500);
    wire.send(get("/plain"));
    assert_eq!(wire.answer().text(), "plain");
}
