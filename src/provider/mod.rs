//! What colours: the one trait, what it is given and what it answers.
//!
//! A provider gets a small grey picture and answers with colour. It knows nothing of uploads, full
//! size, caches or budgets. Decorators (limit, retry, breaker, time-out) are providers too. The
//! registry is the one place that knows all kinds.

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
mod registry;
mod retry;
mod timed;
mod trace;
mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};

pub use audience::Audience;
pub use context::within;
pub use error::{Billed, FailureKind, ProviderError};
pub use http::{Frame, balances};
pub use http_client::{CDN_LOOP, HttpClient, HttpError, Reply, Times, own_name};
pub use memory::Memory;
pub use outgoing::{Forbidden, InputError, Inputs, Reach};
pub use registry::{BuildError, build, forbidden, guarded};
pub use trace::{Step, Trace};

use crate::credit::{Begun, Usage};
use crate::photo::{Chroma, Gray};

/// Something that colours.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What it is; the same for its whole life.
    fn about(&self) -> &About;

    /// Whether it could be called now. Cheap: looks at memory, asks nobody.
    fn readiness(&self) -> Readiness;

    /// Colours one grey picture. Ends by itself before the call's deadline.
    async fn colorize(&self, call: Call) -> Result<Answer, ProviderError>;
}

/// What a provider is.
#[derive(Clone, Debug)]
pub struct About {
    /// Its name in the configuration.
    pub name: String,
    /// Its kind: `onnx`, `algorithmia`, ...
    pub kind: &'static str,
    /// The model that colours, in its maker's words.
    pub model: String,
    /// The model's version: a new one never serves old colour.
    pub version: String,
    /// Whether pictures leave this machine.
    pub leaves_machine: bool,
    /// Most pixels of the grey picture it is sent.
    pub send_max_pixels: u64,
    /// Whether its chroma is laid on the photo's own luminance; if not, its own pixels are the answer.
    pub luma_lock: bool,
    /// Every further setting of its kind that changes pixels, in a fixed order and spelling.
    pub settings: String,
}

impl About {
    /// SHA-256 over everything that changes pixels; part of every cache key.
    pub fn identity(&self) -> Identity {
        let mut hash = Sha256::new();
        let send = self.send_max_pixels.to_string();
        let lock = if self.luma_lock { "lock" } else { "own" };
        for part in [self.kind, &self.model, &self.version, &send, lock, &self.settings] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Identity(hash.finalize().into())
    }
}

/// Who made the colour, down to every setting that changes pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity(pub [u8; 32]);

/// Whether a provider could be called now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It could.
    Ready,
    /// It could not.
    NotReady {
        /// Why, in words for the operator.
        why: String,
        /// When it may be again, if it comes back by itself.
        retry_after: Option<Duration>,
    },
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The picture to colour; at most `About::send_max_pixels`.
    pub gray: Arc<Gray>,
    /// When the answer is no longer wanted.
    pub deadline: Instant,
    /// Who wants to know what is done; by default nobody.
    pub trace: Trace,
    /// The requests that wait for the answer. Without it, the call begins whether or not a client still waits.
    pub audience: Option<Arc<dyn Audience>>,
    /// Set by [`Call::may_begin`].
    pub begun: Begun,
}

impl Call {
    /// Refuses a call in a dry run, after its deadline, or when no client waits for it any more. Every kind asks
    /// after it has told its request and waited in its last queue, and before it sends or starts anything.
    pub async fn may_begin(&self) -> Result<(), ProviderError> {
        self.trace.may_send()?;
        if self.deadline <= Instant::now() {
            return Err(ProviderError::new(FailureKind::Timeout, "there was no time left for it"));
        }
        match &self.audience {
            Some(audience) if !audience.waits().await => return Err(ProviderError::abandoned()),
            _ => self.begun.set(),
        }
        Ok(())
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The colour.
    pub color: Color,
    /// What the call consumed.
    pub usage: Usage,
}

/// Colour as a provider gives it.
#[derive(Clone, Debug)]
pub enum Color {
    /// Chroma planes of any size, covering the whole picture.
    Chroma(Chroma),
    /// An encoded picture of any size; not yet decoded, and not to be trusted.
    Picture(Bytes),
    /// The same, but the photo is only a part of it.
    Framed(Bytes, Frame),
}
