//! The shipped configuration files for reverse proxies, tested with the real nginx and the real Caddy.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::wait::until;
use crate::harness::{Answer, Picture, Server, Setup, agent};

/// A reverse proxy in front of a server; dropping it kills it.
pub struct Proxy {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Proxy {
    /// Writes `config` to the file `name`, starts `program`, and waits until it listens on `port`.
    #[track_caller]
    fn start(program: &str, args: &[&str], name: &str, config: &str, port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), config).unwrap();
        let child = Command::new(program)
            .args(args)
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; tests/run installs it"));
        let mut proxy = Self { child, url: format!("http://127.0.0.1:{port}"), _folder: folder };
        until("the proxy listens", || {
            if proxy.child.try_wait().unwrap().is_some() {
                let said = std::io::read_to_string(proxy.child.stderr.take().unwrap()).unwrap();
                panic!("{program} does not listen: {said}");
            }
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        proxy
    }

    /// The proxy's address.
    pub fn address(&self) -> SocketAddr {
        self.url.trim_start_matches("http://").parse().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn server() -> Server {
    Setup::new()
        .env("PIXCOLOR_TRUSTED_PROXIES", r#"["127.0.0.1/32"]"#)
        .env("PIXCOLOR_HOSTS", r#"["pixcolor.example.org"]"#)
        .start()
}

/// Asserts that the proxy forwards images, and that a client can read why an image is too large.
#[track_caller]
fn works(proxy: &Proxy) {
    let post = |picture: &Picture| {
        let request = agent().post(format!("{}/v1/colorize", proxy.url));
        Answer::new(request.header("Content-Type", picture.media_type).send(&picture.bytes[..]).unwrap())
    };
    post(&Picture::jpeg(640, 480, 1)).picture();
    post(&Picture { bytes: vec![0; 21 << 20], media_type: "image/png" }).problem(413);
    let page = Answer::new(agent().get(format!("{}/", proxy.url)).call().unwrap());
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
}

/// nginx with the shipped file in front of a server. `timeouts` are texts of the file and their replacements.
pub fn nginx(server: &Server, timeouts: &[(&str, &str)]) -> Proxy {
    let port = free_port();
    let site = include_str!("../../deploy/nginx.conf")
        .replace("127.0.0.1:8080", &server.address.to_string())
        .replace("listen 80;", &format!("listen 127.0.0.1:{port};"))
        .replace("server_name pixcolor.example.org;", "server_name 127.0.0.1;");
    let site = replaced(site, timeouts);
    // The parts of Debian's nginx.conf that the shipped file relies on, with paths in the test's folder.
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {kind};\n"))
        .concat();
    let config = format!(
        "pid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{site}}}\n"
    );
    let args = ["-p", ".", "-c", "nginx.conf", "-g", "daemon off; master_process off;"];
    Proxy::start("nginx", &args, "nginx.conf", &config, port)
}

/// The same with Caddy.
pub fn caddy(server: &Server, timeouts: &[(&str, &str)]) -> Proxy {
    let port = free_port();
    let config = include_str!("../../deploy/Caddyfile")
        .replace("127.0.0.1:8080", &server.address.to_string())
        // A test has no certificate, so this proxy uses plain HTTP.
        .replace("\npixcolor.example.org {", &format!("\nhttp://127.0.0.1:{port} {{"))
        // Caddy's control port would conflict with other tests.
        .replacen("{\n", "{\n\tadmin off\n", 1);
    Proxy::start("caddy", &["run", "--config", "Caddyfile"], "Caddyfile", &replaced(config, timeouts), port)
}

#[track_caller]
fn replaced(mut text: String, parts: &[(&str, &str)]) -> String {
    for (old, new) in parts {
        assert!(text.contains(old), "the shipped file has no {old}");
        text = text.replace(old, new);
    }
    text
}

#[test]
fn it_works_behind_nginx_with_the_shipped_file() {
    let server = server();
    let proxy = nginx(&server, &[]);
    works(&proxy);
    // A request by a page of another site, whose host name resolves to this proxy.
    let other = agent().post(format!("{}/v1/colorize", proxy.url)).header("Host", "evil.example");
    let other = other.header("Origin", "http://evil.example").send(&Picture::png(8, 8, 1).bytes[..]).unwrap();
    assert_eq!(other.status(), 421);
}

#[test]
fn it_works_behind_caddy_with_the_shipped_file() {
    let server = server();
    works(&caddy(&server, &[]));
}

/// The response to a client that sends this and then waits, and how long it took.
fn answer_to(proxy: &Proxy, sent: &str) -> (String, Duration) {
    let address = proxy.url.strip_prefix("http://").unwrap();
    let (mut stream, start) = (TcpStream::connect(address).unwrap(), Instant::now());
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(sent.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap_or_else(|error| panic!("{sent}: no end within a minute: {error}"));
    (String::from_utf8_lossy(&answer).into_owned(), start.elapsed())
}

/// Asserts that the proxy does what Rocket cannot do (tests/rocket/bodies.rs): reject a body that is too large before
/// it is sent, and close the connection of a client that stops within its headers or the first bytes of its body.
#[track_caller]
fn closes_what_rocket_leaves_open(proxy: &Proxy) {
    let head = "POST /v1/colorize HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n";
    let (answer, took) =
        answer_to(proxy, &format!("{head}Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    for silent in
        ["POST /v1/colorize HTTP/1.1\r\nHost: 127", &format!("{head}Content-Length: 1000\r\n\r\n12345")]
    {
        let (answer, took) = answer_to(proxy, silent);
        // Caddy was observed to send an empty 200 before it closes such a connection.
        assert!(
            !answer.starts_with("HTTP/1.1 2") || answer.contains("Content-Length: 0"),
            "{silent}: {answer}"
        );
        assert!(took < Duration::from_secs(45), "{silent}: {took:?}");
    }
    // The connections to the gateway end, too.
    let in_flight = || {
        let metrics = Answer::new(agent().get(format!("{}/metrics", proxy.url)).call().unwrap());
        let line =
            metrics.text().lines().find_map(|line| line.strip_prefix("pixcolor_http_requests_in_flight "));
        line.unwrap().parse::<f64>().unwrap()
    };
    until("all other requests end", || in_flight() < 1.5);
}

#[test]
fn nginx_closes_connections_that_rocket_leaves_open() {
    let server = server();
    let shorter = [
        ("client_header_timeout 10s", "client_header_timeout 1s"),
        ("client_body_timeout 30s", "client_body_timeout 1s"),
    ];
    closes_what_rocket_leaves_open(&nginx(&server, &shorter));
}

#[test]
fn caddy_closes_connections_that_rocket_leaves_open() {
    let server = server();
    let shorter = [("read_header 10s", "read_header 1s"), ("read_body 2m", "read_body 2s")];
    closes_what_rocket_leaves_open(&caddy(&server, &shorter));
}
