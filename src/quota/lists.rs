//! Allow and deny lists of addresses. A packet filter cannot do this behind the network rules of a container engine.

use std::net::IpAddr;

use ipnet::IpNet;

/// Ranges of allowed and denied addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressFilter {
    /// If not empty, only these addresses are allowed.
    pub allow: Vec<IpNet>,
    /// Denied, even if also allowed.
    pub deny: Vec<IpNet>,
}

impl AddressFilter {
    /// Whether an address is allowed. IPv4-mapped IPv6 counts as IPv4.
    pub fn let_in(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let within = |list: &[IpNet]| list.iter().any(|net| net.contains(&address));
        !within(&self.deny) && (self.allow.is_empty() || within(&self.allow))
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
            let lists = AddressFilter { allow: nets(allow), deny: nets(deny) };
            assert_eq!(lists.let_in(address.parse().unwrap()), expected, "{allow} / {deny} / {address}");
        }
    }
}
