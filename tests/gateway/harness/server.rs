//! The real binary on a free port, in an empty folder of its own.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use super::wait::{PATIENCE, until, within};
use super::{Answer, Picture, agent};
use crate::fakes::KEY;

/// Settings for starting a server.
pub struct Setup {
    folder: TempDir,
    command: Command,
}

impl Setup {
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let command = pixcolor(folder.path());
        Self { folder, command }.env("ROCKET_PORT", "0")
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Writes a file into the server's folder, for example `config/pixcolor.toml`.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
        std::fs::write(path, content).expect("a file can be written");
        self
    }

    /// The path of a file or folder in the server's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command of the binary in the server's folder before the server starts, and returns its output.
    #[track_caller]
    pub fn command(&self, args: &[&str]) -> String {
        command(self.folder.path(), args)
    }

    /// Starts the server through another program, which gets these arguments followed by the server's command.
    pub fn under(mut self, program: &str, args: impl IntoIterator<Item = String>) -> Self {
        let mut outer = Command::new(program);
        outer.args(args).arg(self.command.get_program()).args(self.command.get_args());
        outer.current_dir(self.folder.path()).stdin(Stdio::null());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => outer.env(name, value),
                None => outer.env_remove(name),
            };
        }
        self.command = outer;
        self
    }

    /// Starts the server and waits until it listens.
    #[track_caller]
    pub fn start(mut self) -> Server {
        let started = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = started.expect("the binary starts");
        let said = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            collect(child.stdout.take().expect("piped"), said.clone()),
            collect(child.stderr.take().expect("piped"), said.clone()),
        ];
        let address = ([127, 0, 0, 1], 0).into();
        let mut server = Server { child, address, said, readers, command: self.command, folder: self.folder };
        let mut address = None;
        until("the server listens", || {
            let said = server.said();
            let line = said.split("listens on http://").nth(1).and_then(|rest| rest.lines().next());
            address = line.map(|line| line.parse().expect("an address"));
            let stopped = server.child.try_wait().expect("a child").is_some();
            assert!(address.is_some() || !stopped, "the server stopped: {said}");
            address.is_some()
        });
        server.address = address.expect("it listens");
        server
    }
}

/// A command that runs the binary without this process's environment variables that would configure it.
pub fn pixcolor(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pixcolor"));
    command.current_dir(folder).env("HOME", folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = ["PIXCOLOR_", "ROCKET_", "XDG_", "ALGORITHMIA_", "API_KEY", "AWS_", "RUST_LOG"];
        if ours.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

#[track_caller]
fn command(folder: &Path, args: &[&str]) -> String {
    let output = pixcolor(folder).args(args).output().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn collect(stream: impl Read + Send + 'static, said: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            let mut said = said.lock().expect("no thread panics while it holds the lock");
            said.push_str(&line);
            said.push('\n');
        }
    })
}

/// A running server; dropping it kills it.
pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
    said: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    command: Command,
    /// Removed when the server is dropped.
    folder: TempDir,
}

impl Server {
    /// Starts a server with the defaults.
    #[track_caller]
    pub fn start() -> Self {
        Setup::new().start()
    }

    /// The path of a file or folder in the server's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sends a signal, named without SIG.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().expect("kill runs").success());
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The server's peak memory, in MB.
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024 / 1_000_000
    }

    /// All output and log lines so far.
    pub fn said(&self) -> String {
        self.said.lock().expect("no thread panics while it holds the lock").clone()
    }

    /// Waits until the server has printed or logged this text. A line that was logged before a response may be read
    /// after it.
    #[track_caller]
    pub fn until_said(&self, words: &str) {
        self.until(words, |server| server.said().contains(words));
    }

    /// Waits until a condition is true, and returns how long that took. A failure shows `what` and the server's
    /// output.
    #[track_caller]
    pub fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) -> Duration {
        within(PATIENCE, || format!("{what}; the server says: {}", self.said()), || condition(self))
    }

    /// Waits until a new key is accepted. If clients without a key are rejected, create the key before the start.
    #[track_caller]
    pub fn until_known(&self, key: &str) {
        self.until("the key is known", |server| {
            server.get_with("/v1/quota", &[("Authorization", key)]).text().contains("\"key:")
        });
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    #[track_caller]
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = agent().get(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::new(request.call().expect("an answer"))
    }

    #[track_caller]
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = agent().post(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::new(request.send(body).expect("an answer"))
    }

    /// Runs a command of the binary in the server's folder, and returns its output.
    #[track_caller]
    pub fn command(&self, args: &[&str]) -> String {
        command(self.folder.path(), args)
    }

    /// Sends an image as a raw body.
    #[track_caller]
    pub fn colorize(&self, picture: &Picture) -> Answer {
        self.post("/v1/colorize", &[("Content-Type", picture.media_type)], &picture.bytes)
    }

    /// The value of a metric with exactly these labels, as in the text format; 0 if it is absent.
    pub fn metric(&self, name: &str) -> f64 {
        let metrics = self.get("/metrics");
        let value = metrics.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Waits until this many requests are in progress, not counting the request that reads the metric. Then waits half
    /// a second more, because the metric counts a request shortly before it is admitted.
    #[track_caller]
    pub fn until_in_flight(&self, count: usize) {
        self.until("enough requests are in progress", |server| {
            server.metric("pixcolor_http_requests_in_flight") > count as f64 + 0.9
        });
        std::thread::sleep(Duration::from_millis(500));
    }

    /// Writes bytes to a new connection and returns it.
    pub fn raw(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
        stream.write_all(bytes).expect("bytes go out");
        stream
    }

    /// Starts a stopped server again in its folder.
    #[track_caller]
    pub fn start_again(mut self) -> Self {
        let folder = std::mem::replace(&mut self.folder, TempDir::new().expect("a temporary folder"));
        let command = std::mem::replace(&mut self.command, Command::new("true"));
        Setup { folder, command }.start()
    }

    /// Stops the server, unless it has ended, and starts it again in its folder and at its address.
    #[track_caller]
    #[allow(dead_code, reason = "not every test binary restarts a server in place")]
    pub fn restart(&mut self) {
        if self.child.try_wait().expect("a child").is_none() {
            self.terminate();
        }
        let folder = std::mem::replace(&mut self.folder, TempDir::new().expect("a temporary folder"));
        let mut command = std::mem::replace(&mut self.command, Command::new("true"));
        command.env("ROCKET_PORT", self.address.port().to_string());
        *self = Setup { folder, command }.start();
    }

    /// Stops the server with SIGTERM, as an operator does, and returns its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(killed.success());
        let code = self.child.wait().expect("it ends").code();
        // Waits for the last lines of output.
        self.readers.drain(..).for_each(|reader| reader.join().expect("the reader does not panic"));
        code
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let said = self.said();
        if !std::thread::panicking() {
            assert!(!said.contains(KEY), "the output contains the planted key: {said}");
            assert!(!said.contains("panicked"), "the server panicked: {said}");
        }
    }
}
