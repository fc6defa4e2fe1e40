//! Names of hosts, looked up once for each connection and checked before it is made: the connection goes to
//! the very addresses that were checked, so that a name cannot lead elsewhere the second time it is asked
//! for (DNS rebinding).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{Reach, check};

/// Finds the addresses of a host.
#[async_trait]
pub trait LookUp: Send + Sync {
    /// All of them, never none.
    async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// As the machine does it.
pub struct System;

#[async_trait]
impl LookUp for System {
    async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Looks names up and lets only those through all of whose addresses may be connected to.
pub struct Names {
    look_up: Arc<dyn LookUp>,
    reach: Reach,
}

impl Names {
    /// By `look_up`, as far as `reach`.
    pub fn new(look_up: Arc<dyn LookUp>, reach: Reach) -> Self {
        Self { look_up, reach }
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let (look_up, reach) = (self.look_up.clone(), self.reach);
        Box::pin(async move {
            let addresses = look_up.look_up(name.as_str()).await?;
            if addresses.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "its name has no address").into());
            }
            // One bad address among good ones is bad: which of them is taken is chance.
            for address in &addresses {
                check(*address, reach)?;
            }
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
