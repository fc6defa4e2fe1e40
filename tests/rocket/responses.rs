//! Headers that Rocket adds to responses, and how it writes bodies.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Instant;

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::response::{Body, Response, stream::ReaderStream};
use rocket::tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use rocket::{get, routes};

use crate::wire::{PATIENCE, Server, config, get};

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
fn a_body_is_written_in_chunks_of_4_kib_by_default() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![stream, larger]));
    assert_eq!(server.request(get("/stream")).chunks, [4096, 4096, 1808, 0]);
    assert_eq!(server.request(get("/larger")).chunks, [10_000, 0]);
}

#[test]
fn sized_body_resets_the_chunk_size() {
    let body = || std::io::Cursor::new("photo");
    let before = Response::build().max_chunk_size(100).sized_body(5, body()).finalize();
    assert_eq!(before.body().max_chunk_size(), Body::DEFAULT_MAX_CHUNK);
    let after = Response::build().sized_body(5, body()).max_chunk_size(100).finalize();
    assert_eq!(after.body().max_chunk_size(), 100);
    let mut response = Response::new();
    response.set_max_chunk_size(100);
    response.set_sized_body(5, body());
    assert_eq!(response.body().max_chunk_size(), Body::DEFAULT_MAX_CHUNK);
}

/// A body that records the buffer size of each read.
struct Noted {
    left: usize,
    room: Arc<Mutex<Vec<usize>>>,
}

impl AsyncRead for Noted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.room.lock().unwrap().push(buffer.remaining());
        let piece = self.left.min(buffer.remaining());
        buffer.put_slice(&vec![7; piece]);
        self.left -= piece;
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for Noted {
    fn start_seek(self: Pin<&mut Self>, _: io::SeekFrom) -> io::Result<()> {
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(0))
    }
}

impl<'r> rocket::response::Responder<'r, 'static> for Noted {
    fn respond_to(self, _: &'r rocket::Request<'_>) -> rocket::response::Result<'static> {
        Response::build().sized_body(self.left, self).ok()
    }
}

#[get("/noted")]
fn noted(room: &rocket::State<Arc<Mutex<Vec<usize>>>>) -> Noted {
    Noted { left: 10_000, room: Arc::clone(room) }
}

/// Buffer sizes of the reads of a 10,000-byte body when a fairing sets this chunk size.
fn rooms(chunk: Option<usize>) -> Vec<usize> {
    let room = Arc::<Mutex<Vec<usize>>>::default();
    let set = AdHoc::on_response("chunk size", move |_, response| {
        Box::pin(async move {
            if let Some(chunk) = chunk {
                response.set_max_chunk_size(chunk);
            }
        })
    });
    let rocket = rocket::custom(config()).manage(room.clone()).mount("/", routes![noted]).attach(set);
    let server = Server::start(rocket);
    assert_eq!(server.request(get("/noted")).body, [7; 10_000]);
    // The server may drop the body after the client has received all of it.
    let end = Instant::now() + PATIENCE;
    while Arc::strong_count(&room) > 2 {
        assert!(Instant::now() < end, "the body is never dropped");
        std::thread::yield_now();
    }
    room.lock().unwrap().clone()
}

#[test]
fn a_chunk_one_byte_larger_than_the_body_needs_one_buffer() {
    assert_eq!(rooms(None), [4096, 4096, 4096, 2288]);
    assert_eq!(rooms(Some(10_000)), [10_000, 10_000]);
    assert_eq!(rooms(Some(10_001)), [10_001, 1]);
}

#[get("/plain")]
fn plain() -> &'static str {
    "plain"
}

#[test]
fn every_response_names_rocket_and_has_the_three_headers_of_shield() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![plain]));
    for target in ["/plain", "/nowhere"] {
        let response = server.request(get(target));
        for (name, value) in [
            ("server", Some("Rocket")),
            ("x-content-type-options", Some("nosniff")),
            ("x-frame-options", Some("SAMEORIGIN")),
            ("permissions-policy", Some("interest-cohort=()")),
            ("content-security-policy", None),
        ] {
            assert_eq!(response.header(name), value, "{target} {name}");
        }
    }
}

#[get("/panic")]
fn panics() -> Status {
    panic!("on purpose")
}

#[test]
fn a_panicking_handler_returns_500_and_keeps_the_connection() {
    let server = Server::start(rocket::custom(config()).mount("/", routes![panics, plain]));
    let mut wire = server.connect();
    wire.send(get("/panic"));
    assert_eq!(wire.response().status, 500);
    wire.send(get("/plain"));
    assert_eq!(wire.response().text(), "plain");
}
