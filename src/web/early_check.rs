//! Who is not let in learns it before anything of a body is read, but for the 14 bytes that Rocket has peeked
//! at by then.

use rocket::route::{Handler, Outcome};
use rocket::{Data, Request, Route};

use super::problem::Problem;

/// The answer to a request that is turned away; none to one that is let in.
type RequestCheck = fn(&Request<'_>) -> Option<Problem>;

/// The same routes, for those whom a check lets in.
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
