//! The page: `GET /`, and `POST /` for browsers without JavaScript.

use rocket::http::Status;
use rocket::{Route, State, get, post, routes};
use serde_json::json;

use super::answer::{Described, credits, data_url};
use super::assets::{Assets, Page};
use super::colorize::ask;
use super::guards::Context;
use super::problem::Problem;
use super::providers::list;
use super::upload::Picture;
use crate::gateway::Rendition;

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    routes![index, result]
}

#[get("/")]
fn index(context: Context, assets: &State<Assets>) -> Result<Page, Problem> {
    let config = &context.snapshot.config;
    let limits = &config.limits;
    assets.render(
        "index.html",
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "providers": list(&context.snapshot),
            "route": config.route,
            "limits": {
                "upload_bytes": limits.upload_bytes,
                "pixels": limits.pixels,
                "side": limits.side,
            },
        }),
    )
}

#[post("/", data = "<picture>")]
async fn result(
    context: Context,
    assets: &State<Assets>,
    picture: Result<Picture, Problem>,
) -> Result<Described<(Status, Page)>, Problem> {
    match colour(&context, picture).await {
        Ok(rendition) => {
            let page = assets.render("result.html", facts(&rendition))?;
            Ok(Described::new(&rendition, (Status::Ok, page)))
        }
        Err(problem) => {
            let page = assets.render("error.html", &problem)?;
            Ok(Described::bare((problem.http_status(), page)))
        }
    }
}

async fn colour(context: &Context, picture: Result<Picture, Problem>) -> Result<Rendition, Problem> {
    let Picture { upload, fields } = picture?;
    ask(context, upload, fields, None).await
}

fn facts(rendition: &Rendition) -> serde_json::Value {
    let seconds: f64 = rendition.timings.iter().map(|(_, took)| took.as_secs_f64()).sum();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "result": data_url(rendition),
        "download_name": format!("coloured.{}", rendition.format.extension()),
        "provider": rendition.provider,
        "model": rendition.model,
        "credits": credits(rendition),
        "seconds": format!("{seconds:.1}"),
        "width": rendition.width,
        "height": rendition.height,
    })
}
