//! Other people's APIs, so that their clients work unchanged. A facade translates; everything else is done by the
//! steps that our own API goes through.

pub mod openai;

use rocket::Request;
use rocket::http::{ContentType, Header, Status};

use super::problem::Problem;

/// A problem as the clients of a facade read it.
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
    openai::is_asked(request).then(|| openai::problem::rendering(problem))
}
