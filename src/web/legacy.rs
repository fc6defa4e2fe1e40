//! `POST /image`: what the page of 2017 sends and expects, a data URL as text in and out.

use rocket::http::{ContentType, MediaType};
use rocket::{Route, post, routes};

use super::answer::{Described, data_url};
use super::colorize::ask;
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
) -> Result<Described<(ContentType, String)>, Problem> {
    let DataUrl(upload) = picture?;
    let rendition = ask(&context, upload, Fields::default(), None).await?;
    Ok(Described::new(&rendition, (ContentType(MediaType::Plain), data_url(&rendition))))
}
