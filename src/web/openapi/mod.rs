//! The description of the API, for programs (`GET /openapi.json`, OpenAPI 3.1) and for people (`GET /docs`).
//!
//! `docs/openapi.json` is written by hand. Tests compare it with the routes and with the responses of the real binary.

mod words;

use minijinja::{Environment, Value};
use rocket::http::{ContentType, Header};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use rocket::{Route, State, get, routes};
use serde_json::json;

use super::assets::{Assets, RenderedTemplate};
use super::coding::EncodedBody;
use super::problem::Problem;

const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    routes![document, page]
}

/// Responds with the OpenAPI document.
struct Document;

impl<'r> Responder<'r, 'static> for Document {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let mut response = Response::build();
        response.header(ContentType::JSON).header(Header::new("Cache-Control", "no-cache"));
        EncodedBody::new(DOCUMENT, request).write(&mut response);
        response.ok()
    }
}

#[get("/openapi.json")]
fn document() -> Document {
    Document
}

#[get("/docs")]
fn page(assets: &State<Assets>) -> Result<RenderedTemplate, Problem> {
    // Parsing cannot fail, because a test parses the document.
    let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
    assets.render("docs.html", json!({ "version": env!("CARGO_PKG_VERSION"), "doc": document }))
}

/// Adds the function and the filters that templates need to show the document: `resolve`, `prose` and `words`.
pub fn extend_templates(environment: &mut Environment<'_>) {
    environment.add_function("resolve", |document: Value, value: Value| words::resolve(&document, value));
    environment.add_filter("prose", |text: &str| Value::from_safe_string(words::prose(text)));
    environment.add_filter("words", |schema: Value| Value::from_safe_string(words::words(&schema)));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    /// The path of a route in OpenAPI's form: `/v1/results/<digest>?<format>` becomes `/v1/results/{digest}`, and
    /// `<_..>` becomes `{path}`.
    fn path(route: &Route) -> String {
        route.uri.path().replace("<_..>", "<path>").replace('<', "{").replace('>', "}")
    }

    /// The names of an operation's parameters in `place`: the path or the query.
    fn parameters(document: &Value, operation: &Value, place: &str) -> BTreeSet<String> {
        let all = operation["parameters"].as_array().cloned().unwrap_or_default();
        let resolved = all.iter().map(|one| match one["$ref"].as_str() {
            Some(reference) => document.pointer(&reference[1..]).unwrap(),
            None => one,
        });
        let here = resolved.filter(|parameter| parameter["in"] == place);
        here.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_document_has_exactly_the_routes_and_their_parameters() {
        let document = document();
        let mut known: BTreeSet<String> = BTreeSet::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for method in operations.as_object().unwrap().keys() {
                known.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let mut mounted = BTreeSet::new();
        for route in crate::web::own_routes(true) {
            let path = path(&route);
            let method = route.method.as_str();
            let operation = &document["paths"][&path][method.to_lowercase()];
            let name = format!("{method} {path}");
            let within = |text: &str, open| -> BTreeSet<String> {
                let names = text.split(open).skip(1).map(|rest| rest.split(['>', '}']).next().unwrap());
                let names = names.flat_map(|name| match name {
                    "query.." => crate::web::options::NAMES.to_vec(),
                    name => vec![name],
                });
                names.map(str::to_owned).collect()
            };
            assert_eq!(parameters(&document, operation, "path"), within(&path, '{'), "{name}");
            let query = route.uri.query().map(ToString::to_string).unwrap_or_default();
            assert_eq!(parameters(&document, operation, "query"), within(&query, '<'), "{name}");
            mounted.insert(name);
        }
        assert_eq!(mounted, known);
    }

    #[test]
    fn the_document_has_this_version_and_all_its_references_resolve() {
        let document = document();
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        let mut used = BTreeSet::new();
        references(&document, &mut used);
        for reference in &used {
            assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
        }
        for kind in ["schemas", "headers", "parameters", "responses"] {
            for name in document["components"][kind].as_object().unwrap().keys() {
                let reference = format!("#/components/{kind}/{name}");
                assert!(used.contains(&reference), "nothing uses {reference}");
            }
        }
        let names: Vec<&str> = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|operations| operations.as_object().unwrap().values())
            .map(|operation| operation["operationId"].as_str().unwrap())
            .collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                    found.insert(reference.to_owned());
                }
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
}
