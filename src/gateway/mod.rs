//! The path of a request from upload to rendition. [`Gateway::colorize`] reads top to bottom: each step is one method.
//! A new feature is a step, a decorator or data.
//!
//! Everything that keeps state (cache, ledger, flights, queues, tasks, metrics) belongs to the gateway and survives a
//! reload. The configuration is an immutable snapshot, which each request reads once.

mod cache_codec;
mod call;
mod codec;
mod error;
mod estimate;
mod flight;
mod guard;
mod image_permits;
mod in_color;
mod keys;
mod ledger_view;
mod limits;
mod lookup;
mod outcome;
mod plan;
mod reload;
mod replicas;
mod request;
mod route;
mod snapshot;
mod steps;
#[cfg(test)]
mod tests;
mod tiers;
mod timeline;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;

pub use error::{Attempt, Error};
pub use estimate::{CachedPart, Estimate, EstimateRequest, ExpectedCost, ProviderEstimate};
pub use lookup::{DeletedEntries, forget};
pub use outcome::{MissReason, Rendition, RenditionOrigin, SavedCost};
pub use reload::ReloadStatus;
pub use request::{
    Client, ClientKey, ColorizeRequest, Connection, Fingerprint, RenditionOptions, Reuse, Upload,
};
pub use snapshot::Snapshot;
pub use tiers::{CacheStores, open_cache, open_disk, open_store};
pub use timeline::TimedStep;

use crate::cache::Cache;
use crate::credit::Ledger;
use crate::datastore::Datastore;
use crate::observe::Metrics;
use crate::provider::ProviderMemory;
use crate::queue::Queue;
use crate::quota::Quotas;
use crate::shared::SharedRedis;
use crate::tasks::Tasks;
use flight::{FlightOutcome, Flights, ReplicaFlights, Waiters};
use image_permits::ImagePermits;
use outcome::{RenditionFacts, affected_by_client_budget};
use plan::ColorizePlan;

/// Bytes of memory that one decoder permit stands for.
const BYTES_PER_PERMIT: u64 = 256 << 10;

/// Bytes of memory for each pixel of `limits.decoding_pixels`. An ordinary JPEG photograph needs this much per pixel.
const BYTES_PER_PIXEL: u64 = 4;

/// The number of decoder permits for a photo that needs this much memory.
fn permits(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(BYTES_PER_PERMIT)).unwrap_or(u32::MAX)
}

/// How many flights in a row a request may join if each of them fails for a reason that is specific to its leader. The
/// count starts again after an abandoned flight, and when the request changes to the flight of its own client because
/// the leader's client budget affected the result.
const MAX_FLIGHTS: usize = 2;

/// Turns uploads into renditions. The web server and the command `colorize` both use this type.
pub struct Gateway {
    snapshot: ArcSwap<Snapshot>,
    cache: Arc<dyn Cache>,
    ledger: Arc<dyn Ledger>,
    flights: Flights<Result<Rendition, Error>>,
    replica_flights: Option<Box<dyn ReplicaFlights>>,
    decoding: Queue,
    image_permits: ImagePermits,
    quotas: Quotas,
    files: Datastore,
    shared: Option<SharedRedis>,
    tasks: Tasks,
    memory: ProviderMemory,
    metrics: Metrics,
    reloads: ReloadStatus,
}

impl Gateway {
    /// `memory` must be the one that the snapshot's providers were built with.
    pub fn new(
        snapshot: Snapshot,
        stores: CacheStores,
        memory: ProviderMemory,
        metrics: Metrics,
        reloads: ReloadStatus,
    ) -> Arc<Self> {
        let CacheStores { cache, ledger, rates, replica_flights, shared, tasks } = stores;
        let limits = &snapshot.config.limits;
        let memory_of_photos = limits.decoding_pixels.saturating_mul(BYTES_PER_PIXEL);
        let decoding = Queue::new(permits(memory_of_photos), limits.waiting);
        let image_permits = ImagePermits::new(limits);
        let quotas = Quotas::new(rates, &snapshot.config.state_dir);
        let files = Datastore::in_folder(&snapshot.config.state_dir);
        snapshot.count_paid(&metrics);
        memory.retain(snapshot.names());
        Arc::new(Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            cache,
            ledger,
            flights: Flights::new(tasks.clone()),
            replica_flights,
            decoding,
            image_permits,
            quotas,
            files,
            shared,
            tasks,
            memory,
            metrics,
            reloads,
        })
    }

    /// The current configuration. A request reads it once.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The running tasks. Shutdown waits for them.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Rate limits, shares and API keys.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Files that clients stored, and results that the cache does not store.
    pub const fn files(&self) -> &Datastore {
        &self.files
    }

    /// The connection to the Redis that replicas share; `None` for a single gateway.
    pub const fn shared(&self) -> Option<&SharedRedis> {
        self.shared.as_ref()
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The state of providers that outlives a reload.
    pub fn memory(&self) -> &ProviderMemory {
        &self.memory
    }

    pub fn cache(&self) -> &dyn Cache {
        self.cache.as_ref()
    }

    /// Colours one picture. If the caller drops this future, a flight that has started continues.
    pub async fn colorize(
        self: &Arc<Self>,
        snapshot: Arc<Snapshot>,
        request: ColorizeRequest,
    ) -> Result<Rendition, Error> {
        let plan = Arc::new(ColorizePlan::new(snapshot, request)?);
        let rendition = match self.cached(&plan).await {
            Some(rendition) => {
                plan.timeline.end(TimedStep::Cache);
                Rendition { timings: plan.timeline.steps(), ..rendition }
            }
            None => {
                self.charge_call(&plan).await?;
                self.join_flight(&plan).await?
            }
        };
        self.count_rendition(&rendition);
        Ok(rendition)
    }

    /// The stored rendition, if there is one and the request allows a cache lookup.
    async fn cached(&self, plan: &ColorizePlan) -> Option<Rendition> {
        match plan.request.reuse.lookup {
            true => self.lookup(&plan.search).await,
            false => None,
        }
    }

    /// Joins the flight of this picture: executes it as leader, or waits for the leader's result.
    async fn join_flight(self: &Arc<Self>, plan: &Arc<ColorizePlan>) -> Result<Rendition, Error> {
        let (mut flight, mut last) = (plan.flight, Error::Internal);
        let mut left = MAX_FLIGHTS;
        while left > 0 {
            left -= 1;
            let lead = |waiters| {
                let (gateway, plan) = (self.clone(), plan.clone());
                async move { gateway.lead_for_replicas(&plan, &waiters).await }
            };
            let connection = plan.request.connection.clone();
            last = match self.flights.join(flight, plan.request.deadline, connection, lead).await {
                FlightOutcome::Led(result) => return result,
                FlightOutcome::Shared(result)
                    if flight == plan.flight && affected_by_client_budget(&result) =>
                {
                    (flight, left) = (plan.client_flight(), MAX_FLIGHTS);
                    continue;
                }
                FlightOutcome::Shared(Ok(rendition)) => return Ok(rendition.shared(&plan.timeline)),
                // This request joined after the leader had found that no client waits any more.
                FlightOutcome::Shared(Err(error @ Error::Abandoned { .. })) => {
                    left = MAX_FLIGHTS;
                    error
                }
                FlightOutcome::Shared(Err(error)) if error.is_specific_to_leader() => error,
                FlightOutcome::Shared(Err(error)) => return Err(error),
                FlightOutcome::Lost { led: true } => return Err(Error::Internal),
                FlightOutcome::Lost { led: false } => Error::Internal,
                FlightOutcome::Late => return Err(plan.late()),
            };
        }
        Err(last)
    }

    /// The work of a flight, from the upload to the rendition. The facts are `None` if the upload was already in colour
    /// and is returned as the result.
    async fn lead(
        &self,
        plan: &ColorizePlan,
        waiters: &Waiters,
    ) -> Result<(Rendition, Option<RenditionFacts>), Error> {
        let began = Instant::now();
        self.require_provider(plan).await?;
        let _permit = self.decoder_permit(plan).await?;
        plan.timeline.end(TimedStep::Queue);
        let decoded = self.decode(plan).await?;
        let decoded = match self.in_color(plan, decoded).await? {
            ControlFlow::Break(passed) => return Ok((passed, None)),
            ControlFlow::Continue(decoded) => decoded,
        };
        plan.timeline.end(TimedStep::Detect);
        let colored = self.first_color(plan, waiters, &decoded).await?;
        let waited = colored.waited;
        let (merged, ()) =
            futures::join!(self.merge(plan, &decoded, &colored), self.store_color(plan, &decoded, &colored));
        let mut rendition = steps::rendition(plan, &decoded, colored, merged?);
        let facts = self.store_rendition(plan, &decoded, &rendition).await;
        plan.timeline.end(TimedStep::Store);
        rendition.timings = plan.timeline.steps();
        self.metrics.overhead(began.elapsed().saturating_sub(waited));
        Ok((rendition, Some(facts)))
    }
}
