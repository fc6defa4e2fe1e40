//! Routes that require the admin token.

use rocket::http::Status;
use rocket::serde::json::Json;
use rocket::{Route, delete, get, routes};
use serde::Serialize;

use super::guards::{Admin, Context};
use super::problem::Problem;
use super::request::fingerprint;
use crate::cache::{CacheError, TierStats};
use crate::gateway::forget;

pub fn routes() -> Vec<Route> {
    routes![config, cache, clear, remove]
}

/// The configuration in effect with its sources and masked secrets, as `pixcolor check` prints it.
#[get("/v1/admin/config")]
fn config(_admin: Admin, context: Context) -> Json<serde_json::Value> {
    Json(context.snapshot.report.clone())
}

/// The number of a cache tier's entries, and their total size.
#[derive(Serialize)]
struct TierFacts {
    tier: &'static str,
    entries: u64,
    bytes: u64,
}

impl From<TierStats> for TierFacts {
    fn from(TierStats { tier, entries, bytes }: TierStats) -> Self {
        Self { tier: tier.label(), entries, bytes }
    }
}

#[derive(Serialize)]
struct CacheContents {
    tiers: Vec<TierFacts>,
}

#[derive(Serialize)]
struct ForgottenFacts {
    forgotten: usize,
    /// `forgotten` if the chroma was deleted, too. `unknown` if no cache entry says which chroma belongs to the upload;
    /// in that case, chroma may remain.
    #[serde(rename = "colour")]
    color: &'static str,
}

/// Removes expired entries from the memory and disk tiers, and returns the number and size of the remaining entries.
#[get("/v1/admin/cache")]
async fn cache(_admin: Admin, context: Context) -> Result<Json<CacheContents>, Problem> {
    let stats = context.gateway.cache().sweep().await.map_err(failed)?;
    Ok(Json(CacheContents { tiers: stats.into_iter().map(TierFacts::from).collect() }))
}

/// Deletes everything in every tier.
#[delete("/v1/admin/cache")]
async fn clear(_admin: Admin, context: Context) -> Result<Status, Problem> {
    context.gateway.cache().clear().await.map_err(failed)?;
    Ok(Status::NoContent)
}

/// Deletes the renditions of the upload with this SHA-256, and its chroma if the cache can find it, in every tier.
#[delete("/v1/admin/cache/<sha256>")]
async fn remove(_admin: Admin, context: Context, sha256: &str) -> Result<Json<ForgottenFacts>, Problem> {
    let gone = forget(context.gateway.cache(), fingerprint(sha256)?, None).await.map_err(failed)?;
    let color = if gone.pixels_known { "forgotten" } else { "unknown" };
    Ok(Json(ForgottenFacts { forgotten: gone.values, color }))
}

/// The problem for an error of the cache. Its detail can contain paths of this machine, so only admin routes return it.
fn failed(error: CacheError) -> Problem {
    Problem::new(Status::InternalServerError, format!("The cache cannot be read or changed: {error}."))
}
