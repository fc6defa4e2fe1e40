//! Facades: other services' protocols, so that their clients work unchanged.
//!
//! A facade only translates requests, responses and errors. `problem` maps an error to a problem; the facade writes
//! that problem in the format that its clients expect.

mod algorithmia;
mod openai;

use rocket::http::RawStr;
use rocket::{Request, Route};

use super::problem::{Problem, Rendering};

/// The routes of all facades.
pub fn routes() -> Vec<Route> {
    [algorithmia::routes(), openai::routes()].concat()
}

/// A problem in the format of the request's facade; `None` for requests to PixColor's own API.
pub fn rendering(request: &Request<'_>, problem: &Problem) -> Option<Rendering> {
    let path = request.uri().path();
    // Some clients send paths that begin with `//`.
    let mut segments = path.raw_segments().map(RawStr::as_str).filter(|segment| !segment.is_empty());
    segments.next().filter(|first| *first == "v1")?;
    let family = segments.next()?;
    algorithmia::rendering(family, request, problem).or_else(|| openai::rendering(family, problem))
}
