//! `GET /metrics`, for Prometheus.

use std::sync::Arc;

use rocket::http::{ContentType, Status};
use rocket::{Route, State, get, routes};

use super::problem::Problem;
use crate::gateway::Gateway;

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    routes![metrics]
}

#[get("/metrics")]
async fn metrics(gateway: &State<Arc<Gateway>>) -> Result<(ContentType, String), Problem> {
    let kind = ContentType::new("text", "plain").with_params([("version", "0.0.4"), ("charset", "utf-8")]);
    gateway.show_budgets().await;
    let text = gateway.metrics().text().map_err(|error| {
        tracing::error!("metrics cannot be written: {error}");
        Problem::new(Status::InternalServerError, "The metrics cannot be written; the log says more.")
    })?;
    Ok((kind, text))
}
