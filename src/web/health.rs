//! `GET /healthz` and `GET /readyz`: whether the process runs, and whether it could colour a photo now. Neither route
//! calls a provider.

use std::time::Duration;

use rocket::http::Status;
use rocket::serde::json::Json;
use rocket::{Route, get, routes};
use serde::Serialize;
use tokio::time::timeout;

use super::guards::Context;
use super::providers::{ProviderFacts, list};

pub fn routes() -> Vec<Route> {
    routes![healthz, readyz]
}

#[derive(Serialize)]
struct HealthBody {
    status: &'static str,
    version: &'static str,
}

#[get("/healthz")]
fn healthz() -> Json<HealthBody> {
    Json(HealthBody { status: "alive", version: env!("CARGO_PKG_VERSION") })
}

#[derive(Serialize)]
struct ReadinessBody {
    status: &'static str,
    /// If no call that costs credit can be made: the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    paid_providers_are_off: Option<String>,
    /// If the configuration on disk is not in effect: the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration_is_not_in_force: Option<String>,
    /// If only previously valid keys are accepted: the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    keys_cannot_be_read: Option<&'static str>,
    /// If Redis is configured, but the replicas cannot share anything now: the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    replicas_are_on_their_own: Option<String>,
    /// The providers of the route, in order, each with a reason if it is not ready.
    route: Vec<ProviderFacts>,
    /// Warnings about proxies in front of this server that hide the clients' addresses. A warning does not affect
    /// readiness.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notices: Vec<String>,
}

/// Time-out for checking the ledger and Redis; after it the response contains the last known state.
const CHECK_TIMEOUT: Duration = Duration::from_millis(500);

#[get("/readyz")]
async fn readyz(context: Context) -> (Status, Json<ReadinessBody>) {
    // A new check, because the ledger or Redis may have failed since the last check. The check itself records a
    // failure, so its result is not needed here.
    let _ = timeout(CHECK_TIMEOUT, context.gateway.check_ledger()).await;
    let mut route = list(&context);
    let paid_providers_are_off = context.gateway.ledger_health().err().map(|error| error.to_string());
    let configuration_is_not_in_force = context.gateway.reload_error();
    // The error's own text contains a path of this machine, so the response does not contain it.
    let keys_cannot_be_read = context
        .gateway
        .quotas()
        .keys
        .trouble()
        .map(|_| "keys.json in `state_dir` cannot be read; the log says why");
    let trouble = context.gateway.shared().and_then(|shared| shared.health().err());
    let replicas_are_on_their_own = trouble.map(|trouble| trouble.to_string());
    route.truncate(context.snapshot.config.route.len());
    let ready = route.iter().any(|provider| provider.ready);
    let (code, status) = match ready {
        _ if context.gateway.tasks().stopping() => (Status::ServiceUnavailable, "stopping"),
        true => (Status::Ok, "ready"),
        false => (Status::ServiceUnavailable, "no provider on the route is ready"),
    };
    let notices = context.gateway.quotas().peers.notices().iter().map(ToString::to_string).collect();
    let readiness = ReadinessBody {
        status,
        paid_providers_are_off,
        configuration_is_not_in_force,
        keys_cannot_be_read,
        replicas_are_on_their_own,
        route,
        notices,
    };
    (code, Json(readiness))
}
