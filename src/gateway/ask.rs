//! What a client asks for, and who the client is.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::photo::OutputFormat;

/// SHA-256 of an upload's picture bytes; never of multipart, JSON or base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// The bytes a client sent, as received, and their fingerprint.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The picture's bytes.
    pub bytes: Bytes,
    /// Their SHA-256.
    pub fingerprint: Fingerprint,
}

impl Upload {
    /// Takes bytes that are whole already, and hashes them.
    pub fn new(bytes: Bytes) -> Self {
        let fingerprint = Fingerprint(Sha256::digest(&bytes).into());
        Self { bytes, fingerprint }
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The address by the rules of `web::guards::client`; `None` for the command line.
    pub address: Option<IpAddr>,
    /// The key it sent, if any.
    pub key: Option<ClientKey>,
}

impl Client {
    /// Whose spending its calls are, for budgets of each client: its address. A key would do only if it
    /// were checked, since anybody can make up a new one for each request.
    pub fn account(&self, ipv6_prefix: u8) -> Option<String> {
        self.address.map(|address| match address {
            IpAddr::V4(address) => format!("ip:{address}"),
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(ipv6_prefix)).unwrap_or(0);
                format!("ip:{}/{ipv6_prefix}", Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        })
    }
}

/// A client's key. Never shown: its `Debug` is blank.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientKey(pub String);

impl std::fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientKey(…)")
    }
}

/// What a request allows to be done with what is kept: the request's `Cache-Control` (RFC 9111).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reuse {
    /// Whether an earlier result will do; not with `no-cache`, which forces a fresh call.
    pub find: bool,
    /// Whether the result may be kept; not with `no-store`, which leaves nothing behind.
    pub keep: bool,
}

impl Default for Reuse {
    fn default() -> Self {
        Self { find: true, keep: true }
    }
}

/// One request for a coloured picture.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The picture.
    pub upload: Upload,
    /// Only this provider, instead of the configured route.
    pub provider: Option<String>,
    /// The rendition's format; by default the upload's own, or PNG.
    pub format: Option<OutputFormat>,
    /// Who asks.
    pub client: Client,
    /// What may be done with what is kept.
    pub reuse: Reuse,
    /// When the answer is no longer wanted.
    pub deadline: Instant,
}
