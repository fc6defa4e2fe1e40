//! Access to the metrics.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::kinds::{Optional, kind};
use super::secret::Secret;

/// Access to the metrics.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MetricsConfig {
    /// A separate address for `GET /metrics`, which then is not served at the public address.
    #[serde(with = "Optional::<Listener>")]
    pub address: Option<SocketAddr>,
    /// The token that Prometheus sends as `Authorization: Bearer TOKEN`. Without it the metrics are public.
    // If the secret has no value, no one can read the metrics.
    pub token: Option<Secret>,
}

impl MetricsConfig {
    pub(super) fn warning(&self) -> Option<String> {
        let why = self.token.as_ref()?.why_unset()?;
        Some(format!("`metrics.token` has no value, so that /metrics answers 404: {why}"))
    }
}

kind!(Listener: SocketAddr, "listener", "an address and a port", "127.0.0.1:9464", |text| text.parse().ok());
