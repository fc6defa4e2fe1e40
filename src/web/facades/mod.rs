//! Facades: other services' protocols, in front of the same gateway. Each only translates, its errors included: what
//! an error is in HTTP is for `problem` to say, in what words its clients read it is for the facade.

mod algorithmia;
mod openai;

use rocket::{Request, Route};

use super::problem::{Form, Problem};

/// The routes of all facades.
pub fn routes() -> Vec<Route> {
    [algorithmia::routes(), openai::routes()].concat()
}

/// A problem in the form that the clients of the facade read that was asked; none if it was none.
pub fn form(problem: &Problem, request: &Request<'_>) -> Option<Form> {
    algorithmia::form(problem, request).or_else(|| openai::form(problem, request))
}
