//! What a client asks for, and who the client is.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::photo::OutputFormat;
use crate::provider::Trace;
use crate::quota::{Admission, ClientBucket};

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
    /// With what it was let in, kept for as long as the bytes are; none for the command line's.
    pub ticket: Option<Arc<Admission>>,
}

impl Upload {
    /// Takes bytes that are whole already, and hashes them.
    pub fn new(bytes: Bytes) -> Self {
        let fingerprint = Fingerprint(Sha256::digest(&bytes).into());
        Self { bytes, fingerprint, ticket: None }
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The address by the rules of `web::guards::client`; `None` for the command line.
    pub address: Option<IpAddr>,
    /// The key it showed, if any.
    pub key: Option<ClientKey>,
}

/// A key of our own store that a client showed, by its name; the key itself stays in `web`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientKey(pub String);

impl Client {
    /// Whom limits count it as; none for the command line, which is nobody's client.
    pub fn bucket(&self, ipv6_prefix: u8) -> Option<ClientBucket> {
        let key = self.key.as_ref().map(|key| ClientBucket::Key(key.0.clone()));
        key.or_else(|| self.address.map(|address| ClientBucket::network(address, ipv6_prefix)))
    }

    /// Whose spending its calls are, for the ledger and budgets of each client: `key:bob`, `ip:192.0.2.1`.
    pub fn account(&self, ipv6_prefix: u8) -> Option<String> {
        self.bucket(ipv6_prefix).map(|bucket| bucket.to_string())
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

/// The connection over which a client waits for its answer.
pub trait Connection: Debug + Send + Sync {
    /// Whether the client still holds it, as far as that can be known; where it cannot, it counts as open. May read a
    /// file: not for async threads.
    fn is_open(&self) -> bool;
}

/// One request for a coloured picture.
#[derive(Clone, Debug)]
pub struct ColorizeRequest {
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
    /// Who wants to know what providers do; by default nobody.
    pub trace: Trace,
    /// The connection of the client that waits; none where no connection can close, as on the command line. A request
    /// that is dropped waits no longer either.
    pub connection: Option<Arc<dyn Connection>>,
}
