//! Single-flight: identical requests at the same time share one execution.
//!
//! `here` joins the requests of this process. If replicas share a Redis (`redis`), the leader of each process then
//! joins the leaders of the others: one of them leads for all, and publishes its result (`landing`).

mod here;
pub mod landing;
mod redis;
mod waiters;

use std::convert::Infallible;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::redis::RedisFlights;
pub use here::{FlightOutcome, Flights};
pub use waiters::Waiters;

#[async_trait]
pub trait ReplicaFlights: Send + Sync {
    /// Takes the lead of a flight, or waits for the leader's result. If the leader does not renew its lead, this
    /// replica takes the lead. `earlier`: whether a result is accepted that was published before this request joined.
    async fn join(&self, key: [u8; 32], earlier: bool, deadline: Instant) -> FlightRole;

    /// Renews the lead until this future is dropped or the lead is lost.
    async fn hold(&self, lead: &Lead) -> Infallible;

    /// Ends the lead and publishes the result. Without a result, one of the waiting replicas leads next.
    async fn land(&self, lead: Lead, result: Option<Bytes>);
}

/// This replica's role in a flight.
pub enum FlightRole {
    Lead(Lead),
    /// Another replica led and published this result.
    Landed(Bytes),
    /// The deadline was reached first.
    Late,
}

/// The lead of a flight.
pub struct Lead {
    key: [u8; 32],
    /// Fencing token: each new lead, of any flight, gets a larger number than all leads before it. A leader has lost
    /// the lead if another token is stored for the flight, or none. `None` if Redis is unreachable: then this replica
    /// leads for itself only.
    fence: Option<u64>,
}
