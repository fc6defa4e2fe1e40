//! The requests whose cost is counted.

use crate::picture::Picture;
use crate::server::Client;

pub struct Requests {
    /// A GET of a cached result.
    pub get: Vec<u8>,
    /// A POST of an upload whose result is cached.
    pub repeat: Vec<u8>,
    /// POSTs of photos of 1 megapixel whose results are not cached.
    pub misses: Vec<Vec<u8>>,
    /// Bytes of the result of `get` and `repeat`.
    pub result: u64,
}

impl Requests {
    /// Also sends each kind once, because what is allocated only once does not count, such as the buffers of a
    /// connection.
    pub fn prepared(client: &mut Client) -> Self {
        let repeat = post(&Picture::png(500, 375, 1));
        let first = client.send(&repeat);
        let result = first.body.len() as u64;
        assert!((250_000..350_000).contains(&result), "{result} bytes");
        let place = first.header("content-location").unwrap();
        let get = format!("GET {place} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();
        let mut misses = (1..=4).map(|seed| post(&Picture::jpeg(1155, 866, seed)));
        for request in [&get, &repeat, &misses.next().unwrap()] {
            assert!(client.send(request).head.starts_with("HTTP/1.1 200 "));
        }
        Self { get, repeat, misses: misses.collect(), result }
    }

    /// Bytes of a repeated upload, with its head.
    pub fn upload(&self) -> u64 {
        self.repeat.len() as u64
    }
}

fn post(picture: &Picture) -> Vec<u8> {
    let head = format!(
        "POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        picture.media_type,
        picture.bytes.len()
    );
    [head.as_bytes(), &picture.bytes].concat()
}
