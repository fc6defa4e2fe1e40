//! The HTTP interface. Each resource has its own file; `problem` maps errors to HTTP responses.

mod admin;
mod admission;
mod answer;
mod assets;
mod base64_body;
mod body;
mod coding;
mod colorize;
mod connection;
mod data_url;
mod early_check;
mod entity_tags;
mod estimate;
mod facades;
mod fairings;
mod form;
mod form_reader;
mod guards;
mod header_text;
mod health;
mod identity;
mod legacy;
mod methods;
mod metrics;
mod modules;
mod openapi;
mod options;
mod pace;
mod page;
mod problem;
mod providers;
mod quota;
mod request;
mod results;
mod upload;
mod upload_memory;
mod usage;
mod worker;

use std::path::Path;
use std::sync::Arc;

use rocket::figment::Figment;
use rocket::http::Status;
use rocket::request::Outcome;
use rocket::{Build, Request, Rocket, Route, catch, catchers};

pub use assets::{AssetError, Assets};
use problem::{Problem, Renderer};

use crate::gateway::Gateway;

/// All routes except those for wrong methods; `/metrics` only if `with_metrics` is true.
fn own_routes(with_metrics: bool) -> Vec<Route> {
    [
        page::routes(),
        assets::routes(),
        worker::routes(),
        colorize::routes(),
        estimate::routes(),
        legacy::routes(),
        results::routes(),
        providers::routes(),
        quota::routes(),
        usage::routes(),
        health::routes(),
        if with_metrics { metrics::routes() } else { Vec::new() },
        admin::routes(),
        facades::routes(),
        openapi::routes(),
    ]
    .concat()
}

/// The page's templates and files. Files in the two folders replace the embedded ones.
pub fn assets(templates: Option<&Path>, files: Option<&Path>) -> Result<Assets, AssetError> {
    Assets::load(templates, files, openapi::extend_templates)
}

/// The server with every route, guard, fairing and catcher. It serves no metrics if these have a separate address.
pub fn server(figment: Figment, gateway: Arc<Gateway>, assets: Assets) -> Rocket<Build> {
    let routes = own_routes(gateway.snapshot().config.metrics.address.is_none());
    let check = guards::rejection;
    let routes =
        [early_check::guard(methods::wrong_method_routes(&routes), check), early_check::guard(routes, check)]
            .concat();
    serve(figment, gateway, routes).manage(assets)
}

/// The server for the metrics alone, at their separate address. Address lists do not apply to it.
pub fn metrics_server(figment: Figment, gateway: Arc<Gateway>) -> Rocket<Build> {
    let routes = metrics::routes();
    let routes = early_check::guard(
        [methods::wrong_method_routes(&routes), routes].concat(),
        guards::metrics_rejection,
    );
    serve(figment, gateway, routes)
}

/// Builds a server with these routes, the fairings and the catcher.
fn serve(figment: Figment, gateway: Arc<Gateway>, routes: Vec<Route>) -> Rocket<Build> {
    rocket::custom(figment)
        .manage(gateway)
        .manage(Renderer(facades::rendering))
        .mount("/", identity::within(routes))
        .register("/", catchers![unhandled])
        // First, so that the other fairings see the sent method.
        .attach(fairings::SentMethod)
        .attach(fairings::Headers)
        .attach(fairings::ChunkSize)
        .attach(fairings::CacheStatus)
        .attach(admission::RateLimitHeaders)
        .attach(fairings::Log)
}

/// Responds to a request if no route matches, a guard fails or a handler panics.
#[catch(default)]
async fn unhandled(status: Status, request: &Request<'_>) -> Problem {
    if let Some(problem) = guards::rejection(request) {
        return problem;
    }
    // Only the guards of the admin and metrics tokens return these statuses. Such requests are counted, so that tokens
    // cannot be guessed faster than keys.
    if matches!(status.code, 401 | 403)
        && let Outcome::Success(context) = request.guard::<guards::Context>().await
        && let Err(problem) = context.count_refusal().await
    {
        return problem;
    }
    let detail = match status.code {
        400 => "The request cannot be parsed.".into(),
        401 => {
            let which = if request.uri().path() == "/metrics" { "metrics" } else { "admin" };
            format!("Send the {which} token: `Authorization: Bearer TOKEN`.")
        }
        403 => "The token is invalid.".into(),
        404 => format!("There is nothing at {}.", request.uri().path()),
        500 => "Something went wrong here; the log says more.".into(),
        code => format!("The request was refused with status {code}."),
    };
    Problem::new(status, detail)
}
