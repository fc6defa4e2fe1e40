//! Three gateways on one Redis, and nginx in front of them.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::fakes::KEY;
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::wait::within;
use crate::harness::{Answer, Picture, Server, Setup, agent};
use crate::redis::{Redis, free_port};

/// A gateway whose only provider is `fake`: a call reserves 5 credits and costs 2.
pub fn setup(redis: &Redis, fake: &Algorithmia, more: &str) -> Setup {
    let main = format!("route = [\"algorithmia\"]\n[shared]\nredis = \"{}\"\n{more}", redis.url());
    let provider = format!(
        "kind = \"algorithmia\"\nbase_url = \"{}\"\ntimeout = 5\nbreaker = {{ failures = 0 }}\nconcurrency = 64\n\
         queue = 1000\n",
        fake.url()
    );
    Setup::new()
        .file("config/pixcolor.toml", main)
        .file("config/providers/algorithmia.toml", provider)
        .env("ALGORITHMIA_API_KEY", KEY)
}

/// Starts three gateways with the configuration of [`setup`].
pub fn three(redis: &Redis, fake: &Algorithmia, more: &str) -> [Server; 3] {
    [(); 3].map(|()| setup(redis, fake, more).start())
}

pub fn small(seed: u32) -> Picture {
    Picture::png(96, 64, seed)
}

/// The value of a key in `/readyz`; empty if the key is absent.
pub fn ready(server: &Server, key: &str) -> String {
    server.get("/readyz").json()[key].as_str().unwrap_or_default().to_owned()
}

/// Waits until `/readyz` no longer reports that paid providers are off.
#[track_caller]
pub fn until_paid(server: &Server) {
    until(Duration::from_secs(15), "paid providers are on", || {
        ready(server, "paid_providers_are_off").is_empty()
    });
}

/// Waits until `/readyz` reports that paid providers are off, with a reason that contains these words.
#[track_caller]
pub fn until_off(server: &Server, words: &str) {
    until(Duration::from_secs(15), words, || ready(server, "paid_providers_are_off").contains(words));
}

/// Posts pictures at the same time, each to its URL. Returns the responses in the same order.
pub fn post_all(requests: impl IntoIterator<Item = (String, Picture)>) -> Vec<Answer> {
    let post = |(url, picture): (String, Picture)| {
        std::thread::spawn(move || {
            let request = agent().post(url).header("Content-Type", picture.media_type);
            Answer::new(request.send(&picture.bytes[..]).expect("an answer"))
        })
    };
    let threads: Vec<_> = requests.into_iter().map(post).collect();
    threads.into_iter().map(|thread| thread.join().expect("it was answered")).collect()
}

/// Waits until a condition is true, at most this long.
#[track_caller]
pub fn until(limit: Duration, what: &str, condition: impl FnMut() -> bool) {
    within(limit, || what.to_owned(), condition);
}

/// nginx that sends requests to the gateways in turn. It is killed when dropped.
pub struct Balancer {
    child: Child,
    pub url: String,
    _folder: tempfile::TempDir,
}

impl Balancer {
    #[track_caller]
    pub fn start(servers: &[Server]) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let servers: String = servers.iter().map(|server| format!("server {};\n", server.address)).collect();
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {kind};\n"))
            .concat();
        let config = format!(
            "pid nginx.pid;\nerror_log stderr;\nevents {{ worker_connections 2048; }}\nhttp {{\naccess_log off;\n{paths}\
             upstream gateways {{\n{servers}}}\nserver {{\nlisten 127.0.0.1:{port} backlog=1024;\n\
             client_max_body_size 32m;\nlocation / {{ proxy_pass http://gateways; proxy_http_version 1.1; proxy_set_header Host $http_host; }}\n}}\n}}\n"
        );
        std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let child = Command::new("nginx")
            .args(["-p", ".", "-c", "nginx.conf", "-g", "daemon off; master_process off;"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.unwrap_or_else(|error| panic!("nginx: {error}; tests/run installs it"));
        let balancer = Self { child, url: format!("http://127.0.0.1:{port}"), _folder: folder };
        until(Duration::from_secs(30), "nginx listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        balancer
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
