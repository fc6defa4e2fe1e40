//! A Rocket server on a free port, and a client that controls every byte it sends.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown as Half, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use rocket::config::{LogLevel, Shutdown as ShutdownConfig};
use rocket::fairing::AdHoc;
use rocket::{Build, Config, Rocket, Shutdown};

/// Time-out for an expected event, generous enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long a test waits before it concludes that an event does not happen.
pub const A_WHILE: Duration = Duration::from_millis(700);

/// Rocket's defaults, except for a free port, no logs and no wait at shutdown.
pub fn config() -> Config {
    Config {
        port: 0,
        log_level: LogLevel::Off,
        shutdown: ShutdownConfig {
            ctrlc: false,
            signals: Default::default(),
            grace: 0,
            mercy: 0,
            ..Default::default()
        },
        ..Config::debug_default()
    }
}

/// A running server; dropping it requests shutdown.
pub struct Server {
    pub address: SocketAddr,
    pub shutdown: Shutdown,
    /// The result of `launch`.
    launched: Option<JoinHandle<Result<(), String>>>,
}

impl Server {
    /// Starts `rocket` in a new thread and waits until it accepts connections.
    pub fn start(rocket: Rocket<Build>) -> Self {
        let (sender, up) = mpsc::channel();
        let rocket = rocket.attach(AdHoc::on_liftoff("address", move |rocket| {
            let address = SocketAddr::new(rocket.config().address, rocket.config().port);
            sender.send((address, rocket.shutdown())).unwrap();
            Box::pin(async {})
        }));
        let launched = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
            let launched = runtime.block_on(rocket.launch());
            runtime.shutdown_background();
            // Rocket's launch error panics if it is dropped unread.
            launched.map_err(|error| error.kind().to_string()).map(drop)
        });
        let (address, shutdown) = up.recv_timeout(PATIENCE).unwrap();
        Self { address, shutdown, launched: Some(launched) }
    }

    /// Opens a connection.
    pub fn connect(&self) -> Wire {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        Wire(BufReader::new(stream))
    }

    /// Sends a request on a new connection and returns the response.
    pub fn request(&self, request: impl AsRef<[u8]>) -> Response {
        let mut wire = self.connect();
        wire.send(request);
        wire.response()
    }

    /// Waits for `launch` to end.
    pub fn end(mut self) -> Result<(), String> {
        self.launched.take().unwrap().join().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.clone().notify();
    }
}

/// The client's side of a connection.
pub struct Wire(BufReader<TcpStream>);

impl Wire {
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// Closes the sending half; reading still works.
    pub fn half_close(&mut self) {
        self.0.get_mut().shutdown(Half::Write).unwrap();
    }

    /// Reads a response to any request but `HEAD`.
    pub fn response(&mut self) -> Response {
        let mut response = self.head();
        match response.header("content-length").map(|length| length.parse().unwrap()) {
            Some(length) => {
                response.body.resize(length, 0);
                self.0.read_exact(&mut response.body).unwrap();
            }
            None if response.header("transfer-encoding").is_some() => while self.chunk(&mut response) {},
            None => {}
        }
        response
    }

    /// Reads status line and headers only.
    pub fn head(&mut self) -> Response {
        self.patience(PATIENCE);
        let line = self.line();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {line:?}"));
        let mut response = Response { status: status.parse().unwrap(), ..Response::default() };
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { return response };
            response.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }

    /// Reads one chunk of a chunked body; false after the last.
    fn chunk(&mut self, response: &mut Response) -> bool {
        let size = usize::from_str_radix(&self.line(), 16).unwrap();
        let start = response.body.len();
        response.body.resize(start + size, 0);
        self.0.read_exact(&mut response.body[start..]).unwrap();
        assert_eq!(self.line(), "");
        response.chunks.push(size);
        size > 0
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Reads exactly `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        self.patience(PATIENCE);
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Whether the server sends nothing and keeps the connection open for `wait`.
    pub fn is_quiet_for(&mut self, wait: Duration) -> bool {
        self.patience(wait);
        let kind = self.0.fill_buf().map_err(|error| error.kind());
        matches!(kind, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// Whether the server closes the connection without sending more bytes.
    pub fn is_closed(&mut self) -> bool {
        self.patience(PATIENCE);
        match self.0.fill_buf() {
            Ok(rest) => rest.is_empty(),
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    fn patience(&mut self, wait: Duration) {
        self.0.get_ref().set_read_timeout(Some(wait)).unwrap();
    }
}

/// A response.
#[derive(Debug, Default)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The sizes of the chunks, if the body was chunked.
    pub chunks: Vec<usize>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A `GET` of `target`.
pub fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// A `POST` to `target` with its body; `more` holds further header lines, each ending in `\r\n`.
pub fn post(target: &str, more: &str, body: &str) -> String {
    format!("{}{body}", post_head(target, more, body.len()))
}

/// The head of a `POST` with this `Content-Length`.
pub fn post_head(target: &str, more: &str, length: usize) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: test\r\n{more}Content-Length: {length}\r\n\r\n")
}
