//! Whether a client's connection is still open.
//!
//! Rocket does not tell a handler that its client has left. The kernel lists the TCP connections of this machine
//! (`/proc/self/net/tcp`, `tcp6`). After the client or a proxy has closed a connection, its state is no longer
//! ESTABLISHED, or it is missing from the list. Reading the list takes time, so it is read only before a call that
//! costs credit.

use std::net::{IpAddr, SocketAddr};
use std::sync::Once;

use procfs::ProcResult;
use procfs::net::{TcpNetEntry, TcpState};
use procfs::process::Process;
use rocket::Request;

use crate::gateway::Connection;

/// How many readings of the list in a row must not show a connection as open before it counts as closed. The kernel
/// writes the list in pieces. If other connections open or close meanwhile, a reading can miss an entry.
const LOOKS: usize = 3;

/// A TCP connection, from the server's side.
#[derive(Clone, Copy, Debug)]
pub struct TcpConnection {
    /// The port that this server listens on.
    port: u16,
    peer: SocketAddr,
}

impl TcpConnection {
    /// The connection of a request; `None` unless it is TCP.
    pub fn of(request: &Request<'_>) -> Option<Self> {
        Some(Self { port: request.rocket().config().port, peer: request.remote()? })
    }

    fn find(&self) -> ProcResult<bool> {
        let this = Process::myself()?;
        // A dual-stack listener's IPv4 peers are in the list for IPv6.
        let entries = if self.peer.is_ipv6() { this.tcp6() } else { this.tcp() }?;
        Ok(entries.iter().any(|entry| self.is(entry)))
    }

    fn is(&self, entry: &TcpNetEntry) -> bool {
        let peer = |address: SocketAddr| -> (IpAddr, u16) { (address.ip(), address.port()) };
        entry.state == TcpState::Established
            && entry.local_address.port() == self.port
            && peer(entry.remote_address) == peer(self.peer)
    }
}

impl Connection for TcpConnection {
    fn is_open(&self) -> bool {
        static WARNED: Once = Once::new();
        (0..LOOKS).any(|_| {
            self.find().unwrap_or_else(|error| {
                WARNED.call_once(|| {
                    tracing::warn!(
                        "the list of connections in /proc/self/net cannot be read, so calls are also made for clients \
                         that have left: {error}"
                    );
                });
                true
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Shutdown, TcpListener, TcpStream};

    use super::*;

    /// Both ends of a new connection to a listener, and the `TcpConnection` that describes it.
    fn connect(listen: &str, to: IpAddr) -> (TcpStream, TcpStream, TcpConnection) {
        let listener = TcpListener::bind(listen).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect((to, port)).unwrap();
        let (server, peer) = listener.accept().unwrap();
        (client, server, TcpConnection { port, peer })
    }

    #[test]
    fn a_connection_is_open_until_the_client_closes_it_or_its_sending_half() {
        for (listen, to) in [
            ("127.0.0.1:0", [127, 0, 0, 1].into()),
            ("[::1]:0", IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)),
            // The peer's address is ::ffff:127.0.0.1.
            ("[::]:0", [127, 0, 0, 1].into()),
        ] {
            let (client, server, connection) = connect(listen, to);
            assert!(connection.is_open(), "{connection:?}");
            drop(client);
            assert!(!connection.is_open(), "{connection:?}");
            drop(server);
            assert!(!connection.is_open(), "{connection:?}");

            let (mut client, _server, connection) = connect(listen, to);
            // Unread bytes hide the end of a stream from a reader, but not from the list.
            client.write_all(b"more").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            assert!(!connection.is_open(), "{connection:?}");
        }
    }

    #[test]
    fn another_clients_connection_does_not_count() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let clients = [0, 1].map(|_| TcpStream::connect(address).unwrap());
        let accepted = [0, 1].map(|_| listener.accept().unwrap());
        let connections = [0, 1].map(|n: usize| TcpConnection { port: address.port(), peer: accepted[n].1 });
        let [one, other] = clients;
        drop(one);
        assert_eq!(connections.map(|connection| connection.is_open()), [false, true]);
        drop(other);
    }
}
