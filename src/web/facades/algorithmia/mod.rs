//! Algorithmia's protocol, as its clients of 2016 to 2022 speak it: call an algorithm with a picture, then fetch the
//! file it made. `docs/algorithmia.md` says what is served. Colouring goes the way of every picture.

mod algo;
mod colour;
mod data;
mod envelope;
mod files;
mod input;
mod listing;
mod place;
mod results;

use rocket::{Request, Route};

use super::Rendering;
use crate::web::problem::Problem;

/// The routes of this facade.
pub fn routes() -> Vec<Route> {
    [algo::routes(), data::routes()].concat()
}

/// A problem as these clients read it, if it was this facade that was asked.
pub fn rendering(request: &Request<'_>, problem: &Problem) -> Option<Rendering> {
    let path = request.uri().path();
    // Some clients begin with `//`.
    let mut segments =
        path.raw_segments().map(rocket::http::RawStr::as_str).filter(|segment| !segment.is_empty());
    match (segments.next(), segments.next()) {
        (Some("v1"), Some("algo")) => Some(envelope::of_call(problem, request, None)),
        (Some("v1"), Some("data" | "connector")) => Some(envelope::of_data(problem, request)),
        _ => None,
    }
}
