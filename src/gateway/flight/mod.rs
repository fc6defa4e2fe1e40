//! One provider call for all who want the same at the same time.
//!
//! `here` is about requests in this process. The one of them that leads then joins those of other replicas, where
//! something is shared with them (`redis`): one leads for all, and the others wait for what it `landing`s.

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

/// Flights of all replicas.
#[async_trait]
pub trait ReplicaFlights: Send + Sync {
    /// Takes the lead of a flight, or waits until whoever has it lands; takes over from one who is gone.
    /// `earlier`: whether one that has landed just before will do.
    async fn join(&self, key: [u8; 32], earlier: bool, deadline: Instant) -> FlightRole;

    /// Keeps the lead for as long as it is polled.
    async fn hold(&self, lead: &Lead) -> Infallible;

    /// Gives the lead up, and leaves what came of it to those who wait; without anything one of them leads.
    async fn land(&self, lead: Lead, result: Option<Bytes>);
}

/// Whose turn it is.
pub enum FlightRole {
    /// Ours.
    Lead(Lead),
    /// Another has landed, and this came of it.
    Landed(Bytes),
    /// The deadline came first.
    Late,
}

/// That a flight is ours.
pub struct Lead {
    key: [u8; 32],
    /// Counts up with each lead of any flight: who holds an older one has lost it. None is one of which
    /// nobody else knows, because they cannot be told.
    fence: Option<u64>,
}
