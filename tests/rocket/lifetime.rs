//! How long connections and handlers live, and what ends them.

use std::net::TcpStream;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rocket::config::Shutdown as ShutdownConfig;
use rocket::{Config, State, get, routes};
use tokio::sync::Notify;

use crate::wire::{A_WHILE, PATIENCE, Server, Wire, config, get};

#[get("/plain")]
fn plain() -> &'static str {
    "plain"
}

/// What a test sees of the handler `/wait`, and how it lets it go on.
#[derive(Clone)]
struct Gate {
    tell: mpsc::SyncSender<&'static str>,
    open: Arc<Notify>,
}

impl Gate {
    /// A closed gate, and what its handler tells.
    fn new() -> (Self, mpsc::Receiver<&'static str>) {
        let (tell, told) = mpsc::sync_channel(9);
        (Self { tell, open: Arc::default() }, told)
    }
}

#[get("/wait")]
async fn wait(gate: &State<Gate>) -> &'static str {
    gate.tell.send("began").unwrap();
    gate.open.notified().await;
    // Not every test listens to its end.
    gate.tell.send("ended").ok();
    "waited"
}

#[test]
fn half_a_header_and_an_idle_connection_are_waited_for_without_end() {
    let config = Config { keep_alive: 1, ..config() };
    let server = Server::start(rocket::custom(config).mount("/", routes![plain]));
    let mut wire = server.connect();
    wire.send("GET /plain HTTP/1.1\r\nHo");
    assert!(wire.is_quiet_for(Duration::from_secs(3)), "a header time-out of three seconds or less");
    wire.send("st: test\r\n\r\n");
    assert_eq!(wire.answer().text(), "plain");
    assert!(wire.is_quiet_for(Duration::from_secs(3)), "keep_alive is on or off, not a time");
    wire.send(get("/plain"));
    assert_eq!(wire.answer().text(), "plain");
}

#[test]
fn keep_alive_0_closes_after_each_answer() {
    let config = Config { keep_alive: 0, ..config() };
    let server = Server::start(rocket::custom(config).mount("/", routes![plain]));
    let mut wire = server.connect();
    wire.send(get("/plain"));
    assert_eq!(wire.answer().header("connection"), Some("close"));
    assert!(wire.is_closed());
}

#[test]
fn a_handler_runs_on_to_its_end_when_its_client_has_gone() {
    let (gate, told) = Gate::new();
    let server = Server::start(rocket::custom(config()).manage(gate.clone()).mount("/", routes![wait]));
    let mut wire = server.connect();
    wire.send(get("/wait"));
    assert_eq!(told.recv_timeout(PATIENCE), Ok("began"));
    drop(wire);
    assert!(told.recv_timeout(A_WHILE).is_err());
    gate.open.notify_one();
    assert_eq!(told.recv_timeout(PATIENCE), Ok("ended"));
}

#[test]
fn a_client_that_closes_its_sending_half_gets_no_answer_though_its_handler_runs() {
    let (gate, told) = Gate::new();
    let server = Server::start(rocket::custom(config()).manage(gate.clone()).mount("/", routes![wait]));
    let mut wire = server.connect();
    wire.send(get("/wait"));
    assert_eq!(told.recv_timeout(PATIENCE), Ok("began"));
    wire.half_close();
    assert!(wire.is_closed());
    gate.open.notify_one();
    assert_eq!(told.recv_timeout(PATIENCE), Ok("ended"));
}

/// Starts `/wait`, lets the server settle and tells it to stop.
///
/// Without the settling, a stop in the very moment of an accept can make `launch` return an error at
/// once, grace or not: it then sees its accept loop end before it sees the shutdown.
fn stopping_while_waiting(grace: u32, mercy: u32) -> (Server, Wire, Gate) {
    let (gate, told) = Gate::new();
    let shutdown = ShutdownConfig { grace, mercy, ..config().shutdown };
    let rocket = rocket::custom(Config { shutdown, ..config() }).manage(gate.clone());
    let server = Server::start(rocket.mount("/", routes![wait]));
    let mut wire = server.connect();
    wire.send(get("/wait"));
    assert_eq!(told.recv_timeout(PATIENCE), Ok("began"));
    assert!(wire.is_quiet_for(A_WHILE));
    server.shutdown.clone().notify();
    (server, wire, gate)
}

#[test]
fn a_handler_that_outlives_grace_and_mercy_loses_its_client_and_makes_launch_an_error() {
    let (server, mut wire, _gate) = stopping_while_waiting(1, 1);
    assert!(wire.is_closed());
    assert!(server.end().is_err());
}

#[test]
fn a_handler_that_ends_within_grace_answers_and_all_of_grace_is_waited_nonetheless() {
    let (server, mut wire, gate) = stopping_while_waiting(3, 1);
    let stopped = Instant::now();
    assert!(wire.is_quiet_for(A_WHILE));
    gate.open.notify_one();
    assert_eq!(wire.answer().text(), "waited");
    assert_eq!(server.end(), Ok(()));
    assert!(stopped.elapsed() > Duration::from_secs(2));
}

#[test]
fn new_connections_are_refused_as_soon_as_a_stop_is_asked_for() {
    let (server, mut wire, gate) = stopping_while_waiting(3, 1);
    assert!(wire.is_quiet_for(A_WHILE));
    assert!(TcpStream::connect(server.address).is_err());
    gate.open.notify_one();
}

#[test]
fn the_defaults_are_two_seconds_of_grace_three_of_mercy_and_keep_alive_on() {
    let config = Config::release_default();
    assert_eq!((config.shutdown.grace, config.shutdown.mercy, config.keep_alive), (2, 3, 5));
}
