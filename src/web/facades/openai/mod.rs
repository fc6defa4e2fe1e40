//! The OpenAI facade: image edits (`POST /v1/images/edits`) and the list of models.
//!
//! OpenAI clients set `base_url` to `http://this-server/v1`. A model is a provider, or [`ROUTE`] for the configured
//! route.

mod edits;
mod problem;

use rocket::http::Status;
use rocket::serde::json::Json;
use rocket::{Route, get, routes};
use serde::Serialize;

use crate::gateway::Snapshot;
use crate::provider::Readiness;
use crate::web::guards::Context;
use crate::web::problem::{Problem, Rendering};

/// The name of the model that stands for the configured route.
const ROUTE: &str = "pixcolor";

/// Prefixes of the names of OpenAI's own image models. Many programs always send such a name, so it selects the route.
const OPENAI_MODELS: [&str; 3] = ["gpt-image-", "chatgpt-image-", "dall-e-"];

/// The routes of this folder.
pub fn routes() -> Vec<Route> {
    [routes![models, model], edits::routes()].concat()
}

/// A problem in OpenAI's format, if `family`, the path segment after `/v1/`, belongs to this facade.
pub fn rendering(family: &str, problem: &Problem) -> Option<Rendering> {
    matches!(family, "images" | "models").then(|| problem::rendering(problem))
}

#[derive(Debug, PartialEq, Eq)]
enum Meant {
    Route,
    /// The request names an OpenAI model, which is ignored: the route colours the photograph.
    RouteInstead,
    Provider(String),
}

/// Chooses the provider or route for a model name. Unknown names are refused, so that a typing error cannot send the
/// picture to an unintended provider.
fn resolve_model(snapshot: &Snapshot, model: Option<String>) -> Result<Meant, Problem> {
    match model {
        None => Ok(Meant::Route),
        Some(name) if name == ROUTE => Ok(Meant::Route),
        Some(name) if snapshot.route(Some(&name)).is_ok() => Ok(Meant::Provider(name)),
        Some(name) if OPENAI_MODELS.iter().any(|own| name.starts_with(own)) => Ok(Meant::RouteInstead),
        Some(name) => Err(no_model(&name)),
    }
}

fn no_model(name: &str) -> Problem {
    let name: String = name.chars().take(40).collect();
    let detail =
        format!("There is no model `{name}`: GET /v1/models lists the models; `{ROUTE}` always works.");
    Problem::new(Status::NotFound, detail).about("model")
}

/// OpenAI's `Model`.
#[derive(Serialize)]
struct Model {
    id: String,
    object: &'static str,
    /// Always 0: clients require a number, but the date is unknown.
    created: u64,
    owned_by: &'static str,
}

impl Model {
    fn new(id: &str) -> Self {
        Self { id: id.to_owned(), object: "model", created: 0, owned_by: "pixcolor" }
    }
}

#[derive(Serialize)]
struct Models {
    object: &'static str,
    data: Vec<Model>,
}

/// The models: the route, and every provider that is on the route or ready.
fn list(context: &Context) -> Vec<Model> {
    let Context { gateway, snapshot, .. } = context;
    let set_up = snapshot.in_order().filter(|(place, provider)| {
        place.is_some() || matches!(gateway.readiness(snapshot, provider.as_ref()), Readiness::Ready)
    });
    let names = set_up.map(|(_, provider)| provider.info().name.as_str()).filter(|name| *name != ROUTE);
    std::iter::once(ROUTE).chain(names).map(Model::new).collect()
}

#[get("/v1/models")]
async fn models(context: Context) -> Result<Json<Models>, Problem> {
    context.permitted().await?;
    Ok(Json(Models { object: "list", data: list(&context) }))
}

#[get("/v1/models/<model>")]
async fn model(context: Context, model: &str) -> Result<Json<Model>, Problem> {
    context.permitted().await?;
    let found = list(&context).into_iter().find(|known| known.id == model);
    found.map(Json).ok_or_else(|| no_model(model))
}
