//! A request allocates no more than it did when its figures were stored, so a new copy of an upload or of a result
//! makes a test fail: a copy needs memory.
//!
//! The bytes are the sizes of all blocks that the process allocates during a request. A block that grows counts again
//! with its whole new size, because growing may copy it. Log lines do not count, because the test has no log.

use std::fmt::Write;
use std::path::Path;

use crate::requests::Requests;
use crate::server::{Client, Server};
use crate::wait::until;

/// How much more than a stored figure a request may allocate, in percent.
const TOLERANCE: u64 = 10;

/// What a request allocates at least: the requests of a kind differ a little, because data arrives in other pieces.
#[derive(Clone, Copy, Debug)]
struct Count {
    blocks: u64,
    bytes: u64,
}

// Stored figures, of x86-64. A run prints the figures that it measures. A response may need one buffer of 128 KiB less,
// and an upload one of 96 kB less, because that depends on how the kernel divides the data.
const GET_HIT: Count = Count { blocks: 117, bytes: 418_382 };
const POST_REPEAT: Count = Count { blocks: 204, bytes: 524_377 };
const POST_MISS: Count = Count { blocks: 1_014, bytes: 7_865_548 };

/// The counts so far, once the server is idle: a request may be accounted for after its response.
fn settled() -> dhat::HeapStats {
    let mut last = dhat::HeapStats::get();
    // The first pauses of `until` are short, so several equal counts in a row are required.
    let mut equal = 0;
    until("the server is idle", || {
        let now = dhat::HeapStats::get();
        equal = if now == last { equal + 1 } else { 0 };
        last = now;
        equal == 20
    });
    dhat::HeapStats::get()
}

/// Sends requests, and returns the least that one of them allocates.
fn counted<'a>(client: &mut Client, requests: impl Iterator<Item = &'a [u8]>, status: &str) -> Count {
    let mut least = Count { blocks: u64::MAX, bytes: u64::MAX };
    for request in requests {
        let before = settled();
        let response = client.send(request);
        let cache = response.header("cache-status").unwrap_or_default();
        assert!(response.head.starts_with("HTTP/1.1 200 ") && cache.contains(status), "{}", response.head);
        let after = settled();
        least.blocks = least.blocks.min(after.total_blocks - before.total_blocks);
        least.bytes = least.bytes.min(after.total_bytes - before.total_bytes);
    }
    least
}

#[test]
fn a_request_allocates_no_more_than_its_stored_figures() {
    // If a count is too high, this file says where the blocks were allocated: https://nnethercote.github.io/dh_view.
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dhat-heap.json");
    let server = Server::start();
    let mut client = Client::new(&server);

    let requests = Requests::prepared(&mut client);

    let _profiler = dhat::Profiler::builder().testing().file_name(&file).trim_backtraces(Some(40)).build();
    let again = |request| std::iter::repeat_n(request, 10);
    let hit = counted(&mut client, again(&requests.get[..]), "hit");
    let repeat = counted(&mut client, again(&requests.repeat[..]), "hit");
    let miss = counted(&mut client, requests.misses.iter().map(|request| &request[..]), "miss");

    let mut wrong = String::new();
    let (upload, result) = (requests.upload(), requests.result);
    let cases = [
        ("GET of a cached result", hit, GET_HIT),
        ("POST of a repeated upload", repeat, POST_REPEAT),
        ("POST of a new photo of 1 megapixel", miss, POST_MISS),
    ];
    println!("the upload has {upload} bytes, its result {result}");
    for (what, measured, stored) in cases {
        println!("{what}: {} blocks, {} bytes", measured.blocks, measured.bytes);
        let within = |measured: u64, stored: u64| measured <= stored + stored * TOLERANCE / 100;
        if !within(measured.blocks, stored.blocks) || !within(measured.bytes, stored.bytes) {
            writeln!(wrong, "{what}: {measured:?}, more than {TOLERANCE} % above {stored:?}").unwrap();
        }
    }
    dhat::assert!(wrong.is_empty(), "{wrong}{} says where", file.display());
}
