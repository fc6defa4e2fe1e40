//! The requests that wait for a call: a call that costs credit does not begin after the last of them has left.

use std::fmt::Debug;

use async_trait::async_trait;

/// The requests that wait for the answer of a call.
#[async_trait]
pub trait Audience: Debug + Send + Sync {
    /// Whether at least one client still waits, as far as that can be known. May take as long as a look into the
    /// kernel's table of connections.
    async fn waits(&self) -> bool;
}
