//! Rejects requests before their body is read. Rocket itself has then read at most the first 14 bytes of the body.

use rocket::route::{Handler, Outcome};
use rocket::{Data, Request, Route};

use super::problem::Problem;

/// Returns the problem to answer with if the request must be rejected, otherwise `None`.
type RequestCheck = fn(&Request<'_>) -> Option<Problem>;

/// Wraps routes, so that `check` runs before their handlers.
pub fn guard(routes: Vec<Route>, check: RequestCheck) -> Vec<Route> {
    let behind = |mut route: Route| {
        route.handler = Box::new(Door { handler: route.handler, check });
        route
    };
    routes.into_iter().map(behind).collect()
}

#[derive(Clone)]
struct Door {
    handler: Box<dyn Handler>,
    check: RequestCheck,
}

#[rocket::async_trait]
impl Handler for Door {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        match (self.check)(request) {
            Some(problem) => Outcome::from(request, problem),
            None => self.handler.handle(request, data).await,
        }
    }
}
