//! Access to the metrics.

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

#[derive(Clone, Debug, Default)]
pub struct MetricsConfig {
    /// A separate address for the metrics; none serves them at the public address. Read only at the start.
    pub address: Option<SocketAddr>,
    /// The token that Prometheus sends as `Authorization: Bearer TOKEN`. Without this setting everyone who can reach
    /// the address can read the metrics. If the secret has no value, no one can.
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
