//! `POST /image`: what the page of 2017 sends and expects, a data URL as text in and out.

use rocket::http::{ContentType, MediaType};
use rocket::{Route, post, routes};

use super::colorize::{ask, data_url};
use super::guards::Context;
use super::problem::Problem;
use super::upload::{DataUrl, Fields};

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    routes![image]
}

#[post("/image", data = "<picture>")]
async fn image(
    context: Context,
    picture: Result<DataUrl, Problem>,
) -> Result<(ContentType, String), Problem> {
    let DataUrl(upload) = picture?;
    let rendition = ask(&context, upload, Fields::default(), None).await?;
    Ok((ContentType(MediaType::Plain), data_url(&rendition)))
}
