//! Behind the reverse proxies whose files we ship: real nginx, real Caddy.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Answer, Picture, Server, Setup, agent};

/// A reverse proxy in front of a server; dropping it kills it.
pub struct Proxy {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Proxy {
    /// Starts `program` with the file `name` holding `config`, which listens on `port`.
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
        let end = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if proxy.child.try_wait().unwrap().is_some() || Instant::now() > end {
                let said = std::io::read_to_string(proxy.child.stderr.take().unwrap()).unwrap();
                panic!("{program} does not listen: {said}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        proxy
    }

    /// Where it listens.
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
    Setup::new().env("PIXCOLOR_TRUSTED_PROXIES", r#"["127.0.0.1/32"]"#).start()
}

/// Pictures come and go, and a client can read why one is too large.
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

/// nginx with the shipped file in front of a server.
pub fn nginx(server: &Server) -> Proxy {
    let port = free_port();
    let site = include_str!("../../deploy/nginx.conf")
        .replace("127.0.0.1:8080", &server.address.to_string())
        .replace("listen 80;", &format!("listen 127.0.0.1:{port};"));
    // What the shipped file relies on Debian's nginx.conf for, in this folder.
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {kind};\n"))
        .concat();
    let config = format!(
        "pid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{site}}}\n"
    );
    Proxy::start(
        "nginx",
        &["-p", ".", "-c", "nginx.conf", "-g", "daemon off; master_process off;"],
        "nginx.conf",
        &config,
        port,
    )
}

/// Caddy with the shipped file in front of a server.
pub fn caddy(server: &Server) -> Proxy {
    let port = free_port();
    let config = include_str!("../../deploy/Caddyfile")
        .replace("127.0.0.1:8080", &server.address.to_string())
        // Nobody gives a certificate for a test: over plain HTTP.
        .replace("\npixcolor.example.org {", &format!("\nhttp://127.0.0.1:{port} {{"))
        // Caddy's own control port, which other tests would meet.
        .replacen("{\n", "{\n\tadmin off\n", 1);
    Proxy::start("caddy", &["run", "--config", "Caddyfile"], "Caddyfile", &config, port)
}

#[test]
fn it_works_behind_nginx_with_the_shipped_file() {
    works(&nginx(&server()));
}

#[test]
fn it_works_behind_caddy_with_the_shipped_file() {
    works(&caddy(&server()));
}
