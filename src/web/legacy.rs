//! `POST /image`, the route of the web page of 2017. The request and the response are data URLs as text.

use rocket::http::ContentType;
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use rocket::{Route, post, routes};

use super::answer::{Described, data_url_body};
use super::guards::Context;
use super::problem::Problem;
use super::request::colorize;
use super::upload::{DataUrl, UploadFields};
use crate::gateway::Rendition;

pub fn routes() -> Vec<Route> {
    routes![image]
}

#[post("/image", data = "<picture>")]
async fn image(
    context: Context,
    picture: Result<DataUrl, Problem>,
) -> Result<Described<DataUrlText>, Problem> {
    let DataUrl(upload) = picture?;
    let rendition = colorize(&context, upload, UploadFields::default(), None).await?;
    Ok(Described::new(&rendition, DataUrlText(rendition.clone())))
}

/// A rendition's data URL as plain text.
struct DataUrlText(Rendition);

impl<'r> Responder<'r, 'static> for DataUrlText {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let body = data_url_body(&self.0);
        Response::build().header(ContentType::Plain).sized_body(body.len(), body).ok()
    }
}
