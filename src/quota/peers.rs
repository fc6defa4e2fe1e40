//! Observes where requests come from, and warns about two network setups.
//!
//! First: behind the userland proxy of a container engine or rootless networking, all requests come from one private
//! address without a forwarding header, so all clients share one client's limits. Second: the forwarding headers of a
//! proxy that is not trusted have no effect. Neither setup causes an error, so both are reported here.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use ipnet::IpNet;

/// How many requests are observed before [`Notice::OnePeer`].
const ENOUGH: u32 = 100;

/// At this number of counted requests, all counts are halved, so that old requests weigh less than new ones.
const PLENTY: u32 = 1_000;

/// The percentage of requests that counts as nearly all.
const NEARLY_ALL: u32 = 95;

#[derive(Debug, Default)]
pub struct Peers(Mutex<PeerCounts>);

#[derive(Debug, Default)]
struct PeerCounts {
    requests: u32,
    /// The candidate for the most frequent peer.
    peer: Option<IpAddr>,
    /// Requests from that peer minus requests from all others, since the peer became the candidate.
    its: u32,
    /// Whether [`Notice::OnePeer`] was returned.
    told_lonely: bool,
    /// Whether [`Notice::Forwarder`] was returned, first for public and then for private peers.
    told_forwarded: [bool; 2],
    /// The last private peer that sent a forwarding header and is not trusted.
    forwarder: Option<IpAddr>,
}

/// What was observed about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// Whether a header names another client.
    pub forwarded: bool,
    /// Whether the peer is a trusted proxy.
    pub trusted: bool,
    /// Whether only programs on this machine can connect, which explains a single peer.
    pub near: bool,
}

/// A notice for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Nearly all requests come from this private address.
    OnePeer(IpAddr),
    /// This peer sends forwarding headers and is not trusted.
    Forwarder(IpAddr),
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OnePeer(peer) => write!(
                f,
                "nearly all requests come from {peer} without a forwarding header: if that is a container engine or another proxy, all clients share the limits of one client (see docs/network.md)"
            ),
            Self::Forwarder(peer) => write!(
                f,
                "{peer} sends forwarding headers and is not in `trusted_proxies`, so they are ignored: if it is your proxy, add it there (see docs/network.md)"
            ),
        }
    }
}

impl Notice {
    /// The notice for the log. A private address is logged in full, because it is one of the operator's machines. Of
    /// any other address, only the network is logged.
    pub fn logged(self, network: impl FnOnce(IpAddr) -> IpNet) -> String {
        let (Self::OnePeer(peer) | Self::Forwarder(peer)) = self;
        match is_private(peer) {
            true => self.to_string(),
            false => self.to_string().replace(&peer.to_string(), &network(peer).to_string()),
        }
    }
}

impl Peers {
    /// Counts a request. Returns a notice the first time that it applies.
    pub fn note(&self, Visit { peer, forwarded, trusted, near }: Visit) -> Option<Notice> {
        let peer = peer.to_canonical();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if forwarded {
            seen.count(None);
            return (!trusted).then(|| seen.forwarded_by(peer)).flatten();
        }
        // A trusted proxy that names no client counts like any peer.
        seen.count(Some(peer).filter(|_| !near));
        let lonely = seen.lonely().filter(|_| !seen.told_lonely)?;
        seen.told_lonely = true;
        Some(Notice::OnePeer(lonely))
    }

    /// The current notices. Any client may see them, because they contain only private addresses.
    pub fn notices(&self) -> Vec<Notice> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lonely = seen.lonely().map(Notice::OnePeer);
        lonely.into_iter().chain(seen.forwarder.map(Notice::Forwarder)).collect()
    }
}

impl PeerCounts {
    /// Notes that a peer sends forwarding headers. The notice is returned once for public and once for private peers:
    /// any client may send such headers, and a notice about a client must not suppress the one about a private proxy.
    fn forwarded_by(&mut self, peer: IpAddr) -> Option<Notice> {
        let near = is_private(peer);
        if near {
            self.forwarder = Some(peer);
        }
        let told = &mut self.told_forwarded[usize::from(near)];
        (!std::mem::replace(told, true)).then_some(Notice::Forwarder(peer))
    }

    /// Counts a request and tracks the candidate for the majority peer (Boyer-Moore: each request of another peer
    /// cancels one of the candidate's).
    fn count(&mut self, peer: Option<IpAddr>) {
        if self.requests >= PLENTY {
            self.requests /= 2;
            self.its /= 2;
        }
        self.requests += 1;
        match (peer, self.peer) {
            (Some(peer), Some(candidate)) if peer == candidate => self.its += 1,
            (Some(peer), _) if self.its == 0 => (self.peer, self.its) = (Some(peer), 1),
            _ => self.its = self.its.saturating_sub(1),
        }
    }

    /// The private address from which nearly all requests come. With rootless engines, that is this machine's loopback
    /// address.
    fn lonely(&self) -> Option<IpAddr> {
        let peer = self.peer.filter(|peer| is_private(*peer))?;
        // `self.its` is the peer's requests minus all others, so this is the number of the peer's requests. It is an
        // estimate if another peer was the candidate before.
        let its = (self.requests + self.its) / 2;
        (self.requests >= ENOUGH && its * 100 >= self.requests * NEARLY_ALL).then_some(peer)
    }
}

/// Addresses of private networks, by RFC 1918, RFC 6598, RFC 3927, RFC 4193 and RFC 4291, and of this machine.
fn is_private(address: IpAddr) -> bool {
    let here = address.is_loopback();
    here || match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private() || address.is_link_local() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn told(peers: &Peers, peer: &str, times: usize) -> Vec<Notice> {
        (0..times).filter_map(|_| peers.note(visit(ip(peer)))).collect()
    }

    fn visit(peer: IpAddr) -> Visit {
        Visit { peer, forwarded: false, trusted: false, near: false }
    }

    fn forwarded(peer: IpAddr) -> Visit {
        Visit { forwarded: true, ..visit(peer) }
    }

    #[test]
    fn one_private_peer_behind_nearly_all_requests_is_reported_once() {
        for peer in [
            "172.17.0.1",
            "10.0.2.2",
            "192.168.65.1",
            "100.64.0.1",
            "fd00::1",
            "::ffff:172.17.0.1",
            "127.0.0.1",
        ] {
            let peers = Peers::default();
            let notice = Notice::OnePeer(ip(peer).to_canonical());
            assert_eq!(told(&peers, peer, 99), [], "{peer}");
            assert_eq!(told(&peers, peer, 5_000), [notice], "{peer}");
            assert_eq!(peers.notices(), [notice], "{peer}");
            assert!(notice.to_string().contains(&ip(peer).to_canonical().to_string()));
        }
    }

    #[test]
    fn no_notice_for_public_peers_or_a_loopback_listener() {
        for peer in ["198.51.100.1", "2001:db8::1", "172.32.0.1", "100.128.0.1"] {
            let peers = Peers::default();
            assert_eq!(told(&peers, peer, 5_000), [], "{peer}");
            assert_eq!(peers.notices(), [], "{peer}");
        }
        let peers = Peers::default();
        for _ in 0..5_000 {
            assert_eq!(peers.note(Visit { near: true, ..visit(ip("127.0.0.1")) }), None);
        }
        assert_eq!(peers.notices(), []);
    }

    #[test]
    fn the_notice_needs_nearly_all_requests_from_one_peer() {
        let mixed = |every: usize| {
            let peers = Peers::default();
            for number in 0..2_000 {
                let peer = if number % every == 0 { "192.168.1.9" } else { "172.17.0.1" };
                peers.note(visit(ip(peer)));
            }
            peers.notices()
        };
        assert_eq!(mixed(50), [Notice::OnePeer(ip("172.17.0.1"))]);
        assert_eq!(mixed(10), []);
        assert_eq!(mixed(2), []);
    }

    #[test]
    fn old_requests_weigh_less_than_new_ones() {
        let peers = Peers::default();
        told(&peers, "172.17.0.1", 500);
        assert_eq!(peers.notices().len(), 1);
        for number in 0..2_000_u32 {
            peers.note(visit(IpAddr::from((0xC633_6400 | (number % 200)).to_be_bytes())));
        }
        assert_eq!(peers.notices(), []);
    }

    #[test]
    fn an_untrusted_proxy_is_reported_once_and_a_trusted_one_never() {
        let peers = Peers::default();
        let proxy = ip("127.0.0.1");
        assert_eq!(peers.note(forwarded(proxy)), Some(Notice::Forwarder(proxy)));
        assert_eq!(peers.note(forwarded(proxy)), None);
        assert_eq!(peers.notices(), [Notice::Forwarder(proxy)]);
        let peers = Peers::default();
        let stranger = ip("198.51.100.1");
        assert_eq!(peers.note(forwarded(stranger)), Some(Notice::Forwarder(stranger)));
        assert_eq!(peers.notices(), [], "the address of another client must not be shown");
        assert_eq!(peers.note(forwarded(proxy)), Some(Notice::Forwarder(proxy)));
        let peers = Peers::default();
        for _ in 0..500 {
            assert_eq!(peers.note(Visit { trusted: true, ..forwarded(ip("172.17.0.1")) }), None);
        }
        assert_eq!(peers.notices(), []);
    }
}
