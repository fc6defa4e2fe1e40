//! Real connections on this machine; only the DNS lookup is replaced.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use url::Url;

use super::names::LookUp;
use super::*;
use crate::provider::HttpTimeouts;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// A public address that the tests never reach.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 20, 0, 1));

/// A host on this machine that answers every request with the same bytes and counts the requests.
struct Local {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Local {
    fn start(answer: impl Fn(u16) -> String) -> Self {
        let listener = TcpListener::bind((HERE, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let (counted, answer) = (asked.clone(), answer(port));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut head = [0; 4096];
                if stream.read(&mut head).is_ok_and(|count| count > 0) {
                    counted.fetch_add(1, Ordering::SeqCst);
                    stream.write_all(answer.as_bytes()).ok();
                }
            }
        });
        Self { port, asked }
    }

    fn picture() -> Self {
        Self::start(|_| "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nwhat".to_owned())
    }

    fn redirecting(to: impl Fn(u16) -> String) -> Self {
        Self::start(|port| {
            format!(
                "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                to(port)
            )
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Returns the given DNS answers in order and repeats the last one.
struct Scripted {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Scripted {
    fn new(answers: impl IntoIterator<Item = Vec<IpAddr>>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), asked: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl LookUp for Scripted {
    async fn look_up(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        Ok(if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() })
    }
}

fn rules(own: &str, hosts: &[&str], reach: AddressPolicy) -> Rules {
    let hosts = hosts.iter().map(|host| HostPattern::parse(host).unwrap()).collect();
    Rules { own: Url::parse(own).unwrap(), hosts, reach }
}

async fn fetch(rules: &Rules, names: Arc<Scripted>, address: &str) -> Result<Reply, FetchError> {
    let times = HttpTimeouts { connect: Duration::from_millis(400), first_byte: Duration::from_secs(5) };
    let http = HttpClient::without_redirects(times, Names::new(names, rules.reach)).unwrap();
    let url = rules.read(address).map_err(FetchError::Refused)?;
    rules.fetch(&http, &url, &HeaderMap::new(), 1 << 20, Instant::now() + Duration::from_secs(10)).await
}

#[tokio::test]
async fn a_name_that_resolves_to_a_public_then_a_local_address_is_refused() {
    let local = Local::picture();
    let address = format!("http://rebind.example.com:{}/x.png", local.port);
    let rules = rules(
        "http://api.example.com",
        &[&format!("rebind.example.com:{}", local.port)],
        AddressPolicy::Public,
    );
    let names = Scripted::new([vec![ELSEWHERE], vec![HERE]]);
    // One lookup for each connection: the checked address is the one that is connected to.
    let first = fetch(&rules, names.clone(), &address).await.unwrap_err();
    assert!(matches!(first, FetchError::Http(_)), "{first:?}");
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
    let second = fetch(&rules, names.clone(), &address).await.unwrap_err();
    assert!(matches!(second, FetchError::Http(HttpError::Forbidden(_))), "{second:?}");
    assert_eq!(names.asked.load(Ordering::SeqCst), 2);
    // A name is also refused if only one of its addresses is local.
    let mixed = fetch(&rules, Scripted::new([vec![ELSEWHERE, HERE]]), &address).await.unwrap_err();
    assert!(matches!(mixed, FetchError::Http(HttpError::Forbidden(_))), "{mixed:?}");
    assert_eq!(local.asked(), 0);
}

#[tokio::test]
async fn a_local_host_is_allowed_with_reach_private() {
    let local = Local::picture();
    let address = format!("http://own.example.com:{}/x.png", local.port);
    let rules =
        rules("http://api.example.com", &[&format!("*.example.com:{}", local.port)], AddressPolicy::Private);
    let reply = fetch(&rules, Scripted::new([vec![HERE]]), &address).await.unwrap();
    assert_eq!((reply.body.as_ref(), local.asked()), (&b"what"[..], 1));
}

#[tokio::test]
async fn each_redirect_is_checked_again() {
    let secret = Local::picture();
    let names = || Scripted::new([vec![HERE]]);
    for (to, said) in [
        (format!("http://127.0.0.1:{}/", secret.port), "neither its own host nor"),
        ("http://169.254.169.254/latest/meta-data".to_owned(), "neither its own host nor"),
        ("file:///etc/passwd".to_owned(), "not an http or https address"),
        ("http://me:pw@cdn.example.com/".to_owned(), "contains a user name or a password"),
        ("http://[".to_owned(), "is invalid"),
    ] {
        let local = Local::redirecting(|_| to.clone());
        let own = format!("http://api.example.com:{}", local.port);
        let error = fetch(&rules(&own, &["cdn.example.com"], AddressPolicy::Private), names(), "/x")
            .await
            .unwrap_err();
        assert!(
            matches!(error, FetchError::Redirected(_)) && error.to_string().contains(said),
            "{to}: {error}"
        );
        assert_eq!(local.asked(), 1);
    }
    let round = Local::redirecting(|port| format!("http://api.example.com:{port}/again"));
    let own = format!("http://api.example.com:{}", round.port);
    let error = fetch(&rules(&own, &[], AddressPolicy::Private), names(), "/x").await.unwrap_err();
    assert_eq!((error, round.asked()), (FetchError::TooMany, 1 + MAX_REDIRECTS));
    assert_eq!(secret.asked(), 0);
}

#[test]
fn an_address_in_a_reply_is_checked_before_a_request_is_sent() {
    let https = rules(
        "https://api.example.com/v1",
        &["cdn.example.com", "*.files.example.com"],
        AddressPolicy::Public,
    );
    let http = rules("http://10.0.0.5:5000", &["192.168.1.9:80"], AddressPolicy::Private);
    let strict = rules("http://10.0.0.5:5000", &["192.168.1.9:80", "127.0.0.1:80"], AddressPolicy::Public);
    for (rules, address, refusal) in [
        (&https, "https://api.example.com/x", None),
        (&https, "/x.png", None),
        (&https, "x.png", None),
        (&https, "https://cdn.example.com/x", None),
        (&https, "https://a.files.example.com/x", None),
        (&https, "//cdn.example.com/x", None),
        (&https, "https://files.example.com/x", Some("reply.hosts")),
        (&https, "https://cdn.example.com:8443/x", Some("reply.hosts")),
        (&https, "https://cdn.example.com.evil.org/x", Some("evil.org")),
        (&https, "https://evil.org\\@cdn.example.com/x", Some("evil.org")),
        (&https, "https://cdn.example.com@evil.org/x", Some("a user name or a password")),
        (&https, "http://cdn.example.com/x", Some("not secure")),
        (&https, "ftp://cdn.example.com/x", Some("http or https")),
        (&https, "file:///etc/passwd", Some("http or https")),
        (&https, "data:image/png;base64,AAAA", Some("http or https")),
        (&https, "javascript:alert(1)", Some("http or https")),
        (&https, "https://", Some("is invalid")),
        (&https, "https://127.0.0.1/", Some("reply.hosts")),
        (&https, "https://localhost/", Some("reply.hosts")),
        (&http, "http://10.0.0.5:5000/files/x", None),
        (&http, "http://192.168.1.9/x", None),
        (&http, "http://192.168.1.9:8080/x", Some("reply.hosts")),
        (&http, "http://10.0.0.5/x", Some("reply.hosts")),
        (&strict, "http://192.168.1.9/x", Some("a private address")),
        (&strict, "http://2130706433/x", Some("this machine itself")),
        (&strict, "http://10.0.0.5:5000/x", Some("a private address")),
    ] {
        let said = rules.read(address).err().map(|refusal| refusal.to_string());
        match refusal {
            None => assert_eq!(said, None, "{address}"),
            Some(words) => {
                assert!(said.as_ref().is_some_and(|said| said.contains(words)), "{address}: {said:?}")
            }
        }
    }
    assert!(
        https.read_own("https://cdn.example.com/x").unwrap_err().to_string().contains("its key may be sent")
    );
    assert!(https.read(&format!("/{}", "a".repeat(MAX_ADDRESS))).is_err());
}
