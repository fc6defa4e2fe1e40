//! Settings that identify clients by address, also behind proxies, and the lists of allowed and blocked addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::http::HostPattern;
use super::reference::Words;
use super::table::Table;
use crate::quota::AddressFilter;

const WORDS: Words = &[
    (
        "trusted_proxies",
        "Your reverse proxies, as addresses or ranges. Forwarding headers are trusted from them only.",
    ),
    ("forwarded_header", "The header in which those proxies name the client."),
    ("ipv6_prefix", "Bits of an IPv6 address that identify a client."),
    (
        "hosts",
        "Host names of this gateway, such as `photos.example.org` or `*.example.org`, without ports. A request for another name is rejected with 421. If empty, a server on a loopback address accepts `localhost` and addresses only.",
    ),
    (
        "allow",
        "Allowed client addresses, as addresses or ranges. If not empty, all others are rejected with 403.",
    ),
    ("deny", "Denied client addresses, as addresses or ranges. Takes precedence over `allow`."),
    ("anonymous", "Whether clients without an API key may colour photos and fetch results."),
];

/// The header in which trusted proxies send the client's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, which most proxies send.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientsConfig {
    /// Addresses of our own reverse proxies, whose forwarded header is trusted.
    pub trusted_proxies: Vec<IpNet>,
    pub forwarded_header: ForwardedHeader,
    /// Number of leading bits of an IPv6 address that identify one client.
    pub ipv6_prefix: u8,
    /// The accepted names of this gateway in `Host`. If the list is empty, a server on a loopback address accepts
    /// only `localhost` and IP addresses.
    pub hosts: Vec<HostPattern>,
    /// Which addresses are allowed and blocked.
    pub lists: AddressFilter,
    /// Whether clients without an API key may colour photos.
    pub anonymous: bool,
}

impl Default for ClientsConfig {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
            ipv6_prefix: 64,
            hosts: Vec::new(),
            lists: AddressFilter::default(),
            anonymous: true,
        }
    }
}

impl ClientsConfig {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        const HEADERS: [(&str, ForwardedHeader); 2] =
            [("x-forwarded-for", ForwardedHeader::XForwardedFor), ("forwarded", ForwardedHeader::Forwarded)];
        table.describe(WORDS);
        let default = Self::default();
        let range = ("an address or a range of addresses (CIDR)", "10.0.0.0/8");
        let trusted_proxies = table.list("trusted_proxies", default.trusted_proxies, range, network);
        if let Some(all) = trusted_proxies.iter().find(|net| net.prefix_len() == 0) {
            table.warning(format!("`trusted_proxies` has {all}: every client could choose its own address"));
        }
        Self {
            trusted_proxies,
            forwarded_header: table.choice("forwarded_header", &HEADERS).unwrap_or_default(),
            ipv6_prefix: table.whole("ipv6_prefix", default.ipv6_prefix, 1..=128),
            hosts: table.list(
                "hosts",
                default.hosts,
                ("a host without a port", "photos.example.org"),
                |text| HostPattern::parse(text).filter(|pattern| !pattern.has_port()),
            ),
            lists: AddressFilter {
                allow: table.list("allow", default.lists.allow, range, network),
                deny: table.list("deny", default.lists.deny, range, network),
            },
            anonymous: table.flag("anonymous", default.anonymous),
        }
    }
}

/// Parses a range or a single address. An IPv4-mapped IPv6 address becomes IPv4, as clients' addresses do.
fn network(text: &str) -> Option<IpNet> {
    let net = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    match (net.addr().to_canonical(), net.prefix_len().checked_sub(96)) {
        (address @ IpAddr::V4(_), Some(prefix)) => IpNet::new(address, prefix).ok(),
        _ => Some(net),
    }
}
