//! Providers: the trait, its call and its response, and the kinds of provider.
//!
//! A provider receives a small grey picture and returns colour. It knows nothing of uploads, the photo's full size,
//! caches or budgets. Decorators (limit, retry, circuit breaker, time-out) are providers too. Only the registry knows
//! all kinds.

mod algorithmia;
mod audience;
mod breaker;
mod context;
mod error;
mod exec;
mod http;
mod http_client;
mod limit;
mod memory;
mod onnx;
mod outgoing;
mod redact;
mod registry;
mod remote;
mod retry;
mod timed;
mod trace;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};

pub use audience::Audience;
pub use context::within;
pub use error::{Billed, FailureKind, ProviderError};
pub use http::{Letterbox, balances};
pub use http_client::{CDN_LOOP, HttpClient, HttpError, HttpTimeouts, Reply, cdn_loop_name};
pub use memory::ProviderMemory;
pub use outgoing::{AddressPolicy, ForbiddenAddress, InputError, Inputs};
pub use registry::{BuildError, build, decorated, forbidden};
pub use trace::{Step, Trace};

use crate::credit::{CallBegun, Usage};
use crate::photo::{Chroma, Gray};

#[async_trait]
pub trait Provider: Send + Sync {
    /// The provider's description. It never changes.
    fn info(&self) -> &ProviderInfo;

    /// Whether the provider can be called now. Cheap: reads memory only.
    fn readiness(&self) -> Readiness;

    /// Colours one grey picture. Returns before the call's deadline.
    async fn colorize(&self, call: Call) -> Result<ProviderResponse, ProviderError>;
}

/// The name, the model and the settings of a provider.
#[derive(Clone, Debug)]
pub struct ProviderInfo {
    /// The name in the configuration.
    pub name: String,
    /// The kind: `onnx`, `algorithmia`, ...
    pub kind: &'static str,
    /// The model's name, as its maker spells it.
    pub model: String,
    /// The model's version. A new version makes cached results of the old one unreachable.
    pub version: String,
    /// Whether pictures leave this machine.
    pub leaves_machine: bool,
    /// The most pixels of the grey picture that the provider receives.
    pub send_max_pixels: u64,
    /// Whether the provider's chroma is merged with the photo's luminance. Otherwise the provider's pixels are used.
    pub luma_lock: bool,
    /// Every other setting that changes pixels, in a fixed order and spelling.
    pub settings: String,
}

impl ProviderInfo {
    /// SHA-256 of everything that changes pixels.
    pub fn identity(&self) -> ProviderIdentity {
        let mut hash = Sha256::new();
        let send = self.send_max_pixels.to_string();
        let lock = if self.luma_lock { "lock" } else { "own" };
        for part in [self.kind, &self.model, &self.version, &send, lock, &self.settings] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        ProviderIdentity(hash.finalize().into())
    }
}

/// The kind, model, version and every setting of a provider that changes pixels, as SHA-256; part of cache keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProviderIdentity(pub [u8; 32]);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    NotReady {
        /// For the operator.
        why: String,
        /// How long to wait before trying again. Set if the provider can become ready without the operator.
        retry_after: Option<Duration>,
    },
}

#[derive(Clone, Debug)]
pub struct Call {
    /// The picture to colour; it has at most [`ProviderInfo::send_max_pixels`].
    pub gray: Arc<Gray>,
    pub deadline: Instant,
    pub trace: Trace,
    /// The requests that wait for the response. `None`: the call begins even if no client waits any more.
    pub audience: Option<Arc<dyn Audience>>,
    /// Set by [`Call::may_begin`].
    pub begun: CallBegun,
}

impl Call {
    /// Fails in a dry run, after the deadline, or when no client waits any more. Otherwise it records that the call has
    /// begun. Every kind calls this after it has reported its request and left its last queue, and before it sends or
    /// starts anything.
    pub async fn may_begin(&self) -> Result<(), ProviderError> {
        self.trace.may_send()?;
        if self.deadline <= Instant::now() {
            return Err(ProviderError::new(
                FailureKind::Timeout,
                "the deadline had passed before the call began",
            ));
        }
        match &self.audience {
            Some(audience) if !audience.waits().await => return Err(ProviderError::abandoned()),
            _ => self.begun.set(),
        }
        Ok(())
    }
}

/// The result of a successful call.
#[derive(Clone, Debug)]
pub struct ProviderResponse {
    pub color: ProviderColor,
    pub usage: Usage,
}

/// Colour as a provider returns it.
#[derive(Clone, Debug)]
pub enum ProviderColor {
    /// Chroma planes of any size that cover the whole picture.
    Chroma(Chroma),
    /// An encoded picture of any size. It is untrusted and not yet decoded.
    Picture(Bytes),
    /// An encoded picture that contains the photo within a border.
    Framed(Bytes, Letterbox),
}
