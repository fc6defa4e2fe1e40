//! `GET /metrics`, for Prometheus.

use std::sync::Arc;

use rocket::http::{ContentType, Status};
use rocket::{Route, State, get, routes};

use super::guards::Scraper;
use super::problem::Problem;
use crate::gateway::Gateway;

pub fn routes() -> Vec<Route> {
    routes![metrics]
}

#[get("/metrics")]
async fn metrics(_scraper: Scraper, gateway: &State<Arc<Gateway>>) -> Result<(ContentType, String), Problem> {
    let kind = ContentType::new("text", "plain").with_params([("version", "0.0.4"), ("charset", "utf-8")]);
    let text = gateway.metrics().text(&gateway.account().await).map_err(|error| {
        tracing::error!("metrics cannot be written: {error}");
        Problem::new(Status::InternalServerError, "The metrics cannot be written; the log says more.")
    })?;
    Ok((kind, text))
}
