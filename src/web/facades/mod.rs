//! Facades: other people's APIs, so that their clients work unchanged. Each only translates, its errors included: what
//! an error is in HTTP is for `problem` to say, in what words its clients read it is for the facade.

mod algorithmia;
mod openai;

use rocket::http::RawStr;
use rocket::{Request, Route};

use super::problem::{Problem, Rendering};

/// The routes of all facades.
pub fn routes() -> Vec<Route> {
    [algorithmia::routes(), openai::routes()].concat()
}

/// A problem in the words of the facade that was asked; `None` where our own API was.
pub fn rendering(request: &Request<'_>, problem: &Problem) -> Option<Rendering> {
    let path = request.uri().path();
    // Some clients begin with `//`.
    let mut segments = path.raw_segments().map(RawStr::as_str).filter(|segment| !segment.is_empty());
    segments.next().filter(|first| *first == "v1")?;
    let family = segments.next()?;
    algorithmia::rendering(family, request, problem).or_else(|| openai::rendering(family, problem))
}
