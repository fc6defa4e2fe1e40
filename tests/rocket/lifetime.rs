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

/// Lets a test observe the handler `/wait` and release it.
#[derive(Clone)]
struct Gate {
    sender: mpsc::SyncSender<&'static str>,
    open: Arc<Notify>,
}

impl Gate {
    /// A closed gate and the receiver of its handler's events.
    fn new() -> (Self, mpsc::Receiver<&'static str>) {
        let (sender, events) = mpsc::sync_channel(9);
        (Self { sender, open: Arc::default() }, events)
    }
}

#[get("/wait")]
async fn wait(gate: &State<Gate>) -> &'static str {
    gate.sender.send("began").unwrap();
    gate.open.notified().await;
    // Some tests drop the receiver before the handler ends.
    gate.sender.send("ended").ok();
    "waited"
}

#[test]
fn incomplete_headers_and_idle_connections_have_no_time_out() {
    let config = Config { keep_alive: 1, ..config() };
    let server = Server::start(rocket::custom(config).mount("/", routes![plain]));
    let mut wire = server.connect();
    wire.send("GET /plain HTTP/1.1\r\nHo");
    assert!(wire.is_quiet_for(Duration::from_secs(3)), "a header time-out of three seconds or less");
    wire.send("st: test\r\n\r\n");
    assert_eq!(wire.response().text(), "plain");
    assert!(wire.is_quiet_for(Duration::from_secs(3)), "keep_alive is on or off, not a time");
    wire.send(get("/plain"));
    assert_eq!(wire.response().text(), "plain");
}

#[test]
fn keep_alive_0_closes_after_each_response() {
    let config = Config { keep_alive: 0, ..config() };
    let server = Server::start(rocket::custom(config).mount("/", routes![plain]));
    let mut wire = server.connect();
    wire.send(get("/plain"));
    assert_eq!(wire.response().header("connection"), Some("close"));
    assert!(wire.is_closed());
}

#[test]
fn a_handler_runs_to_its_end_after_its_client_has_left() {
    let (gate, events) = Gate::new();
    let server = Server::start(rocket::custom(config()).manage(gate.clone()).mount("/", routes![wait]));
    let mut wire = server.connect();
    wire.send(get("/wait"));
    assert_eq!(events.recv_timeout(PATIENCE), Ok("began"));
    drop(wire);
    assert!(events.recv_timeout(A_WHILE).is_err());
    gate.open.notify_one();
    assert_eq!(events.recv_timeout(PATIENCE), Ok("ended"));
}

#[test]
fn a_half_closed_client_gets_no_response() {
    let (gate, events) = Gate::new();
    let server = Server::start(rocket::custom(config()).manage(gate.clone()).mount("/", routes![wait]));
    let mut wire = server.connect();
    wire.send(get("/wait"));
    assert_eq!(events.recv_timeout(PATIENCE), Ok("began"));
    wire.half_close();
    assert!(wire.is_closed());
    gate.open.notify_one();
    assert_eq!(events.recv_timeout(PATIENCE), Ok("ended"));
}

/// Starts `/wait`, waits until the server has settled, and requests shutdown.
///
/// A shutdown during an accept can make `launch` return an error at once, because Rocket then sees its accept loop end
/// before it sees the shutdown. Waiting avoids that race.
fn stopping_while_waiting(grace: u32, mercy: u32) -> (Server, Wire, Gate) {
    let (gate, events) = Gate::new();
    let shutdown = ShutdownConfig { grace, mercy, ..config().shutdown };
    let rocket = rocket::custom(Config { shutdown, ..config() }).manage(gate.clone());
    let server = Server::start(rocket.mount("/", routes![wait]));
    let mut wire = server.connect();
    wire.send(get("/wait"));
    assert_eq!(events.recv_timeout(PATIENCE), Ok("began"));
    assert!(wire.is_quiet_for(A_WHILE));
    server.shutdown.clone().notify();
    (server, wire, gate)
}

#[test]
fn a_handler_longer_than_grace_and_mercy_loses_its_client_and_launch_fails() {
    let (server, mut wire, _gate) = stopping_while_waiting(1, 1);
    assert!(wire.is_closed());
    assert!(server.end().is_err());
}

#[test]
fn shutdown_waits_for_the_whole_grace_period_even_if_the_handler_ends_early() {
    let (server, mut wire, gate) = stopping_while_waiting(3, 1);
    let stopped = Instant::now();
    assert!(wire.is_quiet_for(A_WHILE));
    gate.open.notify_one();
    assert_eq!(wire.response().text(), "waited");
    assert_eq!(server.end(), Ok(()));
    assert!(stopped.elapsed() > Duration::from_secs(2));
}

#[test]
fn shutdown_refuses_new_connections_at_once() {
    let (server, mut wire, gate) = stopping_while_waiting(3, 1);
    assert!(wire.is_quiet_for(A_WHILE));
    assert!(TcpStream::connect(server.address).is_err());
    gate.open.notify_one();
}

#[test]
fn the_defaults_are_2_s_of_grace_3_s_of_mercy_and_keep_alive() {
    let config = Config::release_default();
    assert_eq!((config.shutdown.grace, config.shutdown.mercy, config.keep_alive), (2, 3, 5));
}
