//! Admin routes, behind the admin token.

use rocket::serde::json::Json;
use rocket::{Route, get, routes};

use super::guards::{Admin, Context};

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    routes![config]
}

/// The effective configuration with its sources, secrets masked: what `pixcolor check` prints.
#[get("/v1/admin/config")]
fn config(_admin: Admin, context: Context) -> Json<serde_json::Value> {
    Json(context.snapshot.report.clone())
}
