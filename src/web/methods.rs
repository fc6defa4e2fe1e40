//! Returns 405 with `Allow` for a wrong method on a known path; Rocket alone would return 404.

use std::collections::BTreeMap;

use rocket::http::Method;
use rocket::route::{Handler, Outcome};
use rocket::{Data, Request, Route};

use super::problem::Problem;

const METHODS: [Method; 9] = [
    Method::Get,
    Method::Put,
    Method::Post,
    Method::Delete,
    Method::Options,
    Method::Head,
    Method::Trace,
    Method::Connect,
    Method::Patch,
];

/// Routes that return 405, for each method that a path of `routes` lacks. They rank after all other routes.
pub fn wrong_method_routes(routes: &[Route]) -> Vec<Route> {
    let mut known: BTreeMap<&str, Vec<Method>> = BTreeMap::new();
    for route in routes {
        let methods = known.entry(route.uri.path()).or_default();
        methods.push(route.method);
        if route.method == Method::Get {
            // Rocket answers HEAD wherever it answers GET.
            methods.push(Method::Head);
        }
    }
    let mut others = Vec::new();
    // Each path has its own rank, so that overlapping paths do not collide.
    for (rank, (path, methods)) in (1_000..).zip(known) {
        let allow = methods.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ");
        let missing = METHODS.iter().filter(|method| !methods.contains(method));
        others.extend(missing.map(|method| Route::ranked(rank, *method, path, NotAllowed(allow.clone()))));
    }
    others
}

#[derive(Clone)]
struct NotAllowed(String);

#[rocket::async_trait]
impl Handler for NotAllowed {
    async fn handle<'r>(&self, request: &'r Request<'_>, _: Data<'r>) -> Outcome<'r> {
        Outcome::from(request, Problem::method_not_allowed(self.0.clone()))
    }
}
