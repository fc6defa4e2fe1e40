//! The metrics are well formed, and clients cannot increase the number of series without limit.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::Server;
use crate::traffic::Setting;

/// The maximum number of series with three providers.
const MOST: usize = 200;
/// How many requests a thread sends on one connection before it reads the responses.
const BATCH: usize = 64;
const THREADS: u64 = 4;

/// Pseudorandom numbers (SplitMix64), the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.next() as usize % of.len()]
    }

    /// One of these words, or a random word.
    fn word(&mut self, of: &[&str]) -> String {
        match self.next() % 4 {
            0 => format!("{:x}", self.next()),
            _ => self.one(of).to_owned(),
        }
    }
}

/// A request with a random path, method, headers and body, valid or invalid, and whether its method is HEAD.
fn request(random: &mut Random) -> (String, bool) {
    const METHODS: [&str; 8] = ["GET", "GET", "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"];
    const PATHS: [&str; 18] = [
        "/",
        "/healthz",
        "/readyz",
        "/image",
        "/v1/colorize",
        "/v1/providers",
        "/v1/usage",
        "/v1/admin/cache",
        "/v1/admin/config",
        "/static/app.css",
        "/static/../x",
        "/v1/results/sha256/00",
        "/v1/results/é",
        "/metrics",
        "/v1/colorize/more",
        "/v1/estimate",
        "/favicon.ico",
        "/.env",
    ];
    let method = random.one(&METHODS);
    let mut target = random.word(&PATHS).replace('é', "%C3%A9");
    if !target.starts_with('/') {
        target.insert(0, '/');
    }
    target = match random.next() % 3 {
        0 => format!("{target}?provider={}", random.word(&["local", "algorithmia", "spare"])),
        1 => format!(
            "{target}?format={}&by={}",
            random.word(&["png", "webp", "csv"]),
            random.word(&["client", "day"])
        ),
        _ => target,
    };
    let headers = [
        ("Accept", random.word(&["image/png", "application/json", "text/html", "*/*"])),
        ("Authorization", random.word(&["Bearer x", "Simple sim1"])),
        ("X-Forwarded-For", random.word(&["203.0.113.9", "::1"])),
        ("User-Agent", random.word(&["curl", "Mozilla"])),
        ("Content-Type", random.word(&["image/jpeg", "application/json", "multipart/form-data"])),
    ];
    let body =
        if matches!(method, "POST" | "PUT") { random.word(&["{}", "", "rubbish"]) } else { String::new() };
    let mut text =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        if random.next().is_multiple_of(3) {
            continue;
        }
        text += &format!("{name}: {value}\r\n");
    }
    (text + "\r\n" + &body, method == "HEAD")
}

/// Reads one response. Returns its status and whether the connection stays open.
fn answer(stream: &mut BufReader<TcpStream>, head_only: bool) -> (String, bool) {
    let (mut line, mut length, mut more) = (String::new(), 0, true);
    stream.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap_or_default().to_owned();
    loop {
        line.clear();
        if stream.read_line(&mut line).unwrap() == 0 {
            return (status, false);
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "transfer-encoding" => panic!("an answer without a length: {line}"),
            "connection" => more = !value.contains("close"),
            _ => {}
        }
    }
    if !head_only {
        stream.read_exact(&mut vec![0; length]).unwrap();
    }
    (status, more)
}

/// Sends this many requests and returns the statuses of the responses.
fn flood(server: &Server, seed: u64, requests: usize) -> BTreeSet<String> {
    let mut random = Random(seed);
    let (mut statuses, mut left) = (BTreeSet::new(), requests);
    while left > 0 {
        let mut stream = BufReader::new(server.raw(b""));
        stream.get_ref().set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut open = true;
        while open && left > 0 {
            let batch: Vec<(String, bool)> = (0..BATCH.min(left)).map(|_| request(&mut random)).collect();
            let bytes: String = batch.iter().map(|(text, _)| text.as_str()).collect();
            stream.get_mut().write_all(bytes.as_bytes()).unwrap();
            for (_, head_only) in &batch {
                let (status, more) = answer(&mut stream, *head_only);
                left -= usize::from(!status.is_empty());
                statuses.insert(status);
                open = more;
                if !open {
                    break;
                }
            }
        }
    }
    statuses
}

#[test]
fn metrics_are_well_formed_and_at_most_200_after_100_000_varied_requests() {
    let setting = Setting::start();
    setting.every_sort_of_picture();
    let server = &setting.server;
    let statuses: BTreeSet<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|seed| scope.spawn(move || flood(server, seed, 100_000 / THREADS as usize)))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    for status in ["200", "400", "401", "404", "405", "415"] {
        assert!(statuses.contains(status), "{status}: {statuses:?}");
    }
    let metrics = server.get("/metrics").text().to_owned();
    let series: Vec<&str> = metrics.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(series.len() <= MOST, "{} series:\n{metrics}", series.len());
    let counted: f64 = series
        .iter()
        .filter(|line| line.starts_with("pixcolor_http_requests_total"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum();
    assert!(counted >= 100_000.0, "{counted}");
    // Every kind of event occurred.
    for family in [
        "provider_calls_total{outcome=\"ok\",provider=\"local\"}",
        "provider_calls_total{outcome=\"budget\"",
        "guard_refusals_total",
        "saved_credits_total",
        "budget_remaining_credits",
        "coloured_pixels_total",
        "cache_lookups_total",
        "overhead_seconds_count",
    ] {
        assert!(
            series.iter().any(|line| line.starts_with(&format!("pixcolor_{family}"))),
            "{family}\n{metrics}"
        );
    }

    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = promtool.spawn().expect("promtool, of Debian's package prometheus");
    child.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}
