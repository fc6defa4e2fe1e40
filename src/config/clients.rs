//! Settings that identify clients by address, also behind proxies, and the lists of allowed and blocked addresses.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use super::http::HostPattern;
use super::kinds::{List, kind};

/// The header in which trusted proxies send the client's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, which most proxies send.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema, SmartDefault)]
#[serde(default)]
pub struct ClientsConfig {
    /// Your reverse proxies, as addresses or ranges. Forwarding headers are trusted from them only.
    #[serde(with = "List::<Network>")]
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which those proxies name the client.
    pub forwarded_header: ForwardedHeader,
    /// Number of leading bits of an IPv6 address that identify a client.
    #[schemars(range(min = 1, max = 128))]
    #[default = 64]
    pub ipv6_prefix: u8,
    /// Host names of this gateway, such as `photos.example.org` or `*.example.org`, without ports. A request for
    /// another name is rejected with 421. If empty, a server that listens on a loopback address accepts only
    /// `localhost` and IP addresses.
    #[serde(with = "List::<OwnHost>")]
    pub hosts: Vec<HostPattern>,
    /// Allowed client addresses, as addresses or ranges. If not empty, all others are rejected with 403.
    #[serde(with = "List::<Network>")]
    pub allow: Vec<IpNet>,
    /// Denied client addresses, as addresses or ranges. Takes precedence over `allow`.
    #[serde(with = "List::<Network>")]
    pub deny: Vec<IpNet>,
    /// Whether clients without an API key may colour photos and fetch results.
    #[default = true]
    pub anonymous: bool,
}

impl ClientsConfig {
    pub(super) fn warning(&self) -> Option<String> {
        let all = self.trusted_proxies.iter().find(|net| net.prefix_len() == 0)?;
        Some(format!("`trusted_proxies` has {all}: every client could choose its own address"))
    }

    /// Whether `allow` and `deny` let an address in. IPv4-mapped IPv6 counts as IPv4. A packet filter cannot do this
    /// behind the network rules of a container engine.
    pub fn let_in(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let within = |list: &[IpNet]| list.iter().any(|net| net.contains(&address));
        !within(&self.deny) && (self.allow.is_empty() || within(&self.allow))
    }
}

kind!(Network: IpNet, "network", "an address or a range of addresses (CIDR)", "10.0.0.0/8", |text| network(text));
kind!(
    /// A name of this gateway.
    OwnHost: HostPattern, "own-host", "a host without a port", "photos.example.org", |text| {
        HostPattern::parse(text).filter(|pattern| !pattern.has_port())
    }
);

/// Parses a range or a single address. An IPv4-mapped IPv6 address becomes IPv4, as clients' addresses do.
fn network(text: &str) -> Option<IpNet> {
    let net = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    match (net.addr().to_canonical(), net.prefix_len().checked_sub(96)) {
        (address @ IpAddr::V4(_), Some(prefix)) => IpNet::new(address, prefix).ok(),
        _ => Some(net),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deny_takes_precedence_and_a_non_empty_allow_rejects_all_others() {
        let nets = |text: &str| text.split_whitespace().map(|net| net.parse().unwrap()).collect();
        for (allow, deny, address, expected) in [
            ("", "", "192.0.2.1", true),
            ("", "192.0.2.0/24", "192.0.2.1", false),
            ("", "192.0.2.0/24", "::ffff:192.0.2.1", false),
            ("", "192.0.2.0/24", "192.0.3.1", true),
            ("", "2001:db8::/32", "2001:db8:1::1", false),
            ("192.0.2.0/24", "", "192.0.2.1", true),
            ("192.0.2.0/24", "", "192.0.3.1", false),
            ("192.0.2.0/24", "", "2001:db8::1", false),
            ("192.0.2.0/24 2001:db8::/32", "192.0.2.7/32", "192.0.2.7", false),
            ("192.0.2.0/24 2001:db8::/32", "192.0.2.7/32", "2001:db8::1", true),
        ] {
            let clients = ClientsConfig { allow: nets(allow), deny: nets(deny), ..ClientsConfig::default() };
            assert_eq!(clients.let_in(address.parse().unwrap()), expected, "{allow} / {deny} / {address}");
        }
    }
}
