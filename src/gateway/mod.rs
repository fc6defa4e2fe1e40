//! The way of a picture, readable top to bottom: each step is one call, and a new feature is a step, a
//! decorator or data.
//!
//! What has memory (queues, tasks, metrics) lives here, outside the snapshot of the configuration that
//! each request reads once.

mod ask;
mod error;
mod guard;
mod limits;
mod route;
mod snapshot;
mod tasks;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use sha2::{Digest, Sha256};

pub use ask::{Ask, Client, ClientKey, Fingerprint, Upload};
pub use error::{Attempt, Error};
pub use snapshot::Snapshot;
pub use tasks::Tasks;

use crate::config::OutputConfig;
use crate::observe::Metrics;
use crate::photo::{self, EncodeOptions, Encoded, OutputFormat, Photo, PhotoError};
use crate::queue::Queue;
use crate::quota::Quotas;
use guard::Checked;
use route::Caller;

/// Pixels that one place in front of the decoder stands for.
const PIXELS_PER_PLACE: u64 = 65_536;

/// The gateway: everything between a client's upload and its rendition.
pub struct Gateway {
    snapshot: ArcSwap<Snapshot>,
    decoding: Queue,
    quotas: Quotas,
    tasks: Tasks,
    metrics: Metrics,
}

/// An encoded result: bytes, media type, who made it, what it cost.
#[derive(Clone, Debug)]
pub struct Rendition {
    /// The encoded picture.
    pub bytes: Bytes,
    /// Its format.
    pub format: OutputFormat,
    /// Its strong entity tag: SHA-256 of `bytes`, in hexadecimal.
    pub etag: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The provider that coloured it.
    pub provider: String,
    /// The model that coloured it.
    pub model: String,
    /// What the call consumed.
    pub usage: crate::credit::Usage,
    /// Who failed before.
    pub attempts: Vec<Attempt>,
    /// How long each step took, in order, by name.
    pub timings: Vec<(&'static str, Duration)>,
}

impl Gateway {
    /// A gateway with this configuration.
    pub fn new(snapshot: Snapshot, metrics: Metrics) -> Arc<Self> {
        let limits = &snapshot.config.limits;
        let places = u32::try_from(limits.decoding_pixels.div_ceil(PIXELS_PER_PLACE)).unwrap_or(u32::MAX);
        let decoding = Queue::new(places, limits.waiting);
        let quotas = Quotas::in_process(&snapshot.config.state_dir);
        Arc::new(Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            decoding,
            quotas,
            tasks: Tasks::default(),
            metrics,
        })
    }

    /// The configuration now. A request reads it once.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// What runs, for shutdown.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// What clients have had, and who they are.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Colours one picture. The work runs in its own task and goes on when the caller leaves.
    pub async fn colorize(self: &Arc<Self>, snapshot: Arc<Snapshot>, ask: Ask) -> Result<Rendition, Error> {
        let limit = snapshot.config.limits.request;
        let deadline = ask.deadline;
        let gateway = self.clone();
        let work = self.tasks.spawn(async move { gateway.lead(&snapshot, ask).await });
        match tokio::time::timeout_at(deadline.into(), work).await {
            Ok(done) => done.unwrap_or(Err(Error::Internal)),
            Err(_) => Err(Error::Deadline { limit }),
        }
    }

    async fn lead(&self, snapshot: &Snapshot, ask: Ask) -> Result<Rendition, Error> {
        let route = snapshot.route(ask.provider.as_deref())?;
        let limits = snapshot.config.limits.photo();
        let head = photo::read_head(&ask.upload.bytes, &limits)?;
        self.spend(snapshot, &ask, head.pixels()).await?;
        let _place = self.place(snapshot, &ask, head.pixels()).await?;

        let start = Instant::now();
        let photo = self.cpu(move || Photo::decode(&ask.upload.bytes, &limits)).await??;
        let (photo, decode) = (Arc::new(photo), start.elapsed());

        let (deadline, metrics, tasks) = (ask.deadline, &self.metrics, &self.tasks);
        let caller = Caller { photo: &photo, limits, deadline, metrics, tasks };
        let coloured = caller.first_colour(&route).await?;

        let about = coloured.provider.about();
        let format = ask.format.unwrap_or_else(|| head.format.output());
        let options = encode_options(&snapshot.config.output, format, &about.model);
        let (width, height) = (photo.width(), photo.height());
        let (encoded, etag) = self.cpu(move || merge(&photo, &coloured.colour, &options)).await??;

        Ok(Rendition {
            bytes: encoded.bytes.into(),
            format,
            etag,
            width,
            height,
            provider: about.name.clone(),
            model: about.model.clone(),
            usage: coloured.usage,
            attempts: coloured.attempts,
            timings: vec![
                ("decode", decode),
                ("provider", coloured.took),
                ("merge", encoded.merge),
                ("encode", encoded.encode),
            ],
        })
    }

    /// Runs processor work off the async threads.
    async fn cpu<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> Result<R, Error> {
        self.tasks.spawn_blocking(work).await.map_err(|_| Error::Internal)
    }
}

fn encode_options(config: &OutputConfig, format: OutputFormat, model: &str) -> EncodeOptions {
    let quality = match format {
        OutputFormat::WebP => config.webp_quality,
        OutputFormat::Jpeg | OutputFormat::Png => config.jpeg_quality,
    };
    EncodeOptions { format, quality, note: config.mark.then(|| format!("coloured by {model}")) }
}

/// Lays the colour on the photo, and names the result by its content.
fn merge(photo: &Photo, colour: &Checked, options: &EncodeOptions) -> Result<(Encoded, String), PhotoError> {
    let encoded = match colour {
        Checked::Chroma(chroma) => photo::encode(photo, chroma, options)?,
        Checked::Own(rgb) => photo::encode_own(photo, rgb, options)?,
    };
    let etag = hex(&Sha256::digest(&encoded.bytes));
    Ok((encoded, etag))
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
