//! `GET /sw.js`: the service worker, which shows the page when the browser cannot reach this server. A worker under
//! `/static/` could not control `/`.

use rocket::{Route, State, get, routes};
use serde_json::json;

use super::assets::{Assets, RenderedTemplate};
use super::problem::Problem;

pub fn routes() -> Vec<Route> {
    routes![worker]
}

#[get("/sw.js")]
fn worker(assets: &State<Assets>) -> Result<RenderedTemplate, Problem> {
    // The template inserts the list as it is: JSON is JavaScript.
    let files = json!(assets.shell()).to_string();
    assets.render("sw.js", json!({ "version": assets.version(), "files": files }))
}
