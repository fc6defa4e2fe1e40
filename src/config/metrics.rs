//! Who may see the metrics, and where.

use std::net::SocketAddr;

use serde_json::Value as Json;

use super::reference::Words;
use super::secret::Secret;
use super::table::Table;

const WORDS: Words = &[
    ("address", "A separate address for `GET /metrics`, which then is not served at the public address."),
    (
        "token",
        "The token that Prometheus sends as `Authorization: Bearer TOKEN`. Without it the metrics are public.",
    ),
];

/// Access to the metrics.
#[derive(Clone, Debug, Default)]
pub struct MetricsConfig {
    /// Where they are, if not at the public address. Counts at the start.
    pub address: Option<SocketAddr>,
    /// What Prometheus sends, as `Authorization: Bearer TOKEN`; without it they are for everybody who can reach
    /// them. One that has no value opens nothing.
    pub token: Option<Secret>,
}

impl MetricsConfig {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        table.describe(WORDS);
        let address = table.read("address", Json::Null, |value| {
            let parsed = value.as_str().and_then(|text| text.parse().ok());
            parsed.ok_or_else(|| "an address and a port such as \"127.0.0.1:9464\"".to_owned())
        });
        let token = table.secret("token");
        if let Some(why) = token.as_ref().and_then(Secret::why_unset) {
            table.warning(format!("`metrics.token` has no value, so that /metrics answers 404: {why}"));
        }
        Self { address, token }
    }
}
