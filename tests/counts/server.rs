//! The gateway in this process, so that its allocations can be counted, and a client that allocates nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;

use pixcolor::config::{self, ConfigSource};
use pixcolor::gateway::{CacheStores, Gateway, ReloadStatus, Snapshot};
use pixcolor::observe::Metrics;
use pixcolor::provider::ProviderMemory;
use pixcolor::web;
use rocket::fairing::AdHoc;
use tempfile::TempDir;

/// A gateway with the defaults, except that rate limits are off and that it logs nothing.
pub struct Server {
    pub address: SocketAddr,
    /// Dropping the runtime stops the server.
    _runtime: tokio::runtime::Runtime,
    /// Removed when the server is dropped.
    _folder: TempDir,
}

impl Server {
    pub fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let variables = [
            ("ROCKET_ADDRESS", "127.0.0.1".to_owned()),
            ("ROCKET_PORT", "0".to_owned()),
            ("PIXCOLOR_QUOTA__ENABLED", "false".to_owned()),
            ("PIXCOLOR_STATE_DIR", path("state")),
            ("PIXCOLOR_CACHE__DIR", path("cache")),
        ];
        let env = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let source = ConfigSource { dir: None, env, cwd: Some(folder.path().to_owned()) };
        let (found, address) = mpsc::channel();
        let rocket = web::server(config::server_figment(&source).unwrap(), gateway(&source), assets())
            .attach(AdHoc::on_liftoff("address", move |rocket| {
                let config = rocket.config();
                found.send((config.address, config.port).into()).unwrap();
                Box::pin(async {})
            }));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.spawn(rocket.launch());
        let address = address.recv().expect("the server listens");
        Self { address, _runtime: runtime, _folder: folder }
    }
}

fn assets() -> web::Assets {
    web::assets(None, None).unwrap()
}

/// As `pixcolor serve` creates it.
fn gateway(source: &ConfigSource) -> std::sync::Arc<Gateway> {
    let loaded = config::load(source).unwrap();
    let reloads = ReloadStatus::new(&loaded, config::server_values(source).unwrap());
    let metrics = Metrics::new(prometheus::Registry::new()).unwrap();
    let memory = ProviderMemory::new(metrics.clone());
    let report = loaded.to_json();
    let snapshot = Snapshot::build(loaded.config, report, &memory).unwrap();
    let stores = CacheStores::open(&snapshot.config, &metrics).unwrap();
    Gateway::new(snapshot, stores, memory, metrics, reloads)
}

/// One connection. Its buffer is allocated once.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A response, in the client's buffer.
pub struct Response<'a> {
    pub head: &'a str,
    pub body: &'a [u8],
}

impl Response<'_> {
    /// The value of a header; the name is case-insensitive.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Client {
    pub fn new(server: &Server) -> Self {
        Self { stream: TcpStream::connect(server.address).unwrap(), buffer: vec![0; 4 << 20] }
    }

    /// Sends a request and reads its response, without an allocation.
    pub fn send(&mut self, request: &[u8]) -> Response<'_> {
        self.stream.write_all(request).unwrap();
        let mut read = 0;
        let end = loop {
            read += self.read(read);
            if let Some(end) = self.buffer[..read].windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let length =
            Response { head: self.head(end), body: &[] }.header("content-length").map(str::parse::<usize>);
        let whole = end + length.unwrap_or_else(|| panic!("{}", self.head(end))).unwrap();
        while read < whole {
            read += self.read(read);
        }
        assert_eq!(read, whole, "{}", self.head(end));
        Response { head: self.head(end), body: &self.buffer[end..whole] }
    }

    fn read(&mut self, from: usize) -> usize {
        let count = self.stream.read(&mut self.buffer[from..]).unwrap();
        assert!(
            count > 0,
            "the server closed the connection: {}",
            String::from_utf8_lossy(&self.buffer[..from])
        );
        count
    }

    fn head(&self, end: usize) -> &str {
        std::str::from_utf8(&self.buffer[..end]).unwrap()
    }
}
