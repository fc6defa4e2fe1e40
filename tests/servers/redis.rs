//! A real `redis-server` on a free port, in its own empty folder; it persists to disk.

// Each test binary uses a part of this file; a test fails by panicking and waits where it must.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server; dropping it kills it.
pub struct Redis {
    pub port: u16,
    folder: TempDir,
    /// Arguments for its port, TLS and password.
    listens: Vec<String>,
    /// Settings in addition to the common ones, as arguments.
    settings: Vec<String>,
    child: Option<Child>,
}

impl Redis {
    #[track_caller]
    pub fn start() -> Self {
        let (port, folder) = (free_port(), TempDir::new().unwrap());
        let listens = vec!["--port".to_owned(), port.to_string()];
        let mut redis = Self { port, folder, listens, settings: Vec::new(), child: None };
        redis.start_again();
        redis
    }

    /// A server with TLS and a password. Also returns the path of a PEM file with its certificate authority. The file
    /// is removed when the server is dropped.
    #[track_caller]
    pub fn start_tls(password: &str) -> (Self, PathBuf) {
        let (port, folder) = (free_port(), TempDir::new().unwrap());
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let authority = folder.path().join("certificate.pem");
        std::fs::write(&authority, own.cert.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), own.signing_key.serialize_pem()).unwrap();
        let listens = format!(
            "--port 0 --tls-port {port} --tls-cert-file certificate.pem --tls-key-file key.pem \
             --tls-ca-cert-file certificate.pem --tls-auth-clients no --requirepass {password}"
        );
        let listens = listens.split(' ').map(str::to_owned).collect();
        let mut redis = Self { port, folder, listens, settings: Vec::new(), child: None };
        redis.start_again();
        (redis, authority)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Runs a command, such as `CONFIG SET maxmemory 0`, and returns its reply.
    #[track_caller]
    pub fn ask<T: ::redis::FromRedisValue>(&self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut connection = ::redis::Client::open(self.url()).unwrap().get_connection().unwrap();
        let mut command = ::redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        command.query(&mut connection).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Runs a command for its effect.
    #[track_caller]
    pub fn tell(&self, command: &str) {
        self.ask::<::redis::Value>(command);
    }

    /// Sets arguments for the next start, such as `--maxmemory 0`.
    pub fn set(&mut self, settings: &str) {
        self.settings = settings.split(' ').map(str::to_owned).collect();
    }

    /// The folder of its files.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Starts the server with the files that it left.
    #[track_caller]
    pub fn start_again(&mut self) {
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(&self.listens)
            .args(&self.settings)
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child =
            Some(child.unwrap_or_else(|error| panic!("redis-server: {error}; tests/run installs it")));
        let end = Instant::now() + Duration::from_secs(30);
        while !self.answers() {
            assert!(Instant::now() < end, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        if self.listens.len() > 2 {
            // A server with TLS answers only a TLS client, so a connection is enough.
            return true;
        }
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut answer = [0; 7];
        stream.write_all(b"PING\r\n").and_then(|()| stream.read_exact(&mut answer)).is_ok()
            && &answer == b"+PONG\r\n"
    }

    /// Stops it with SIGTERM, as an operator does, and waits until it has ended.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal("TERM");
        self.child.take().unwrap().wait().unwrap();
    }

    /// Sends a signal, for example STOP or CONT.
    #[track_caller]
    pub fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port at which nothing listens now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
