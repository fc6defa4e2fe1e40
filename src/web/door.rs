//! Who is not let in learns it before anything of a body is read, but for the 14 bytes that Rocket has peeked
//! at by then.

use rocket::route::{Handler, Outcome};
use rocket::{Data, Request, Route};

use super::guards;

/// The same routes, for those who are let in.
pub fn guard(routes: Vec<Route>) -> Vec<Route> {
    let behind = |mut route: Route| {
        route.handler = Box::new(Door(route.handler));
        route
    };
    routes.into_iter().map(behind).collect()
}

#[derive(Clone)]
struct Door(Box<dyn Handler>);

#[rocket::async_trait]
impl Handler for Door {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        match guards::turned_away(request) {
            Some(problem) => Outcome::from(request, problem),
            None => self.0.handle(request, data).await,
        }
    }
}
