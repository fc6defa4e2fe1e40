//! IP addresses that outgoing requests may connect to, and those that lead into the operator's own network.
//!
//! The tables follow IANA's registries of special-purpose addresses (RFC 6890). An IPv6 address that contains an IPv4
//! address is refused, except by `Anywhere`: hosts of results have such an address only to evade a check of the IPv4
//! address.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::{IpNet, Ipv6Net};
use url::{Host, Url};

/// The addresses to which connections are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressPolicy {
    /// All addresses. Used only for a host that the operator configured and whose replies cannot name another host.
    Anywhere,
    /// Public addresses and those of the operator's own networks.
    Private,
    /// Public addresses only.
    Public,
}

/// An address to which connections are forbidden.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {what}{}", if *.private { ", which `allow_private = true` in the provider's file would allow" } else { "" })]
pub struct ForbiddenAddress {
    address: IpAddr,
    what: &'static str,
    /// Whether the operator can allow it with `allow_private`.
    private: bool,
}

/// Metadata services of clouds, which return credentials of the machine. Refused, except by `Anywhere`, although some
/// are within the ranges of `PRIVATE` and `CARRIER`. `NEVER` covers those at link-local addresses.
const METADATA_SERVICES: [(&str, &str); 4] = [
    // In this order: Amazon, Google, Alibaba, and Azure's host agent.
    ("fd00:ec2::254/128", "a cloud's metadata service"),
    ("fd20:ce::254/128", "a cloud's metadata service"),
    ("100.100.100.200/32", "a cloud's metadata service"),
    ("168.63.129.16/32", "a cloud's metadata service"),
];

/// The operator's own networks, which `allow_private` allows.
const PRIVATE: [(&str, &str); 6] = [
    ("127.0.0.0/8", "this machine itself"),
    ("::1/128", "this machine itself"),
    ("10.0.0.0/8", "a private address"),
    ("172.16.0.0/12", "a private address"),
    ("192.168.0.0/16", "a private address"),
    ("fc00::/7", "a private address"),
];

/// Addresses that the customers of an internet provider share. They are treated as private.
const CARRIER: (&str, &str) = ("100.64.0.0/10", "an address inside a carrier's network");

/// Refused, except by `Anywhere`. Most metadata services of clouds are link-local.
const NEVER: [(&str, &str); 25] = [
    ("0.0.0.0/8", "no host's address"),
    ("169.254.0.0/16", "a link-local address"),
    ("192.0.0.0/24", "a reserved address"),
    ("192.0.2.0/24", "an address for documentation"),
    ("192.88.99.0/24", "a reserved address"),
    ("198.18.0.0/15", "an address for tests of networks"),
    ("198.51.100.0/24", "an address for documentation"),
    ("203.0.113.0/24", "an address for documentation"),
    ("224.0.0.0/4", "a multicast address"),
    ("240.0.0.0/4", "a reserved address"),
    ("::/128", "no host's address"),
    ("::/96", "an IPv4 address inside an IPv6 one"),
    ("::ffff:0:0/96", "an IPv4 address inside an IPv6 one"),
    ("::ffff:0:0:0/96", "an IPv4 address inside an IPv6 one"),
    ("64:ff9b::/96", "an IPv4 address inside an IPv6 one"),
    ("64:ff9b:1::/48", "an IPv4 address inside an IPv6 one"),
    ("2002::/16", "an IPv4 address inside an IPv6 one"),
    ("2001::/32", "an IPv4 address inside an IPv6 one"),
    ("2001::/23", "a reserved address"),
    ("2001:db8::/32", "an address for documentation"),
    ("3fff::/20", "an address for documentation"),
    ("fe80::/10", "a link-local address"),
    ("fec0::/10", "a reserved address"),
    ("ff00::/8", "a multicast address"),
    ("100::/64", "a reserved address"),
];

/// The range of global unicast IPv6 addresses.
const GLOBAL: &str = "2000::/3";

struct SpecialRange {
    net: IpNet,
    what: &'static str,
    private: bool,
}

/// The tables; the first row that contains an address decides. If a row cannot be parsed, no address is allowed, so
/// that an error in the tables is not a security hole. A test parses all rows.
static ROWS: LazyLock<Option<(Vec<SpecialRange>, Ipv6Net)>> = LazyLock::new(|| {
    let row = |private: bool| {
        move |(net, what): &(&str, &'static str)| Some(SpecialRange { net: net.parse().ok()?, what, private })
    };
    let own = PRIVATE.iter().chain([&CARRIER]).map(row(true));
    let clouds = METADATA_SERVICES.iter().map(row(false));
    let rows = clouds.chain(own).chain(NEVER.iter().map(row(false))).collect::<Option<_>>()?;
    Some((rows, GLOBAL.parse().ok()?))
});

/// Checks whether connections to an address are allowed.
pub fn check(address: IpAddr, reach: AddressPolicy) -> Result<(), ForbiddenAddress> {
    if reach == AddressPolicy::Anywhere {
        return Ok(());
    }
    let forbidden = |what, private| Err(ForbiddenAddress { address, what, private });
    let Some((rows, global)) = &*ROWS else {
        return forbidden("not allowed, because the table of special addresses cannot be read", false);
    };
    match (rows.iter().find(|row| row.net.contains(&address)), address) {
        (Some(row), _) if row.private && reach == AddressPolicy::Private => Ok(()),
        (Some(row), _) => forbidden(row.what, row.private),
        (None, IpAddr::V6(v6)) if isatap(v6) => forbidden("an IPv4 address inside an IPv6 one", false),
        (None, IpAddr::V6(v6)) if !global.contains(&v6) => forbidden("a reserved address", false),
        (None, _) => Ok(()),
    }
}

/// Checks the host of a URL if it is an IP address. A name passes; `Names` checks it when it is resolved.
pub fn literal(url: &Url, reach: AddressPolicy) -> Result<(), ForbiddenAddress> {
    match url.host() {
        Some(Host::Ipv4(address)) => check(address.into(), reach),
        Some(Host::Ipv6(address)) => check(address.into(), reach),
        Some(Host::Domain(_)) | None => Ok(()),
    }
}

/// ISATAP (RFC 5214): the lower 64 bits are `0000:5EFE` or `0200:5EFE`, followed by an IPv4 address.
fn isatap(address: Ipv6Addr) -> bool {
    let [.., upper, lower, _, _] = address.segments();
    upper & !0x0200 == 0 && lower == 0x5efe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_address_is_refused_and_its_neighbors_are_not() {
        use AddressPolicy::{Anywhere, Private, Public};
        // Address; allowed with `Public`; allowed with `Private`.
        let rows = [
            ("8.8.8.8", true, true),
            ("1.1.1.1", true, true),
            ("9.255.255.255", true, true),
            ("11.0.0.0", true, true),
            ("100.63.255.255", true, true),
            ("100.128.0.0", true, true),
            ("126.255.255.255", true, true),
            ("128.0.0.0", true, true),
            ("172.15.255.255", true, true),
            ("172.32.0.0", true, true),
            ("192.167.255.255", true, true),
            ("192.169.0.0", true, true),
            ("198.17.255.255", true, true),
            ("198.20.0.0", true, true),
            ("223.255.255.255", true, true),
            ("2606:4700:4700::1111", true, true),
            ("2a00:1450:4001:81b::200e", true, true),
            ("2003::1", true, true),
            ("127.0.0.1", false, true),
            ("127.255.255.254", false, true),
            ("10.0.0.1", false, true),
            ("10.255.255.255", false, true),
            ("172.16.0.1", false, true),
            ("172.31.255.255", false, true),
            ("192.168.0.1", false, true),
            ("192.168.255.255", false, true),
            ("100.64.0.1", false, true),
            ("100.127.255.255", false, true),
            ("::1", false, true),
            ("fc00::1", false, true),
            ("fd12:3456:789a::1", false, true),
            ("fd00:ec2::254", false, false),
            ("fd00:ec2::253", false, true),
            ("fd20:ce::254", false, false),
            ("100.100.100.200", false, false),
            ("100.100.100.201", false, true),
            ("168.63.129.16", false, false),
            ("168.63.129.17", true, true),
            ("0.0.0.0", false, false),
            ("0.1.2.3", false, false),
            ("169.254.169.254", false, false),
            ("169.254.0.1", false, false),
            ("192.0.0.170", false, false),
            ("192.0.2.1", false, false),
            ("192.88.99.1", false, false),
            ("198.18.0.1", false, false),
            ("198.19.255.255", false, false),
            ("198.51.100.7", false, false),
            ("203.0.113.7", false, false),
            ("224.0.0.1", false, false),
            ("239.255.255.255", false, false),
            ("240.0.0.1", false, false),
            ("255.255.255.255", false, false),
            ("::", false, false),
            ("::127.0.0.1", false, false),
            ("::8.8.8.8", false, false),
            ("::ffff:127.0.0.1", false, false),
            ("::ffff:10.0.0.1", false, false),
            ("::ffff:8.8.8.8", false, false),
            ("::ffff:0:127.0.0.1", false, false),
            ("64:ff9b::7f00:1", false, false),
            ("64:ff9b::808:808", false, false),
            ("64:ff9b:1::a00:1", false, false),
            ("2002:7f00:1::1", false, false),
            ("2002:808:808::1", false, false),
            ("2001:0:4136:e378:8000:63bf:80ff:fffe", false, false),
            ("2001:2::1", false, false),
            ("2001:10::1", false, false),
            ("2001:db8::1", false, false),
            ("3fff::1", false, false),
            ("2a00:1450::5efe:7f00:1", false, false),
            ("2a00:1450::200:5efe:a00:1", false, false),
            ("fe80::1", false, false),
            ("fe80::5efe:10.0.0.1", false, false),
            ("fec0::1", false, false),
            ("ff02::1", false, false),
            ("100::1", false, false),
            ("5f00::1", false, false),
            ("4000::1", false, false),
            ("1::1", false, false),
        ];
        assert!(rows.len() >= 60);
        for (text, public, private) in rows {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(check(address, Public).is_ok(), public, "{text}");
            assert_eq!(check(address, Private).is_ok(), private, "{text}");
            assert!(check(address, Anywhere).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_error_names_the_kind_of_address_and_the_key_that_allows_it() {
        let said = |text: &str| check(text.parse().unwrap(), AddressPolicy::Public).unwrap_err().to_string();
        assert_eq!(
            said("10.0.0.5"),
            "10.0.0.5 is a private address, which `allow_private = true` in the provider's file would allow"
        );
        assert_eq!(said("169.254.169.254"), "169.254.169.254 is a link-local address");
        assert_eq!(said("::ffff:8.8.8.8"), "::ffff:8.8.8.8 is an IPv4 address inside an IPv6 one");
    }

    #[test]
    fn an_address_is_recognised_in_every_notation_of_a_url() {
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "2130706433",
            "0x7f000001",
            "017700000001",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "127。0。0。1",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "0",
            "169.254.169.254",
            "[fe80::1]",
        ] {
            let url = Url::parse(&format!("http://{host}/x")).unwrap();
            assert!(literal(&url, AddressPolicy::Public).is_err(), "{host}");
        }
        for host in ["example.com", "8.8.8.8", "[2606:4700:4700::1111]"] {
            assert_eq!(
                literal(&Url::parse(&format!("http://{host}/")).unwrap(), AddressPolicy::Public),
                Ok(()),
                "{host}"
            );
        }
    }
}
