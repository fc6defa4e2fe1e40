//! `POST /v1/colorize`: colours an upload and returns the result as an image or as JSON.

use rocket::http::Accept;
use rocket::{Route, post, routes};

use super::answer::RenditionResponse;
use super::guards::Context;
use super::options::OptionQuery;
use super::problem::Problem;
use super::request;
use super::upload::UploadedImage;

pub fn routes() -> Vec<Route> {
    routes![colorize]
}

#[post("/v1/colorize?<query..>", data = "<picture>")]
async fn colorize(
    context: Context,
    accept: Option<&Accept>,
    query: OptionQuery,
    picture: Result<UploadedImage, Problem>,
) -> Result<RenditionResponse, Problem> {
    let UploadedImage { upload, fields } = picture?;
    let rendition = request::colorize(&context, upload, query.or(fields)?, accept).await?;
    Ok(match accept.is_some_and(wants_json) {
        true => RenditionResponse::Json(rendition),
        false => RenditionResponse::Image(rendition),
    })
}

fn wants_json(accept: &Accept) -> bool {
    let preferred = accept.preferred();
    preferred.media_type().is_json()
}
