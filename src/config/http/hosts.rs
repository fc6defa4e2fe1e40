//! Patterns of hosts: those from which results and clients' pictures may be fetched, and the names of this gateway.

use std::fmt;

use url::{Host, Url};

/// A host, or all subdomains of a domain: `cdn.example.com`, `*.example.com`, `127.0.0.1:8000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    /// Whether the pattern matches the subdomains of `host`, and not `host` itself.
    below: bool,
    host: String,
    /// `None` means the scheme's default port.
    port: Option<u16>,
}

impl HostPattern {
    /// Returns `None` if the text is not a pattern. `*` and `*.de` are not patterns.
    pub fn parse(text: &str) -> Option<Self> {
        let (below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        // Parsed as a URL, so that a pattern is normalised like the hosts that are compared with it.
        let url = Url::parse(&format!("http://{rest}")).ok()?;
        let host = url.host()?;
        let bare =
            url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !rest.contains('/');
        let clean =
            bare && url.username().is_empty() && url.password().is_none() && !rest.contains(['*', '@']);
        let name = matches!(&host, Host::Domain(name) if name.trim_end_matches('.').contains('.'));
        // URL parsing drops port 80, the default of `http`.
        let port = url.port().or_else(|| rest.ends_with(":80").then_some(80));
        (clean && (!below || name)).then(|| Self { below, host: name_of(&host), port })
    }

    /// Whether the address's host and port match.
    pub fn matches(&self, url: &Url) -> bool {
        let port = match self.port {
            None => url.port().is_none(),
            port => url.port_or_known_default() == port,
        };
        port && url.host().is_some_and(|host| self.names(&host))
    }

    /// Whether the host matches; ignores the port.
    pub fn names<S: AsRef<str> + fmt::Display>(&self, host: &Host<S>) -> bool {
        let name = name_of(host);
        match self.below {
            true => name.strip_suffix(&self.host).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1),
            false => name == self.host,
        }
    }

    pub const fn has_port(&self) -> bool {
        self.port.is_some()
    }
}

/// The host's name without a final dot, for comparison.
fn name_of<S: AsRef<str> + fmt::Display>(host: &Host<S>) -> String {
    host.to_string().trim_end_matches('.').to_owned()
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.below { "*." } else { "" };
        write!(f, "{star}{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_only_its_hosts() {
        for (pattern, url, matches) in [
            ("cdn.example.com", "https://cdn.example.com/x", true),
            ("cdn.example.com", "https://CDN.example.com./x", true),
            ("cdn.example.com", "https://cdn.example.com:8443/x", false),
            ("cdn.example.com", "https://evil-cdn.example.com/x", false),
            ("cdn.example.com", "https://cdn.example.com.evil.org/x", false),
            ("*.example.com", "https://a.b.example.com/", true),
            ("*.example.com", "https://example.com/", false),
            ("*.example.com", "https://notexample.com/", false),
            ("127.0.0.1:8000", "http://127.0.0.1:8000/", true),
            ("127.0.0.1:8000", "http://127.1:8000/", true),
            ("127.0.0.1:8000", "http://127.0.0.1:8001/", false),
            ("[::1]:80", "http://[0:0::1]/", true),
        ] {
            assert_eq!(
                HostPattern::parse(pattern).unwrap().matches(&Url::parse(url).unwrap()),
                matches,
                "{pattern} {url}"
            );
        }
        for bad in [
            "",
            "*",
            "*.",
            "*.com",
            "*.127.0.0.1",
            "a/b",
            "https://a.com",
            "u@a.com",
            "a.*.com",
            "a.com?x",
            "a b",
        ] {
            assert!(HostPattern::parse(bad).is_none(), "{bad}");
        }
    }
}
