//! Shares of concurrent resources, for each client and in total.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::addresses::behind_proxy;
use super::quota::read_head;
use crate::harness::{Answer, Picture, Server, Setup};

/// A request whose upload of this many bytes stops after `sent` of them.
fn begun(server: &Server, from: &str, bytes: usize, sent: usize) -> TcpStream {
    let mut stream = server.raw(
        format!(
            "POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {from}\r\nContent-Length: {bytes}\r\n\r\n"
        )
        .as_bytes(),
    );
    stream.write_all(&vec![0; sent]).unwrap();
    stream
}

#[test]
fn concurrent_uploads_are_limited_per_client_and_in_total() {
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
    let all_but_one = (1 << 20) - 1;
    let one = begun(&server, "203.0.113.1", 1 << 20, all_but_one);
    let two = begun(&server, "203.0.113.1", 1 << 20, all_but_one);
    server.until_in_flight(2);
    refused(upload("203.0.113.1"));
    assert_eq!(upload("203.0.113.2").0.status, 415);
    let three = begun(&server, "203.0.113.3", 1 << 20, all_but_one);
    server.until_in_flight(3);
    refused(upload("203.0.113.2"));
    // A client that disconnects frees its share.
    drop((one, two, three));
    server.until("the shares of aborted uploads are free", |_| upload("203.0.113.1").0.status != 503);
    for bound in ["client_upload_memory", "upload_memory"] {
        assert!(server.metric(&format!("pixcolor_concurrency_refusals_total{{bound=\"{bound}\"}}")) > 0.9);
    }
}

#[test]
fn slow_uploads_get_408() {
    let server = behind_proxy(&[])
        .env("PIXCOLOR_LIMITS__UPLOAD_BYTES", "1 MiB")
        .env("PIXCOLOR_LIMITS__UPLOAD_MEMORY", "2 MiB")
        .env("PIXCOLOR_LIMITS__UPLOAD_GRACE_SECONDS", "1")
        .env("PIXCOLOR_LIMITS__UPLOAD_SPEED", "1 KiB")
        .start();
    let start = Instant::now();
    // One client stops sending. The other sends one byte every half second.
    let (mut stops, mut dribbles) =
        (begun(&server, "203.0.113.1", 1 << 20, 1_000), begun(&server, "203.0.113.2", 1 << 20, 1_000));
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
    assert!(answer.contains("is too slow: 1000 bytes in 1 seconds"), "{answer}");
    assert!(read_head(&mut dribbles).starts_with("HTTP/1.1 408"));
    // Without the minimum speed, both requests would last two minutes. The bound leaves a margin for a slow machine.
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    // An upload above the minimum speed is not aborted.
    let size = 32 << 10;
    let mut steady = begun(&server, "203.0.113.3", size + 1_000, 1_000);
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(250));
        steady.write_all(&vec![0; size / 8]).unwrap();
    }
    assert!(read_head(&mut steady).starts_with("HTTP/1.1 415"));
}

/// Opens ten connections from each address. Each announces 20 MiB, sends 23 bytes, waits for the response, and is
/// opened again, until `stop`. Returns the number of 408 responses.
fn promise_much(server: &Server, addresses: std::ops::Range<u8>, stop: &AtomicBool) -> usize {
    let head = b"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20971520\r\n\r\n";
    let open = |address: u8| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 1, address], 0)).into()).unwrap();
        socket.connect(&server.address.into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        stream.write_all(head).unwrap();
        stream.write_all(&[0xff; 23]).unwrap();
        stream
    };
    let mut sockets: Vec<_> =
        addresses.flat_map(|address| std::iter::repeat_n(address, 10)).map(|it| (it, open(it))).collect();
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        for (address, stream) in &mut sockets {
            let mut answer = [0; 64];
            match stream.read(&mut answer) {
                Ok(count) => {
                    answered += usize::from(answer[..count].starts_with(b"HTTP/1.1 408"));
                    *stream = open(*address);
                }
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}")
                }
            }
        }
    }
    answered
}

#[test]
fn clients_that_announce_much_and_send_little_block_no_others() {
    let server = Setup::new().env("PIXCOLOR_LIMITS__UPLOAD_GRACE_SECONDS", "2").start();
    let (stop, server) = (AtomicBool::new(false), &server);
    let answered = std::thread::scope(|scope| {
        let attack = scope.spawn(|| promise_much(server, 1..21, &stop));
        server.until_in_flight(150);
        let picture = Picture::jpeg(1600, 1200, 1);
        let honest: Vec<_> = (0..40).map(|_| server.colorize(&picture).status).collect();
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            assert_eq!(server.colorize(&picture).status, 200);
        }
        stop.store(true, Ordering::Relaxed);
        assert_eq!(honest, [200; 40]);
        attack.join().unwrap()
    });
    assert!(answered > 100, "the connections were opened again only {answered} times");
    assert!(server.metric("pixcolor_concurrency_refusals_total{bound=\"upload_memory\"}") < 0.5);
}

#[test]
fn one_client_cannot_occupy_the_whole_decoder_queue() {
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
