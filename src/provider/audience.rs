//! The requests that wait for a call. A call that costs credit does not begin after its last client has disconnected.

use std::fmt::Debug;

use async_trait::async_trait;

#[async_trait]
pub trait Audience: Debug + Send + Sync {
    /// Whether at least one client is still connected, as far as the gateway can know. May read the kernel's table of
    /// connections.
    async fn waits(&self) -> bool;
}
