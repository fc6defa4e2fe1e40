//! Identifies clients for limits, by the API key or, without a key, by the address. Only the network part of an IPv6
//! address counts, because one household has at least a /64.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::words::LimitScope;

/// The client to which a share or a counter of a rate limit belongs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClientBucket {
    /// A network that counts as one client: an IPv4 address or an IPv6 prefix.
    Network(IpNet),
    /// An API key, by its name.
    Key(String),
    /// All clients together.
    All,
}

impl ClientBucket {
    /// The client at an address, without a key.
    pub fn network(address: IpAddr, ipv6_prefix: u8) -> Self {
        let prefix = match address.to_canonical() {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => ipv6_prefix.min(128),
        };
        Self::Network(cut(address.to_canonical(), prefix))
    }

    /// The bucket of this client for a limit; `None` if the limit does not apply to it.
    pub fn under(&self, by: LimitScope) -> Option<Self> {
        match (by, self) {
            (LimitScope::All, _) => Some(Self::All),
            (LimitScope::Client, Self::Network(_)) | (LimitScope::Key, Self::Key(_)) => Some(self.clone()),
            (LimitScope::Client | LimitScope::Key, _) => None,
        }
    }

    /// A larger network that contains this one, for when there are too many clients to count separately. Keys are
    /// unchanged.
    pub(super) fn coarse(&self) -> Self {
        match self {
            Self::Network(IpNet::V4(net)) => Self::Network(cut(net.addr().into(), net.prefix_len().min(16))),
            Self::Network(IpNet::V6(net)) => Self::Network(cut(net.addr().into(), net.prefix_len().min(32))),
            Self::Key(_) | Self::All => self.clone(),
        }
    }
}

fn cut(address: IpAddr, prefix: u8) -> IpNet {
    match address {
        IpAddr::V4(address) => {
            Ipv4Net::new(address, prefix).unwrap_or_else(|_| address.into()).trunc().into()
        }
        IpAddr::V6(address) => {
            Ipv6Net::new(address, prefix).unwrap_or_else(|_| address.into()).trunc().into()
        }
    }
}

/// `ip:192.0.2.1`, `ip:2001:db8::/64`, `key:bob`, `all`: the name in the ledger, limits and logs.
impl fmt::Display for ClientBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(net) if net.prefix_len() == net.max_prefix_len() => write!(f, "ip:{}", net.addr()),
            Self::Network(net) => write!(f, "ip:{net}"),
            Self::Key(name) => write!(f, "key:{name}"),
            Self::All => f.write_str("all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_or_an_ipv6_network_is_a_client() {
        for (address, prefix, shown) in [
            ("192.0.2.1", 64, "192.0.2.1"),
            ("::ffff:192.0.2.1", 64, "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::/64"),
            ("2001:db8:1:2:3:4:5:6", 56, "2001:db8:1::/56"),
            ("2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6"),
            ("::1", 64, "::/64"),
        ] {
            let bucket = ClientBucket::network(address.parse().unwrap(), prefix);
            assert_eq!(bucket.to_string(), format!("ip:{shown}"), "{address}");
        }
    }

    #[test]
    fn a_limit_counts_the_clients_of_its_scope() {
        let network = ClientBucket::network("192.0.2.1".parse().unwrap(), 64);
        let key = ClientBucket::Key("bob".into());
        assert_eq!(network.under(LimitScope::Client).as_ref(), Some(&network));
        assert_eq!(network.under(LimitScope::Key), None);
        assert_eq!(key.under(LimitScope::Client), None);
        assert_eq!(key.under(LimitScope::Key).as_ref(), Some(&key));
        assert_eq!(
            (network.under(LimitScope::All), key.under(LimitScope::All)),
            (Some(ClientBucket::All), Some(ClientBucket::All))
        );
    }

    #[test]
    fn a_coarse_client_is_a_large_network() {
        for (address, shown) in [("192.0.2.1", "192.0.0.0/16"), ("2001:db8:1:2:3:4:5:6", "2001:db8::/32")] {
            let bucket = ClientBucket::network(address.parse().unwrap(), 64);
            assert_eq!(bucket.coarse().to_string(), format!("ip:{shown}"));
        }
        assert_eq!(ClientBucket::Key("bob".into()).coarse().to_string(), "key:bob");
    }
}
