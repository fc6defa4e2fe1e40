//! Shutdown: no started request is cut off, spending is settled, and stored results survive.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::algorithmia::before_local;
use super::cache::by_fingerprint;
use crate::fakes::algorithmia::{Algorithmia, Behavior};
use crate::harness::server::pixcolor;
use crate::harness::{Picture, Server, Setup};

const CONNECTIONS: usize = 16;

/// The outcome of a request.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// A complete response, and whether its connection stays open.
    Answered { status: u16, stays_open: bool },
    /// The connection was refused.
    Refused,
    /// The connection ended before the first byte of a response.
    NotTaken,
    /// A truncated response.
    Broken(String),
}

/// Sends a request over the given connection or a new one, and reads its response to the end.
fn ask(address: SocketAddr, kept: &mut Option<TcpStream>, picture: &Picture) -> Fate {
    let stream = match kept.take() {
        Some(stream) => Ok(stream),
        None => TcpStream::connect(address),
    };
    let Ok(mut stream) = stream else { return Fate::Refused };
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        picture.media_type,
        picture.bytes.len()
    );
    // A failed write is noticed by the following read.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&picture.bytes));
    let mut answer = Vec::new();
    let mut chunk = [0; 65_536];
    loop {
        if let Some(fate) = whole(&answer) {
            if fate == (Fate::Answered { status: 200, stays_open: true }) {
                *kept = Some(stream);
            }
            return fate;
        }
        match stream.read(&mut chunk) {
            Ok(count) if count > 0 => answer.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ if answer.is_empty() => return Fate::NotTaken,
            end => return Fate::Broken(format!("{end:?} after {} bytes", answer.len())),
        }
    }
}

/// The response, if it is complete.
fn whole(answer: &[u8]) -> Option<Fate> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).unwrap().to_lowercase();
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let length: usize = field("content-length:").unwrap().parse().unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let stays_open = field("connection:") != Some("close");
    (answer.len() == end + 4 + length).then_some(Fate::Answered { status, stays_open })
}

/// Open reservations in the ledger.
fn open_reservations(server: &Server) -> BTreeSet<u64> {
    let ledger = std::fs::read_to_string(server.path(".local/state/pixcolor/ledger")).unwrap();
    let records = ledger.lines().skip(1).map(|line| {
        let (_, json) = line.split_once(' ').unwrap();
        serde_json::from_str::<Value>(json).unwrap()
    });
    let mut open = BTreeSet::new();
    for record in records {
        if let Some(id) = record["reserve"]["id"].as_u64() {
            open.insert(id);
        }
        let ended = record["settle"]["reserve"]["id"].as_u64().or(record["release"]["id"].as_u64());
        ended.map(|id| open.remove(&id));
    }
    open
}

/// The number of colorize requests with this status in the log.
fn logged(said: &str, status: u16) -> usize {
    let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["route"] == "/v1/colorize" && line["status"] == status).count()
}

/// Sixteen clients send requests without pause over persistent connections while the server gets SIGTERM.
fn stopped_under_load(setup: Setup, fake: &Algorithmia) {
    fake.always(Behavior::Slow(Duration::from_millis(150)));
    let mut server = setup.start();
    let (address, answered) = (server.address, Arc::new(AtomicUsize::new(0)));
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CONNECTIONS as u32)
        .map(|client| {
            let (answered, over) = (answered.clone(), over.clone());
            thread::spawn(move || {
                let (mut kept, mut fates, mut number) = (None, Vec::new(), 0);
                while !over.load(Ordering::SeqCst) {
                    // Every second image is the same for all clients.
                    let seed = if number % 2 == 0 { 1_000 * (client + 1) + number } else { number };
                    let fate = ask(address, &mut kept, &Picture::png(96, 64, seed));
                    let ended = fate == Fate::Refused;
                    answered.fetch_add(1, Ordering::SeqCst);
                    fates.push(fate);
                    if ended {
                        break;
                    }
                    number += 1;
                }
                fates
            })
        })
        .collect();
    server.until("answers", |_| answered.load(Ordering::SeqCst) >= 3 * CONNECTIONS);
    let signaled = Instant::now();
    assert_eq!(server.terminate(), Some(0), "{}", server.said());
    let took = signaled.elapsed();
    over.store(true, Ordering::SeqCst);
    let fates: Vec<Fate> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();

    let said = server.said();
    let broken: Vec<_> = fates.iter().filter(|fate| matches!(fate, Fate::Broken(_))).collect();
    assert!(broken.is_empty(), "{broken:?}");
    let of = |status: u16| {
        fates
            .iter()
            .filter(|fate| matches!(fate, Fate::Answered { status: found, .. } if *found == status))
            .count()
    };
    let answers = fates.iter().filter(|fate| matches!(fate, Fate::Answered { .. })).count();
    assert_eq!(of(200), answers, "every response is a picture: {fates:?}");
    // Every response in the log has reached its client.
    assert_eq!(of(200), logged(&said, 200), "{fates:?}\n{said}");
    let closing = |fate: &&Fate| **fate == Fate::Answered { status: 200, stays_open: false };
    assert!(
        fates.iter().filter(closing).count() > 0,
        "no response announced the end of its connection: {fates:?}"
    );
    assert!(took < Duration::from_secs(9), "{took:?}");
    assert!(said.contains("because of SIGTERM"), "{said}");
    assert!(!said.contains("is cut off"), "{said}");
    assert_eq!(open_reservations(&server), BTreeSet::new());

    // Results are still stored after a restart.
    let again = server.start_again();
    let found = again.get(&by_fingerprint(&Picture::png(96, 64, 1_000)));
    assert_eq!(found.status, 200, "{found:?}");
    assert!(found.header("cache-status").contains("hit; detail=disk"), "{found:?}");
    assert_eq!(again.colorize(&Picture::png(96, 64, 1)).header("x-pixcolor-credits"), "0");
}

#[test]
fn shutdown_under_load_answers_settles_and_stores_every_accepted_request() {
    let fake = Algorithmia::start();
    let cached = |setup: Setup| setup.env("PIXCOLOR_CACHE__ENABLED", "true");
    stopped_under_load(cached(before_local(&fake.url(), "")), &fake);
    // The same with a delay in which a load balancer can notice the shutdown.
    let delayed = before_local(&fake.url(), "").env("ROCKET_SHUTDOWN", "{delay=1}");
    stopped_under_load(cached(delayed), &fake);
}

#[test]
fn a_call_longer_than_the_shutdown_period_is_charged_and_settled() {
    let fake = Algorithmia::start();
    let setup = before_local(&fake.url(), "timeout = 60\n").env("ROCKET_SHUTDOWN", "{grace=1, mercy=0}");
    let mut server = setup.start();
    fake.hold(true);
    let address = server.address;
    let client = thread::spawn(move || ask(address, &mut None, &Picture::png(96, 64, 1)));
    server.until("a call", |_| fake.calls() > 0);
    let signaled = Instant::now();
    assert_eq!(server.terminate(), Some(0));
    assert!(signaled.elapsed() < Duration::from_secs(8), "{:?}", signaled.elapsed());
    assert_eq!(client.join().unwrap(), Fate::NotTaken);
    assert!(
        server.said().contains("the shutdown time is over with 1 tasks still running"),
        "{}",
        server.said()
    );
    assert_eq!(open_reservations(&server), BTreeSet::new());
    let usage = server.command(&["usage", "--csv"]);
    let mut rows = usage.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let place = rows.next().unwrap().iter().position(|name| *name == "credits").unwrap();
    assert_eq!(rows.next().unwrap()[place], "60", "{usage}");
}

#[test]
fn during_the_shutdown_delay_requests_succeed_and_readyz_fails() {
    let mut server = Setup::new().env("ROCKET_SHUTDOWN", "{delay=60}").start();
    let ready = server.get("/readyz");
    assert_eq!((ready.status, ready.header("connection")), (200, ""));
    server.signal("TERM");
    server.until("the server is stopping", |server| server.get("/readyz").status == 503);
    let stopping = server.get("/readyz");
    assert_eq!((&stopping.json()["status"], stopping.header("connection")), (&"stopping".into(), "close"));
    let colored = server.colorize(&Picture::png(64, 48, 1));
    assert_eq!((colored.status, colored.header("connection")), (200, "close"));
    assert_eq!(server.get("/healthz").status, 200, "the process is alive");
    // A second signal ends the delay.
    let signaled = Instant::now();
    assert_eq!(server.terminate(), Some(0));
    assert!(signaled.elapsed() < Duration::from_secs(10), "{:?}", signaled.elapsed());
}

/// The behaviour that docs/operations.md describes for a client that connected and sent nothing.
#[test]
fn a_late_upload_is_answered_during_the_delay_and_reset_after_it() {
    let picture = Picture::png(64, 48, 1);
    let mut server = Setup::new().env("ROCKET_SHUTDOWN", "{delay=60}").start();
    let mut idle = Some(TcpStream::connect(server.address).unwrap());
    server.signal("TERM");
    server.until_said("the server stops");
    let fate = ask(server.address, &mut idle, &picture);
    assert_eq!(fate, Fate::Answered { status: 200, stays_open: false });
    assert_eq!(server.terminate(), Some(0));

    let mut server = Setup::new().start();
    let mut idle = Some(TcpStream::connect(server.address).unwrap());
    assert_eq!(
        server.get("/healthz").status,
        200,
        "the server has accepted the idle connection before this one"
    );
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(ask(server.address, &mut idle, &picture), Fate::NotTaken);
    assert_eq!(ask(server.address, &mut None, &picture), Fate::Refused);
}

#[test]
fn an_idle_server_stops_at_once() {
    let mut server = Setup::new().start();
    let signaled = Instant::now();
    assert_eq!(server.terminate(), Some(0));
    assert!(signaled.elapsed() < Duration::from_secs(4), "{:?}", signaled.elapsed());
    assert!(server.said().contains("has stopped"), "{}", server.said());
}

#[test]
fn signals_are_handled_as_soon_as_the_server_reports_its_address() {
    for signal in ["TERM", "INT"] {
        for _ in 0..10 {
            let mut server = Setup::new().start();
            server.signal(signal);
            assert_eq!(server.child.wait().unwrap().code(), Some(0), "SIG{signal}");
        }
    }
}

/// The first server runs in a terminal that closes. The second has no terminal and gets SIGHUP.
#[test]
fn sighup_stops_a_server_with_a_terminal_and_reloads_one_without() {
    const TERMINAL: &str = r#"
import os, pty, sys, time
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], [sys.argv[1]])
said = b""
while b"Stop it with" not in said:
    said += os.read(terminal, 4096)
os.close(terminal)
end = time.time() + 20
while time.time() < end:
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        sys.exit(0 if status == 0 else f"the server ended with {status}")
    time.sleep(0.05)
os.kill(child, 9)
sys.exit("the server still runs")
"#;
    let folder = tempfile::tempdir().unwrap();
    let template = pixcolor(folder.path());
    let mut python = Command::new("python3");
    python.args(["-c", TERMINAL]).arg(template.get_program()).current_dir(folder.path());
    for (name, value) in template.get_envs() {
        match value {
            Some(value) => python.env(name, value),
            None => python.env_remove(name),
        };
    }
    let output = python.env("ROCKET_PORT", "0").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let server = Setup::new().start();
    server.signal("HUP");
    server.until_said("read again");
    assert_eq!(server.get("/healthz").status, 200);
}
