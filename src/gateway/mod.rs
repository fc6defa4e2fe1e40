//! The way of a picture, readable top to bottom: each step is one call, and a new feature is a step, a
//! decorator or data.
//!
//! What has memory (the cache, the ledger, flights, queues, tasks, metrics) lives here, outside the snapshot of the
//! configuration that each request reads once.

mod account;
mod answers;
mod ask;
mod cache_codec;
mod codec;
mod error;
mod estimate;
mod flight;
mod guard;
mod in_color;
mod keys;
mod limits;
mod plan;
mod recall;
mod reload;
mod rendition;
mod route;
mod snapshot;
mod steps;
#[cfg(test)]
mod tests;
mod tiers;
mod together;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;

pub use ask::{Client, ClientKey, ColorizeRequest, Connection, Fingerprint, Reuse, Upload};
pub use error::{Attempt, Error};
pub use estimate::{CachedPart, Estimate, EstimateRequest, ExpectedCost, ProviderEstimate};
pub use recall::{DeletedEntries, forget};
pub use reload::ReloadStatus;
pub use rendition::{MissReason, Rendition, RenditionOrigin, SavedCost};
pub use snapshot::Snapshot;
pub use tiers::{CacheStores, open_cache, open_disk, open_store};

use crate::cache::Cache;
use crate::credit::Ledger;
use crate::datastore::Datastore;
use crate::observe::Metrics;
use crate::provider::ProviderMemory;
use crate::queue::Queue;
use crate::quota::Quotas;
use crate::shared::SharedRedis;
use crate::tasks::Tasks;
use answers::ImagePermits;
use cache_codec::RenditionFacts;
use flight::{FlightOutcome, Flights, ReplicaFlights, Waiters};
use plan::ColorizePlan;
use route::CallContext;

/// Bytes of memory that one place in front of the decoder stands for.
const BYTES_PER_PLACE: u64 = 256 << 10;

/// Bytes of memory for each of the pixels that may be decoded at once (`limits.decoding_pixels`): what an ordinary
/// photograph takes, a JPEG without opacity.
const BYTES_PER_PIXEL: u64 = 4;

/// How many places a picture takes that needs so much memory.
fn places(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(BYTES_PER_PLACE)).unwrap_or(u32::MAX)
}

/// How often at most one request sets out: again only when another's flight, that it shared, came to
/// nothing for a reason of that other's own.
const MOST_FLIGHTS: usize = 2;

/// The gateway: everything between a client's upload and its rendition.
pub struct Gateway {
    snapshot: ArcSwap<Snapshot>,
    cache: Arc<dyn Cache>,
    ledger: Arc<dyn Ledger>,
    flights: Flights<Result<Rendition, Error>>,
    elsewhere: Option<Box<dyn ReplicaFlights>>,
    decoding: Queue,
    answers: ImagePermits,
    quotas: Quotas,
    files: Datastore,
    shared: Option<SharedRedis>,
    tasks: Tasks,
    memory: ProviderMemory,
    metrics: Metrics,
    reloads: ReloadStatus,
}

impl Gateway {
    /// A gateway with this configuration; `memory` is what its providers were built with, and `reloads` knows
    /// where the configuration comes from.
    pub fn new(
        snapshot: Snapshot,
        stores: CacheStores,
        memory: ProviderMemory,
        metrics: Metrics,
        reloads: ReloadStatus,
    ) -> Arc<Self> {
        let CacheStores { cache, ledger, rates, elsewhere, shared, tasks } = stores;
        let limits = &snapshot.config.limits;
        let memory_of_photos = limits.decoding_pixels.saturating_mul(BYTES_PER_PIXEL);
        let decoding = Queue::new(places(memory_of_photos), limits.waiting);
        let answers = ImagePermits::new(limits);
        let quotas = Quotas::new(rates, &snapshot.config.state_dir);
        let files = Datastore::in_folder(&snapshot.config.state_dir);
        snapshot.count_paid(&metrics);
        memory.in_force(snapshot.names());
        Arc::new(Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            cache,
            ledger,
            flights: Flights::new(tasks.clone()),
            elsewhere,
            decoding,
            answers,
            quotas,
            files,
            shared,
            tasks,
            memory,
            metrics,
            reloads,
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

    /// What clients keep here, and results that the cache does not keep.
    pub const fn files(&self) -> &Datastore {
        &self.files
    }

    /// What replicas share, if they do.
    pub const fn shared(&self) -> Option<&SharedRedis> {
        self.shared.as_ref()
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What providers remember.
    pub fn memory(&self) -> &ProviderMemory {
        &self.memory
    }

    /// What is kept.
    pub fn cache(&self) -> &dyn Cache {
        self.cache.as_ref()
    }

    /// Colours one picture. The work goes on when the caller leaves.
    pub async fn colorize(
        self: &Arc<Self>,
        snapshot: Arc<Snapshot>,
        ask: ColorizeRequest,
    ) -> Result<Rendition, Error> {
        let plan = Arc::new(ColorizePlan::new(snapshot, ask)?);
        let rendition = match self.kept(&plan).await {
            Some(rendition) => rendition,
            None => {
                self.spend(&plan).await?;
                self.fly(&plan).await?
            }
        };
        self.count(&rendition);
        Ok(rendition)
    }

    /// What was made before, if the request allows it.
    async fn kept(&self, plan: &ColorizePlan) -> Option<Rendition> {
        match plan.ask.reuse.find {
            true => self.recall(&plan.search, Some(plan.format)).await,
            false => None,
        }
    }

    /// Has the picture coloured, or waits for another request that does already.
    async fn fly(self: &Arc<Self>, plan: &Arc<ColorizePlan>) -> Result<Rendition, Error> {
        let start = Instant::now();
        let (mut flight, mut last) = (plan.flight, Error::Internal);
        let mut left = MOST_FLIGHTS;
        while left > 0 {
            left -= 1;
            let lead = |waiters| {
                let (gateway, plan) = (self.clone(), plan.clone());
                async move { gateway.lead_for_all(&plan, &waiters).await }
            };
            let connection = plan.ask.connection.clone();
            last = match self.flights.join(flight, plan.ask.deadline, connection, lead).await {
                FlightOutcome::Led(result) => return result,
                FlightOutcome::Shared(result)
                    if flight == plan.flight && ColorizePlan::was_for_a_clients_budget(&result) =>
                {
                    (flight, left) = (plan.own_flight(), MOST_FLIGHTS);
                    continue;
                }
                FlightOutcome::Shared(Ok(rendition)) => return Ok(rendition.shared(start.elapsed())),
                // This request came after it was decided that no request waits any more.
                FlightOutcome::Shared(Err(error @ Error::Abandoned { .. })) => {
                    left = MOST_FLIGHTS;
                    error
                }
                FlightOutcome::Shared(Err(error)) if error.is_the_leaders_own() => error,
                FlightOutcome::Shared(Err(error)) => return Err(error),
                FlightOutcome::Lost { led: true } => return Err(Error::Internal),
                FlightOutcome::Lost { led: false } => Error::Internal,
                FlightOutcome::Late => return Err(plan.late()),
            };
        }
        Err(last)
    }

    /// The way itself, from the upload to the rendition; and its facts, if it was coloured.
    async fn lead(
        &self,
        plan: &ColorizePlan,
        waiters: &Waiters,
    ) -> Result<(Rendition, Option<RenditionFacts>), Error> {
        let began = Instant::now();
        let _place = self.place(plan).await?;
        let decoded = self.decode(plan).await?;
        let decoded = match self.in_color(plan, decoded).await? {
            ControlFlow::Break(passed) => return Ok((passed, None)),
            ControlFlow::Continue(decoded) => decoded,
        };
        let (cache, ledger) = (self.cache(), self.ledger.as_ref());
        let Self { metrics, memory, tasks, answers, .. } = self;
        let caller =
            CallContext { plan, waiters, decoded: &decoded, cache, ledger, metrics, memory, tasks, answers };
        let colored = caller.first_color().await?;
        let waited = colored.waited;
        let (merged, ()) =
            futures::join!(self.merge(plan, &decoded, &colored), self.keep_color(plan, &decoded, &colored));
        let rendition = Rendition::new(plan, &decoded, colored, merged?);
        let facts = self.keep(plan, &decoded, &rendition).await;
        metrics.overhead(began.elapsed().saturating_sub(waited));
        Ok((rendition, Some(facts)))
    }
}
