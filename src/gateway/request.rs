//! A request to colour a picture, and the client that sends it.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::error::Error;
use crate::photo::{DecodeOptions, Depth, InputFormat, MetadataPolicy, OutputFormat};
use crate::provider::Trace;
use crate::quota::{Admission, ClientBucket};

/// SHA-256 of an upload's image file, without the multipart, JSON or base64 around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// The image file that a client sent, as received, and its fingerprint.
#[derive(Clone, Debug)]
pub struct Upload {
    pub bytes: Bytes,
    pub fingerprint: Fingerprint,
    /// What the upload has taken from rate limits, and the upload memory that it holds; `None` on the command line.
    pub admission: Option<Arc<Admission>>,
}

impl Upload {
    /// An upload of the command line.
    pub fn new(bytes: Bytes) -> Self {
        let fingerprint = Fingerprint(Sha256::digest(&bytes).into());
        Self { bytes, fingerprint, admission: None }
    }

    /// An upload of a client.
    pub fn admitted(bytes: Bytes, admission: Arc<Admission>) -> Self {
        Self { admission: Some(admission), ..Self::new(bytes) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The address that `web::guards::client` determined; `None` for the command line.
    pub address: Option<IpAddr>,
    /// The name of the valid API key that the client sent; `None` without a valid key.
    pub key: Option<ClientKey>,
}

/// The name of a client's valid API key. The key itself is not passed to the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientKey(pub String);

impl Client {
    /// The rate-limit bucket; `None` for the command line.
    pub fn bucket(&self, ipv6_prefix: u8) -> Option<ClientBucket> {
        let key = self.key.as_ref().map(|key| ClientBucket::Key(key.0.clone()));
        key.or_else(|| self.address.map(|address| ClientBucket::network(address, ipv6_prefix)))
    }

    /// The client's name in the ledger and in client budgets: `key:bob`, `ip:192.0.2.1`; `None` for the command line.
    pub fn account(&self, ipv6_prefix: u8) -> Option<String> {
        self.bucket(ipv6_prefix).map(|bucket| bucket.to_string())
    }
}

/// How a request may use the cache: its `Cache-Control` (RFC 9111).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reuse {
    /// Whether a stored result may be returned; `no-cache` forbids it and forces a call.
    pub lookup: bool,
    /// Whether the result may be stored; `no-store` forbids it.
    pub store: bool,
}

impl Default for Reuse {
    fn default() -> Self {
        Self { lookup: true, store: true }
    }
}

/// The connection on which a client waits for its response.
pub trait Connection: Debug + Send + Sync {
    /// Whether the connection is still open; true if that is unknown. The check may read a file, so it must not run on
    /// an async thread.
    fn is_open(&self) -> bool;
}

/// What a request says about its rendition. All of it is part of the rendition's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenditionOptions {
    /// By default the upload's own format if we encode it, else PNG.
    pub format: Option<OutputFormat>,
    pub metadata: MetadataPolicy,
    pub depth: Depth,
    pub decode: DecodeOptions,
}

impl Default for RenditionOptions {
    fn default() -> Self {
        Self {
            format: None,
            metadata: MetadataPolicy::Strip,
            depth: Depth::default(),
            decode: DecodeOptions::default(),
        }
    }
}

impl RenditionOptions {
    /// The rendition's format. Fails if files of that format cannot have the requested depth.
    pub fn format_for(&self, input: InputFormat) -> Result<OutputFormat, Error> {
        let format = self.format.unwrap_or_else(|| input.output());
        Self { format: Some(format), ..*self }.check()?;
        Ok(format)
    }

    /// Fails if files of the named format cannot have the requested depth.
    pub fn check(&self) -> Result<(), Error> {
        match self.format {
            Some(format) if !self.allows_depth(format) => Err(Error::UnsupportedDepth { format }),
            _ => Ok(()),
        }
    }

    /// Whether a rendition in this format may be the result.
    pub fn allows(&self, format: OutputFormat) -> bool {
        self.format.is_none_or(|named| named == format) && self.allows_depth(format)
    }

    fn allows_depth(&self, format: OutputFormat) -> bool {
        self.depth == Depth::Eight || format.has_16_bits()
    }
}

#[derive(Clone, Debug)]
pub struct ColorizeRequest {
    pub upload: Upload,
    /// Use only this provider instead of the configured route.
    pub provider: Option<String>,
    pub options: RenditionOptions,
    pub client: Client,
    pub reuse: Reuse,
    /// When the request arrived.
    pub received: Instant,
    /// The time by which the request is answered, with an error if necessary.
    pub deadline: Instant,
    /// Receives each provider's requests and replies; by default nothing is recorded.
    pub trace: Trace,
    /// The client's connection; `None` on the command line, which has none that could close. A request stops waiting
    /// when its connection closes or when it is dropped.
    pub connection: Option<Arc<dyn Connection>>,
}
