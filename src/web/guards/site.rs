//! Rejects requests that a browser sends because a page of another web site tells it to: with that site's own host name
//! (DNS rebinding), or from that site to this gateway (CSRF). Programs pass the second check, because they do not send
//! a browser's headers.

use rocket::Request;
use rocket::http::{Method, Status, uri};
use url::{Host, Url};

use crate::config::{ClientsConfig, HostPattern};
use crate::web::problem::Problem;

/// Paths that accept every host name, for probes that use an address.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// The problem of a request with a foreign host name. Without `hosts`, only a server on a loopback address checks the
/// name; every name except `localhost` and its subdomains is then foreign, and every IP address is accepted.
pub fn misdirected(request: &Request<'_>, config: &ClientsConfig) -> Option<Problem> {
    match PROBES.iter().any(|path| request.uri().path() == *path) {
        true => None,
        false => foreign_name(request, &config.hosts),
    }
}

/// Like [`misdirected`], but also on the paths of probes.
pub fn foreign_name(request: &Request<'_>, hosts: &[HostPattern]) -> Option<Problem> {
    if hosts.is_empty() && !request.rocket().config().address.to_canonical().is_loopback() {
        return None;
    }
    let asked = request.host().map(|host| host.domain().as_str());
    let host = asked.and_then(|name| Host::parse(name.trim_end_matches('.')).ok());
    let ours = match (&host, hosts) {
        (None, _) => hosts.is_empty() && !request.headers().contains("Host"),
        (Some(Host::Domain(name)), []) => name == "localhost" || name.ends_with(".localhost"),
        (Some(_), []) => true,
        (Some(host), _) => hosts.iter().any(|pattern| pattern.names(host)),
    };
    let detail = match host {
        Some(host) => format!(
            "This gateway does not answer to the name {host}. If it should, its operator must add \
             `hosts = [\"{host}\"]` to pixcolor.toml."
        ),
        None => "This gateway does not answer to the name in the request's Host header.".to_owned(),
    };
    (!ours).then(|| Problem::new(Status::MisdirectedRequest, detail))
}

/// The problem of a browser's cross-site request that could change something or spend credit, that is, with any method
/// but GET, HEAD, OPTIONS and TRACE. Pages cannot set `Sec-Fetch-Site` (W3C Fetch Metadata). Over plain HTTP, browsers
/// send this header only to loopback addresses; without the header, `Origin` is compared with the host.
pub fn cross_site(request: &Request<'_>) -> Option<Problem> {
    if matches!(request.method(), Method::Get | Method::Head | Method::Options | Method::Trace) {
        return None;
    }
    let one = |name| request.headers().get_one(name);
    let own = match (one("Sec-Fetch-Site"), one("Origin")) {
        (Some(site), _) => matches!(site, "none" | "same-origin"),
        (None, None) => true,
        (None, Some(origin)) => is_own(origin, request.host()),
    };
    let detail = "Another web site sent this request. Only programs and this gateway's own pages may send it. If one \
                  of those pages sent it, the proxy in front of the gateway must pass the Host header on.";
    (!own).then(|| Problem::new(Status::Forbidden, detail).named("cross-site", "Sent by another web site"))
}

/// Whether an `Origin` matches the host of the request. `null`, which browsers send to hide an origin, never matches.
fn is_own(origin: &str, host: Option<&uri::Host<'_>>) -> bool {
    let (Ok(origin), Some(host)) = (Url::parse(origin), host) else { return false };
    let own = Url::parse(&format!("{}://{host}", origin.scheme()));
    own.is_ok_and(|own| own.origin() == origin.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_match_regardless_of_case_and_default_port() {
        for (origin, host, own) in [
            ("http://photos.lan", "photos.lan", true),
            ("http://photos.lan", "PHOTOS.lan:80", true),
            ("https://photos.lan", "photos.lan:443", true),
            ("http://photos.lan:8080", "photos.lan:8080", true),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", true),
            ("http://photos.lan:8080", "photos.lan", false),
            ("http://photos.lan", "photos.lan:8080", false),
            ("https://photos.lan", "photos.lan:80", false),
            ("http://evil.example", "photos.lan", false),
            ("http://photos.lan.evil.example", "photos.lan", false),
            ("null", "null", false),
            ("", "photos.lan", false),
        ] {
            let host = uri::Host::parse_owned(host.to_owned()).unwrap();
            assert_eq!(is_own(origin, Some(&host)), own, "{origin} {host}");
        }
        assert!(!is_own("http://photos.lan", None));
    }
}
