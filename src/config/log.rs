//! Settings of the log.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;
use smart_default::SmartDefault;

/// Client addresses in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, SmartDefault)]
#[serde(default)]
pub struct LogConfig {
    /// Number of leading bits of a client's IPv4 address to log; 0 logs none.
    #[schemars(range(min = 0, max = 32))]
    #[default = 24]
    pub ipv4_prefix: u8,
    /// Number of leading bits of a client's IPv6 address to log; 0 logs none.
    #[schemars(range(min = 0, max = 128))]
    #[default = 48]
    pub ipv6_prefix: u8,
}

impl LogConfig {
    /// The part of an address that may be logged.
    pub fn network(&self, address: IpAddr) -> IpNet {
        let address = address.to_canonical();
        let prefix = if address.is_ipv4() { self.ipv4_prefix } else { self.ipv6_prefix };
        IpNet::new(address, prefix).map_or_else(|_| IpNet::from(address), |network| network.trunc())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_network_of_an_address_is_logged() {
        let logged = |config: LogConfig, address: &str| config.network(address.parse().unwrap()).to_string();
        let usual = LogConfig::default();
        assert_eq!(logged(usual, "203.0.113.77"), "203.0.113.0/24");
        assert_eq!(logged(usual, "::ffff:203.0.113.77"), "203.0.113.0/24");
        assert_eq!(logged(usual, "2001:db8:1:2:3::4"), "2001:db8:1::/48");
        let nothing = LogConfig { ipv4_prefix: 0, ipv6_prefix: 0 };
        assert_eq!(
            (logged(nothing, "203.0.113.77"), logged(nothing, "2001:db8::1")),
            ("0.0.0.0/0".into(), "::/0".into())
        );
        let all = LogConfig { ipv4_prefix: 32, ipv6_prefix: 128 };
        assert_eq!(logged(all, "203.0.113.77"), "203.0.113.77/32");
    }
}
