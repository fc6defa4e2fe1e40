//! `GET /v1/providers`: who could colour, and what that would mean.

use rocket::serde::json::Json;
use rocket::{Route, get, routes};
use serde::Serialize;

use super::guards::Context;
use crate::provider::{Provider, Readiness};

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    routes![providers]
}

/// One provider, as clients see it.
#[derive(Serialize)]
pub struct ProviderFacts {
    name: String,
    kind: &'static str,
    model: String,
    version: String,
    /// Whether it could be called now.
    pub ready: bool,
    /// Why it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether pictures leave this machine.
    leaves_machine: bool,
    /// Its place on the route, from 1; absent when it is asked only by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<usize>,
}

impl ProviderFacts {
    fn new(context: &Context, provider: &dyn Provider) -> Self {
        let about = provider.about();
        let reason = match context.gateway.readiness(&context.snapshot, provider) {
            Readiness::Ready => None,
            Readiness::NotReady { why, .. } => Some(why),
        };
        Self {
            name: about.name.clone(),
            kind: about.kind,
            model: about.model.clone(),
            version: about.version.clone(),
            ready: reason.is_none(),
            reason,
            leaves_machine: about.leaves_machine,
            place: context
                .snapshot
                .config
                .route
                .iter()
                .position(|name| *name == about.name)
                .map(|index| index + 1),
        }
    }
}

/// All providers: those on the route in its order, then the others by name.
pub fn list(context: &Context) -> Vec<ProviderFacts> {
    let providers = context.snapshot.providers();
    let mut facts: Vec<_> =
        providers.map(|provider| ProviderFacts::new(context, provider.as_ref())).collect();
    facts.sort_by_key(|facts| facts.place.unwrap_or(usize::MAX));
    facts
}

#[derive(Serialize)]
struct Providers {
    providers: Vec<ProviderFacts>,
    route: Vec<String>,
}

#[get("/v1/providers")]
fn providers(context: Context) -> Json<Providers> {
    let snapshot = &context.snapshot;
    Json(Providers { providers: list(&context), route: snapshot.config.route.clone() })
}
