//! Facades: other people's APIs, so that their clients work unchanged. Each only translates, its errors included: what
//! an error is in HTTP is for `problem` to say, in what words its clients read it is for the facade.

mod algorithmia;
mod openai;

use rocket::http::{ContentType, Header, RawStr, Status};
use rocket::{Request, Route};

use super::problem::Problem;

/// The routes of all facades.
pub fn routes() -> Vec<Route> {
    [algorithmia::routes(), openai::routes()].concat()
}

/// A problem as somebody's clients read it.
pub struct Rendering {
    /// The status that they know what to do with.
    pub status: Status,
    /// What the body is.
    pub media_type: ContentType,
    /// The body.
    pub body: String,
    /// Headers beside those of the problem itself.
    pub headers: Vec<Header<'static>>,
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
