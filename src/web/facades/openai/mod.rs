//! OpenAI's image edits (`POST /v1/images/edits`) and its list of models, for clients that speak to nobody else:
//! with `base_url` set to `http://this-server/v1` they colour photographs here. A model is a provider, or
//! [`ROUTE`] for whoever is first on the route.

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

/// The model that is the configured route.
const ROUTE: &str = "pixcolor";

/// How the names of OpenAI's own image models begin. Programs have them written down, so that here they mean the
/// route.
const OPENAIS_OWN: [&str; 3] = ["gpt-image-", "chatgpt-image-", "dall-e-"];

/// The routes of this folder.
pub fn routes() -> Vec<Route> {
    [routes![models, model], edits::routes()].concat()
}

/// A problem as these clients read it, if `family`, what comes after `/v1/`, is this facade's.
pub fn rendering(family: &str, problem: &Problem) -> Option<Rendering> {
    matches!(family, "images" | "models").then(|| problem::rendering(problem))
}

/// Whom a model's name means.
#[derive(Debug, PartialEq, Eq)]
enum Meant {
    /// The route.
    Route,
    /// The route, though another model was asked for.
    RouteInstead,
    /// This provider.
    Provider(String),
}

/// Whom a model means. One that is nobody's is refused: with a name that is merely mistyped, the picture might go
/// where it should not.
fn meant(snapshot: &Snapshot, model: Option<String>) -> Result<Meant, Problem> {
    match model {
        None => Ok(Meant::Route),
        Some(name) if name == ROUTE => Ok(Meant::Route),
        Some(name) if snapshot.route(Some(&name)).is_ok() => Ok(Meant::Provider(name)),
        Some(name) if OPENAIS_OWN.iter().any(|own| name.starts_with(own)) => Ok(Meant::RouteInstead),
        Some(name) => Err(no_model(&name)),
    }
}

fn no_model(name: &str) -> Problem {
    let name: String = name.chars().take(40).collect();
    let detail =
        format!("There is no model `{name}` here: GET /v1/models lists them, `{ROUTE}` always works.");
    Problem::new(Status::NotFound, detail).about("model")
}

/// A model, as OpenAI's clients know it.
#[derive(Serialize)]
struct Model {
    id: String,
    object: &'static str,
    /// Clients want a number; nobody here knows when a model was made.
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

/// The route and every provider that somebody has set up: it is on the route, or ready.
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
