//! The client's address. It is the address of the peer, unless the peer is a trusted proxy. Then it is the right-most
//! hop that is not a trusted proxy. The client itself may have written the hops to the left of that hop.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use rocket::Request;

use crate::config::{ClientsConfig, ForwardedHeader};

/// Headers in which proxies name the client, whether or not this gateway uses them.
const FORWARDING: [&str; 3] = ["X-Forwarded-For", "Forwarded", "X-Real-IP"];

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOrigin {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// Whether the peer is a trusted proxy.
    pub trusted: bool,
    /// Whether the request has a header in which proxies name the client.
    pub forwarded: bool,
    /// The client's address.
    pub address: IpAddr,
}

impl ClientOrigin {
    pub fn of(request: &Request<'_>, config: &ClientsConfig) -> Self {
        let header = match config.forwarded_header {
            ForwardedHeader::XForwardedFor => "X-Forwarded-For",
            ForwardedHeader::Forwarded => "Forwarded",
        };
        let lines: Vec<&str> = request.headers().get(header).collect();
        let hops = hops(&lines, config.forwarded_header);
        // A connection without an address is not TCP; all such connections count as one client.
        let peer = request.remote().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip().to_canonical());
        Self {
            peer,
            trusted: config.trusted_proxies.iter().any(|net| net.contains(&peer)),
            forwarded: FORWARDING.iter().any(|name| request.headers().contains(name)),
            address: address(peer, &hops, &config.trusted_proxies),
        }
    }
}

/// An entry of a forwarding header; `None` if it is not an address.
pub type Hop = Option<IpAddr>;

/// Finds the client's address: starts at the peer and follows the hops from right to left as long as each address is a
/// trusted proxy. Before a malformed hop, and if all addresses are trusted, the last address counts as the client's.
/// IPv4-mapped IPv6 addresses become IPv4 addresses.
pub fn address(peer: IpAddr, hops: &[Hop], trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let mut client = peer.to_canonical();
    for hop in hops.iter().rev() {
        if !is_trusted(client) {
            break;
        }
        let Some(address) = hop else { break };
        client = address.to_canonical();
    }
    client
}

/// The hops in the lines of a forwarding header, left to right.
pub fn hops(lines: &[&str], header: ForwardedHeader) -> Vec<Hop> {
    match header {
        ForwardedHeader::XForwardedFor => {
            lines.iter().flat_map(|line| line.split(',')).map(|hop| parse(hop.trim())).collect()
        }
        ForwardedHeader::Forwarded => {
            lines.iter().flat_map(|line| split(line, ',')).map(forwarded_for).collect()
        }
    }
}

/// The `for` of one element of `Forwarded`, RFC 7239 section 4.
fn forwarded_for(element: &str) -> Hop {
    let value = split(element, ';').into_iter().find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    })?;
    let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    parse(bare)
}

/// Splits at a character outside of quotes.
fn split(text: &str, at: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c| {
        quoted ^= c == '"';
        c == at && !quoted
    })
    .collect()
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn parse(hop: &str) -> Hop {
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    hop.parse().ok().or_else(bracketed).or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUSTED: &str = "10.0.0.0/8 192.0.2.7/32 2001:db8:f::/48";

    #[track_caller]
    fn test(header: ForwardedHeader, peer: &str, lines: &[&str], expected: &str) {
        let trusted: Vec<IpNet> = TRUSTED.split(' ').map(|net| net.parse().unwrap()).collect();
        let found = address(peer.parse().unwrap(), &hops(lines, header), &trusted);
        assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "peer {peer}, {lines:?}");
    }

    #[test]
    fn the_client_is_the_right_most_untrusted_hop() {
        let xff =
            |peer, lines: &[&str], expected| test(ForwardedHeader::XForwardedFor, peer, lines, expected);
        // Without a forwarding header.
        xff("198.51.100.1", &[], "198.51.100.1");
        xff("10.0.0.1", &[], "10.0.0.1");
        xff("2001:db8::1", &[], "2001:db8::1");
        xff("::ffff:198.51.100.1", &[], "198.51.100.1");
        // An untrusted peer's header is ignored.
        xff("198.51.100.1", &["203.0.113.9"], "198.51.100.1");
        xff("198.51.100.1", &["10.0.0.2"], "198.51.100.1");
        xff("::ffff:198.51.100.1", &["203.0.113.9"], "198.51.100.1");
        xff("2001:db8::1", &["203.0.113.9"], "2001:db8::1");
        // One trusted proxy.
        xff("10.0.0.1", &["203.0.113.9"], "203.0.113.9");
        xff("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9");
        xff("192.0.2.7", &["203.0.113.9"], "203.0.113.9");
        xff("192.0.2.8", &["203.0.113.9"], "192.0.2.8");
        xff("2001:db8:f::1", &["2001:db8::9"], "2001:db8::9");
        xff("10.0.0.1", &["2001:db8::9"], "2001:db8::9");
        xff("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9");
        // Hops on the left come from the client.
        xff("10.0.0.1", &["198.18.0.1, 203.0.113.9"], "203.0.113.9");
        xff("10.0.0.1", &["10.0.0.9, 203.0.113.9"], "203.0.113.9");
        xff("10.0.0.1", &["198.18.0.1", "203.0.113.9"], "203.0.113.9");
        xff("10.0.0.1", &["203.0.113.9", "10.0.0.2"], "203.0.113.9");
        // A chain of proxies.
        xff("10.0.0.1", &["203.0.113.9, 10.0.0.2"], "203.0.113.9");
        xff("10.0.0.1", &["203.0.113.9,10.0.0.3,192.0.2.7"], "203.0.113.9");
        xff("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
        // Ports and brackets.
        xff("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9");
        xff("10.0.0.1", &["[2001:db8::9]:4711"], "2001:db8::9");
        xff("10.0.0.1", &["[2001:db8::9]"], "2001:db8::9");
        // A malformed hop ends the walk.
        xff("10.0.0.1", &["unknown"], "10.0.0.1");
        xff("10.0.0.1", &[""], "10.0.0.1");
        xff("10.0.0.1", &["203.0.113.9, "], "10.0.0.1");
        xff("10.0.0.1", &["203.0.113.9, nonsense, 10.0.0.2"], "10.0.0.2");
        xff("10.0.0.1", &["203.0.113.256"], "10.0.0.1");
        xff("10.0.0.1", &["203.0.113.9:99999"], "10.0.0.1");
        xff("10.0.0.1", &["203.0.113.9;10.0.0.2"], "10.0.0.1");
    }

    #[test]
    fn the_forwarded_header_is_parsed_as_in_rfc_7239() {
        let fwd = |peer, lines: &[&str], expected| test(ForwardedHeader::Forwarded, peer, lines, expected);
        fwd("198.51.100.1", &["for=203.0.113.9"], "198.51.100.1");
        fwd("10.0.0.1", &["for=203.0.113.9"], "203.0.113.9");
        fwd("10.0.0.1", &["For=203.0.113.9;proto=https"], "203.0.113.9");
        fwd("10.0.0.1", &["proto=https;for=203.0.113.9;by=10.0.0.1"], "203.0.113.9");
        fwd("10.0.0.1", &["for=\"[2001:db8::9]:4711\""], "2001:db8::9");
        fwd("10.0.0.1", &["for=\"[2001:db8::9]\""], "2001:db8::9");
        fwd("10.0.0.1", &["for=198.18.0.1, for=203.0.113.9"], "203.0.113.9");
        fwd("10.0.0.1", &["for=203.0.113.9", "for=10.0.0.2"], "203.0.113.9");
        fwd("10.0.0.1", &["for=\"a,b;c\", for=203.0.113.9"], "203.0.113.9");
        fwd("10.0.0.1", &["for=203.0.113.9, for=\"a,b;c\""], "10.0.0.1");
        fwd("10.0.0.1", &["for=_hidden"], "10.0.0.1");
        fwd("10.0.0.1", &["for=unknown"], "10.0.0.1");
        fwd("10.0.0.1", &["proto=https"], "10.0.0.1");
        fwd("10.0.0.1", &["for=203.0.113.9, proto=https"], "10.0.0.1");
        fwd("10.0.0.1", &["for=\""], "10.0.0.1");
    }
}
