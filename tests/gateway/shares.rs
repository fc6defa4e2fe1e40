//! Bounds on what is had at once, for each client and for all.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::addresses::behind_proxy;
use super::quota::read_head;
use crate::harness::{Answer, Picture, Server};

/// A request whose upload of this many bytes has begun and goes no further.
fn begun(server: &Server, from: &str, bytes: usize) -> TcpStream {
    let mut stream = server.raw(
        format!(
            "POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {from}\r\nContent-Length: {bytes}\r\n\r\n"
        )
        .as_bytes(),
    );
    stream.write_all(&[0; 1_000]).unwrap();
    stream
}

#[test]
fn uploads_in_progress_are_bounded_for_each_client_and_for_all_and_others_are_told_at_once() {
    let server = behind_proxy(&[])
        .env("PIXCOLOR_LIMITS__UPLOAD_BYTES", "1 MiB")
        .env("PIXCOLOR_LIMITS__UPLOAD_MEMORY", "3 MiB")
        .env("PIXCOLOR_LIMITS__UPLOAD_SPEED", "0")
        .env("PIXCOLOR_QUOTA__CLIENT_UPLOAD_MEMORY", "2 MiB")
        .start();
    let upload = |from: &str| {
        let picture = Picture { bytes: vec![7; 1 << 20], media_type: "image/png" };
        let start = Instant::now();
        let answer = server.post("/v1/colorize", &[("X-Forwarded-For", from)], &picture.bytes);
        (answer, start.elapsed())
    };
    #[track_caller]
    fn refused((answer, took): (Answer, Duration)) {
        answer.problem(503);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
        assert!(took < Duration::from_secs(20), "{took:?}");
    }
    let one = begun(&server, "203.0.113.1", 1 << 20);
    let two = begun(&server, "203.0.113.1", 1 << 20);
    server.until_in_flight(2);
    refused(upload("203.0.113.1"));
    assert_eq!(upload("203.0.113.2").0.status, 415);
    let three = begun(&server, "203.0.113.3", 1 << 20);
    server.until_in_flight(3);
    refused(upload("203.0.113.2"));
    // Who leaves makes room.
    drop((one, two, three));
    let end = Instant::now() + Duration::from_secs(20);
    while upload("203.0.113.1").0.status == 503 {
        assert!(Instant::now() < end, "the room of uploads that broke off is never free again");
        std::thread::sleep(Duration::from_millis(50));
    }
    for bound in ["client_upload_memory", "upload_memory"] {
        assert!(server.metric(&format!("pixcolor_concurrency_refusals_total{{bound=\"{bound}\"}}")) > 0.9);
    }
}

#[test]
fn uploads_that_hardly_move_get_408_and_hold_nobodys_room() {
    let server = behind_proxy(&[])
        .env("PIXCOLOR_LIMITS__UPLOAD_BYTES", "1 MiB")
        .env("PIXCOLOR_LIMITS__UPLOAD_MEMORY", "2 MiB")
        .env("PIXCOLOR_LIMITS__UPLOAD_GRACE_SECONDS", "1")
        .env("PIXCOLOR_LIMITS__UPLOAD_SPEED", "1 KiB")
        .start();
    let start = Instant::now();
    // Together they have all the room: one stops, one sends a byte now and then.
    let (mut stops, mut dribbles) =
        (begun(&server, "203.0.113.1", 1 << 20), begun(&server, "203.0.113.2", 1 << 20));
    let mut drops = dribbles.try_clone().unwrap();
    std::thread::spawn(move || {
        while drops.write_all(&[0]).is_ok() {
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    let mut answer = String::new();
    stops.read_to_string(&mut answer).unwrap();
    let lower = answer.to_ascii_lowercase();
    assert!(answer.starts_with("HTTP/1.1 408") && lower.contains("connection: close"), "{answer}");
    assert!(answer.contains("urn:pixcolor:problem:request-timeout"), "{answer}");
    assert!(answer.contains("arrives too slowly: 1000 bytes in 1 seconds"), "{answer}");
    assert!(read_head(&mut dribbles).starts_with("HTTP/1.1 408"));
    // The rest is for a slow machine: a request may last two minutes.
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    // Who takes long but moves is waited for.
    let size = 32 << 10;
    let mut steady = begun(&server, "203.0.113.3", size + 1_000);
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(250));
        steady.write_all(&vec![0; size / 8]).unwrap();
    }
    assert!(read_head(&mut steady).starts_with("HTTP/1.1 415"));
}

#[test]
fn one_client_cannot_have_all_that_is_decoded_and_others_get_their_turn() {
    let server = behind_proxy(&[])
        .env("PIXCOLOR_LIMITS__PIXELS", "4000000")
        .env("PIXCOLOR_LIMITS__DECODING_PIXELS", "4000000")
        .env("PIXCOLOR_QUOTA__CLIENT_DECODING_PIXELS", "8000000")
        .start();
    let pictures: Vec<_> = (0..9).map(|seed| Picture::png(2000, 2000, seed)).collect();
    let (server, pictures) = (&server, &pictures);
    let colorize = move |from: &str, index: usize| {
        server.post("/v1/colorize", &[("X-Forwarded-For", from)], &pictures[index].bytes)
    };
    let (greedy, other) = std::thread::scope(|scope| {
        let asking: Vec<_> =
            (0..8).map(|index| scope.spawn(move || colorize("203.0.113.1", index))).collect();
        std::thread::sleep(Duration::from_millis(100));
        let other = scope.spawn(move || colorize("203.0.113.2", 8));
        (asking.into_iter().map(|asked| asked.join().unwrap()).collect::<Vec<_>>(), other.join().unwrap())
    });
    other.picture();
    let served = greedy.iter().filter(|answer| answer.status == 200).count();
    assert!((2..8).contains(&served), "{served}");
    for answer in greedy.iter().filter(|answer| answer.status != 200) {
        answer.problem(503);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    }
}
