//! Hostile files over HTTP: each is rejected with a reason or answered with an image, none takes much memory or time,
//! and the server continues unharmed.

use crate::corpus::{Becomes, corpus};
use crate::harness::{Picture, Server};
use crate::make::{small_jpeg, small_png, small_webp};

/// The most memory, in MB, that the whole corpus may add to the server. This includes entries in the memory cache and
/// free buffers of the allocator.
const MEMORY: u64 = 64;

/// The most processor time of the server for a file, in seconds: the average, and the maximum. Decoding alone takes up
/// to 50 ms, and longer on a slow machine that runs other tests at the same time.
const TIME_EACH: f64 = 0.1;
const TIME_ONE: f64 = 1.0;

/// The processor time that a server has used, in seconds (proc(5): fields 14 and 15, in hundredths).
fn processor(server: &Server) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.child.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    [11, 12].iter().map(|&at| fields[at].parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

fn send(server: &Server, bytes: &[u8]) -> crate::harness::Answer {
    server.post("/v1/colorize", &[("Content-Type", "application/octet-stream")], bytes)
}

#[test]
fn hostile_files_are_rejected_with_a_reason_and_the_server_continues() {
    let server = Server::start();
    // Makes one-time allocations first, such as those of the built-in network, because they must not count.
    for bytes in [small_png(), small_jpeg(), small_webp(false).0, Picture::png(64, 48, 9).bytes] {
        send(&server, &bytes).picture();
    }
    std::fs::write(format!("/proc/{}/clear_refs", server.child.id()), "5").unwrap();
    let before = (server.peak(), processor(&server));

    let corpus = corpus();
    let mut over_limit = Vec::new();
    for (name, bytes, becomes) in &corpus {
        let start = processor(&server);
        let answer = send(&server, bytes);
        let took = processor(&server) - start;
        if took > TIME_ONE {
            over_limit.push(format!("{name}: {took} s"));
        }
        let status = match becomes {
            Becomes::Picture(..) | Becomes::Damaged(..) => 200,
            Becomes::Unsupported => 415,
            Becomes::TooMany | Becomes::Broken => 422,
        };
        assert_eq!(answer.status, status, "{name}: {}", String::from_utf8_lossy(&answer.body));
        match becomes {
            Becomes::Picture(width, height) | Becomes::Damaged(width, height) => {
                let is_damaged = matches!(becomes, Becomes::Damaged(..));
                assert_eq!(
                    answer.header("x-pixcolor-warning"),
                    if is_damaged { "damaged" } else { "" },
                    "{name}"
                );
                let picture = answer.picture();
                assert_eq!((picture.width(), picture.height()), (*width, *height), "{name}");
            }
            _ => {
                let detail = answer.problem(status)["detail"].as_str().unwrap().to_owned();
                assert!(detail.len() > 20 && detail.ends_with('.'), "{name}: {detail}");
            }
        }
    }
    let (memory, time) = (server.peak() - before.0, processor(&server) - before.1);
    println!("{} files: {memory} MB and {time} s more", corpus.len());
    assert!(over_limit.is_empty(), "{}", over_limit.join("\n"));
    assert!(memory < MEMORY, "{memory} MB");
    assert!(time < TIME_EACH * corpus.len() as f64, "{time} s");

    // This file is larger than the limit for uploads.
    send(&server, &vec![0xFF; 21 << 20]).problem(413);
    let answer = server.colorize(&Picture::png(96, 64, 1));
    assert_eq!(answer.header("x-pixcolor-provider"), "local");
    answer.picture();
}
