//! Bodies that are not images, are too large or are truncated: the client gets a clear problem.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::harness::{Picture, Server, Setup};

fn small_limit() -> Server {
    Setup::new().env("PIXCOLOR_LIMITS__UPLOAD_BYTES", "100000").start()
}

#[test]
fn the_size_limit_counts_the_image_bytes_in_every_body_format() {
    let server = small_limit();
    let fits = Picture { bytes: vec![b'x'; 100_000], media_type: "image/png" };
    let over = Picture { bytes: vec![b'x'; 100_001], media_type: "image/png" };
    for (picture, status) in [(&fits, 415), (&over, 413)] {
        server.colorize(picture).problem(status);
        let (form, body) = picture.multipart(&[]);
        server.post("/v1/colorize", &[("Content-Type", &form)], &body).problem(status);
        let json = serde_json::json!({ "image": picture.data_url() }).to_string();
        server.post("/v1/colorize", &[("Content-Type", "application/json")], json.as_bytes()).problem(status);
        server.post("/image", &[], picture.data_url().as_bytes()).problem(status);
    }
}

#[test]
fn an_ordinary_client_reads_the_413_even_if_it_sends_everything_first() {
    let server = Server::start();
    let body = vec![0; 40 << 20];
    let problem = server.post("/v1/colorize", &[("Content-Type", "image/png")], &body).problem(413);
    assert!(problem["detail"].as_str().unwrap().contains("20.0 MiB"), "{problem}");
    // Without a length, the limit is reached while reading.
    let mut stream =
        server.raw(b"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [b"100000\r\n".as_slice(), &vec![0; 1 << 20], b"\r\n"].concat();
    for _ in 0..30 {
        stream.write_all(&chunk).expect("the server continues to read");
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[test]
fn an_endless_body_is_cut_off_and_the_connection_closed() {
    let server = small_limit();
    let mut stream =
        server.raw(b"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [b"100000\r\n".as_slice(), &vec![0; 1 << 20], b"\r\n"].concat();
    let mut sent = 0;
    while stream.write_all(&chunk).is_ok() {
        sent += 1;
        assert!(sent < 1_000, "the server does not stop an endless body");
    }
}

#[test]
fn a_stalled_body_does_not_block_the_server() {
    let server = Setup::new().env("PIXCOLOR_LIMITS__REQUEST_SECONDS", "1").start();
    let start = Instant::now();
    let head =
        b"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n0123456789abcdef";
    let mut stream = server.raw(head);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(start.elapsed() < Duration::from_secs(20));
    // A client that closes its connection before the body is complete.
    drop(server.raw(head));
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn a_file_that_is_not_an_image_is_rejected_with_a_reason() {
    let server = Server::start();
    let jpeg = Picture::jpeg(64, 64, 1).bytes;
    for (content_type, body, status) in [
        ("image/png", b"".as_slice(), 415),
        ("image/png", b"hello", 415),
        ("image/jpeg", b"%PDF-1.7 nothing to see", 415),
        ("image/jpeg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        // Truncated within its tables: no pixel is readable.
        ("image/jpeg", &jpeg[..150], 422),
        ("application/x-www-form-urlencoded", b"image=x", 415),
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", br#"{"image": "hello"}"#, 400),
        ("application/json", br#"{"image": "data:image/png;base64,"}"#, 415),
        ("application/json", br#"{"image": "data:image/png;base64,aGVsbG8="}"#, 415),
        ("application/json", br#"{"picture": "data:image/png;base64,aGVsbG8="}"#, 400),
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=b", b"x", 400),
        ("multipart/form-data; boundary=b", b"--b--\r\n", 400),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data; name=\"photo\"\r\n\r\nx\r\n--b--\r\n",
            400,
        ),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"\"\r\n\r\n\r\n--b--\r\n",
            415,
        ),
    ] {
        let answer = server.post("/v1/colorize", &[("Content-Type", content_type)], body);
        assert_eq!(answer.status, status, "{content_type} {:?}: {answer:?}", String::from_utf8_lossy(body));
        answer.problem(status);
    }
    let problem = server.post("/v1/colorize", &[("Content-Type", "image/heic")], b"hello").problem(415);
    for format in ["JPEG", "PNG", "WebP", "TIFF", "BMP", "GIF"] {
        assert!(problem["detail"].as_str().unwrap().contains(format), "{problem}");
    }
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn an_image_with_too_many_pixels_is_rejected_by_its_header() {
    let server = Setup::new().env("PIXCOLOR_LIMITS__PIXELS", "10000").start();
    assert_eq!(server.colorize(&Picture::png(100, 100, 1)).status, 200);
    let problem = server.colorize(&Picture::png(101, 100, 1)).problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("101"), "{problem}");
}

/// Sends a chunked form until the server stops reading; returns the status line and how much was sent, in MB.
fn endless_form(server: &Server, path: &str, begin: &[u8], more: &[u8]) -> (String, usize) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\
         Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    );
    let mut stream = server.raw(head.as_bytes());
    let chunk = |body: &[u8]| [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat();
    let mut answer = stream.try_clone().unwrap();
    // Reads the response while sending, because it arrives before the connection closes.
    let answer = std::thread::spawn(move || {
        let mut line = Vec::new();
        let mut byte = [0];
        while line.last() != Some(&b'\r') && answer.read(&mut byte).is_ok_and(|read| read == 1) {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    });
    let (more, mut sent) = (chunk(&more.repeat((1 << 20) / more.len())), 0);
    let mut going = stream.write_all(&chunk(begin)).is_ok();
    while going {
        assert!(sent < 1_000, "the server does not stop an endless form");
        going = stream.write_all(&more).is_ok();
        sent += 1;
    }
    (answer.join().unwrap(), sent)
}

#[test]
fn an_endless_form_is_rejected_and_not_buffered() {
    let server = Server::start();
    let part: &[u8] = b"--b\r\nContent-Disposition: form-data; name=\"format\"\r\n\r\npng\r\n";
    let header: &[u8] = b"--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"";
    server.get("/healthz");
    let before = server.peak();
    for path in ["/v1/colorize", "/v1/estimate", "/"] {
        for (name, begin, more) in [
            ("header", header, b"a".as_slice()),
            ("preamble", b"a", b"-"),
            ("fields", part, part),
            ("padding", b"--b", b" "),
            ("headers", b"--b\r\n", b"A: b\r\n"),
            ("picture", b"--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n", b"\r\n--"),
        ] {
            let start = Instant::now();
            let (status, sent) = endless_form(&server, path, begin, more);
            let expected = if name == "picture" { "HTTP/1.1 413" } else { "HTTP/1.1 400" };
            assert!(status.starts_with(expected), "{name} to {path}: {status}");
            let took = start.elapsed();
            assert!(took < Duration::from_secs(30), "{name} to {path}: {took:?} for {sent} MB");
        }
    }
    // An image is buffered until it exceeds 20 MiB, in a buffer that doubles its size when it is full.
    let grown = server.peak() - before;
    assert!(grown < 80, "{grown} MB");
}

#[test]
fn a_form_of_a_thousand_fields_is_rejected() {
    let server = Server::start();
    for count in [10, 1_000] {
        let (form, body) = Picture::png(32, 24, 1).multipart(&vec![("format", "png"); count]);
        let answer = server.post("/v1/colorize", &[("Content-Type", &form)], &body);
        if count == 10 {
            answer.picture();
        } else {
            assert!(answer.problem(400)["detail"].as_str().unwrap().contains("more than 24 fields"));
        }
    }
}
