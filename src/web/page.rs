//! The page: `GET /`, and `POST /` for browsers without JavaScript.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rocket::http::Status;
use rocket::{Route, State, get, post, routes};
use serde_json::json;

use super::answer::{Described, credits, data_url};
use super::assets::{Assets, RenderedTemplate};
use super::guards::Context;
use super::problem::Problem;
use super::providers::list_with_history;
use super::request::colorize;
use super::upload::UploadedImage;
use crate::gateway::{Rendition, TimedStep, Upload};
use crate::photo::{InputFormat, Limits, read_head};

pub fn routes() -> Vec<Route> {
    routes![index, result]
}

#[get("/")]
async fn index(context: Context, assets: &State<Assets>) -> Result<RenderedTemplate, Problem> {
    let config = &context.snapshot.config;
    let limits = &config.limits;
    assets.render(
        "index.html",
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "providers": list_with_history(&context).await,
            "route": config.route,
            "key_needed": !config.clients.anonymous,
            "trouble": context.gateway.reload_error(),
            "formats": InputFormat::ALL.map(|format| json!({
                "name": format.name(),
                "media_type": format.media_type(),
            })),
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
    picture: Result<UploadedImage, Problem>,
) -> Result<Described<(Status, RenderedTemplate)>, Problem> {
    match color(&context, picture).await {
        Ok((rendition, facts)) => {
            let page = assets.render("result.html", facts)?.uncoded();
            Ok(Described::new(&rendition, (Status::Ok, page)))
        }
        Err(problem) => {
            let page = assets.render("error.html", &problem)?;
            Ok(Described::problem(&problem, (problem.http_status(), page)))
        }
    }
}

/// Colours the picture. Also returns the values for the template of the result page.
async fn color(
    context: &Context,
    picture: Result<UploadedImage, Problem>,
) -> Result<(Rendition, serde_json::Value), Problem> {
    let UploadedImage { upload, fields } = picture?;
    let original = original_url(&upload, &context.snapshot.config.limits.photo());
    let file_name = fields.file_name.clone().unwrap_or_default();
    let rendition = colorize(context, upload, fields, None).await?;
    let facts = facts(&rendition, original, &file_name);
    Ok((rendition, facts))
}

fn facts(rendition: &Rendition, original: Option<String>, file_name: &str) -> serde_json::Value {
    let steps = rendition.timings.iter().filter(|(step, _)| *step != TimedStep::Receive);
    let seconds: f64 = steps.map(|(_, took)| took.as_secs_f64()).sum();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "original": original,
        "result": data_url(rendition),
        "download_name": rendition.format.colored_name(file_name),
        "coloured_by": rendition.colored_by().map(|(provider, model)| format!("{provider}: {model}")),
        "in_colour": rendition.in_color,
        "damage": rendition.damage.as_ref().map(ToString::to_string),
        "credits": credits(rendition),
        "seconds": format!("{seconds:.1}"),
        "width": rendition.width,
        "height": rendition.height,
    })
}

/// The upload as a data URL. `None` for a TIFF, which most browsers cannot show, and if the image header is invalid.
fn original_url(upload: &Upload, limits: &Limits) -> Option<String> {
    let format = read_head(&upload.bytes, limits).ok()?.format;
    (format != InputFormat::Tiff)
        .then(|| format!("data:{};base64,{}", format.media_type(), BASE64.encode(&upload.bytes)))
}
