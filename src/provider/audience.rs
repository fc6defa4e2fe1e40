//! The requests that wait for a call. With `on_disconnect = "drop"`, a call does not begin after all of its clients
//! have disconnected.

use std::fmt::Debug;

use async_trait::async_trait;

#[async_trait]
pub trait Audience: Debug + Send + Sync {
    /// Whether at least one client is still connected, as far as the gateway can know. May read the kernel's table of
    /// connections.
    async fn waits(&self) -> bool;
}
