//! Algorithmia's protocol, as its clients of 2016 to 2022 speak it: call an algorithm with a picture, then fetch the
//! file it made. `docs/algorithmia.md` says what is served. Colouring goes the way of every picture.

mod algo;
mod color;
mod data;
mod envelope;
mod files;
mod input;
mod listing;
mod place;
mod results;

use rocket::{Request, Route};

use crate::web::problem::{Problem, Rendering};

/// The routes of this facade.
pub fn routes() -> Vec<Route> {
    [algo::routes(), data::routes()].concat()
}

/// A problem as these clients read it, if `family`, what comes after `/v1/`, is this facade's.
pub fn rendering(family: &str, request: &Request<'_>, problem: &Problem) -> Option<Rendering> {
    match family {
        "algo" => Some(envelope::of_call(problem, request, None)),
        "data" | "connector" => Some(envelope::of_data(problem, request)),
        _ => None,
    }
}
