//! The Algorithmia facade, for client programs that were written for the Algorithmia service (2016 to 2022).
//!
//! A client calls an algorithm with a picture and then fetches the file that the algorithm made. `docs/algorithmia.md`
//! lists what is supported. Colouring uses the same pipeline as all other requests.

mod algo;
mod color;
mod data;
mod data_path;
mod envelope;
mod files;
mod input;
mod listing;
mod results;

use rocket::{Request, Route};

use crate::web::problem::{Problem, Rendering};

/// The routes of this facade.
pub fn routes() -> Vec<Route> {
    [algo::routes(), data::routes()].concat()
}

/// A problem in Algorithmia's format, if `family`, the path segment after `/v1/`, belongs to this facade.
pub fn rendering(family: &str, request: &Request<'_>, problem: &Problem) -> Option<Rendering> {
    match family {
        "algo" => Some(envelope::of_call(problem, request, None)),
        "data" | "connector" => Some(envelope::of_data(problem, request)),
        _ => None,
    }
}
