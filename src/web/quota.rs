//! `GET /v1/quota`: the client's rate limits, and how this server identifies the client. A request to this route counts
//! against a limit only if it is rejected with 401.

use rocket::serde::json::Json;
use rocket::{Route, get, routes};
use serde::Serialize;

use super::admission::in_configured_unit;
use super::guards::{ClientOrigin, Context};
use super::problem::{Problem, seconds};
use crate::config::RequestAmounts;
use crate::quota::{Gate, LimitStatus};

pub fn routes() -> Vec<Route> {
    routes![quota]
}

/// The client's rate limits.
#[derive(Serialize)]
struct QuotaStatus {
    /// How limits identify the client: an address, an IPv6 network, or the name of a key.
    client: Option<String>,
    /// The other end of the connection: a proxy or the client itself.
    peer: String,
    /// Whether rate limits are enabled.
    enabled: bool,
    limits: Vec<LimitFacts>,
    /// Warnings about proxies in front of this server that hide the clients' addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notices: Vec<String>,
}

/// A rate limit and its remaining amount for the client.
#[derive(Serialize)]
struct LimitFacts {
    name: String,
    gate: &'static str,
    of: &'static str,
    by: &'static str,
    rate: u64,
    per: &'static str,
    burst: u64,
    remaining: u64,
    /// Seconds until more is available; 0 if the limit is unused.
    more_in_seconds: u64,
}

impl From<LimitStatus> for LimitFacts {
    fn from(LimitStatus { limit, remaining, more_in, .. }: LimitStatus) -> Self {
        Self {
            name: limit.name().to_owned(),
            gate: limit.of().gate().label(),
            of: limit.of().label(),
            by: limit.by().label(),
            rate: in_configured_unit(&limit, limit.rate()),
            per: limit.per().label(),
            burst: in_configured_unit(&limit, limit.burst()),
            remaining: in_configured_unit(&limit, remaining),
            more_in_seconds: seconds(more_in),
        }
    }
}

#[get("/v1/quota")]
async fn quota(context: Context, origin: ClientOrigin) -> Result<Uncached<Json<QuotaStatus>>, Problem> {
    context.permitted().await?;
    let Context { gateway, snapshot, client, .. } = context;
    let (config, quotas) = (&snapshot.config, gateway.quotas());
    let client = client.bucket(config.clients.ipv6_prefix);
    let charges = |gate| config.quota.charges(gate, client.as_ref(), RequestAmounts::default());
    let levels = quotas.rates.look(&[charges(Gate::Admit), charges(Gate::Spend)].concat()).await;
    Ok(Uncached::new(Json(QuotaStatus {
        client: client.map(|client| client.to_string()),
        peer: origin.peer.to_string(),
        enabled: config.quota.enabled,
        limits: levels.into_iter().map(LimitFacts::from).collect(),
        notices: quotas.peers.notices().iter().map(ToString::to_string).collect(),
    })))
}

/// A response that must not be cached.
#[derive(rocket::Responder)]
struct Uncached<R> {
    inner: R,
    cache_control: rocket::http::Header<'static>,
}

impl<R> Uncached<R> {
    fn new(inner: R) -> Self {
        Self { inner, cache_control: rocket::http::Header::new("Cache-Control", "no-store") }
    }
}
