//! DNS resolution with address checks. Each connection resolves its host name once, checks all addresses and connects
//! to one of these, so that a second lookup cannot return another address (DNS rebinding).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{AddressPolicy, check};

/// DNS lookup; replaced in tests.
#[async_trait]
pub trait LookUp: Send + Sync {
    async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
pub struct System;

#[async_trait]
impl LookUp for System {
    async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Resolves a name only if connections to all of its addresses are allowed.
pub struct Names {
    look_up: Arc<dyn LookUp>,
    reach: AddressPolicy,
}

impl Names {
    pub fn new(look_up: Arc<dyn LookUp>, reach: AddressPolicy) -> Self {
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
            // One forbidden address is enough to refuse the name, because the connection may use any of the addresses.
            for address in &addresses {
                check(*address, reach)?;
            }
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
