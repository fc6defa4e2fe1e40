//! Responses: the envelope around a result, and errors in the format and with the status that the clients can read.
//!
//! All clients read `error` in JSON. The last version of the Python client reads `error` only if the status is 200;
//! otherwise that client shows only the status. So errors of an algorithm have status 200, as they had at Algorithmia.
//! Only errors of the call itself (no permission, not available now, an internal error) have another status.

use std::io::Cursor;

use rocket::http::{ContentType, Header, Method, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use serde_json::{Map, Value, json};

use crate::web::header_text::header_text;
use crate::web::identity::RequestIdentity;
use crate::web::problem::{Problem, Rendering};

/// The result of an algorithm.
#[derive(Clone, Debug)]
pub enum Made {
    Json(Value),
    Text(String),
}

/// How to send the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputKind {
    /// Inside the envelope.
    #[default]
    Envelope,
    /// Without the envelope.
    Raw,
    /// Not at all: the call runs and its result is discarded.
    Void,
}

/// A result and its metadata.
#[derive(Clone, Debug)]
pub struct AlgoResponse {
    pub made: Made,
    /// Duration of the call, in seconds.
    pub duration: f64,
    /// What the algorithm printed, if the caller asked for it.
    pub stdout: Option<String>,
    /// Warnings for the caller.
    pub alerts: Vec<String>,
    /// Whether to send the result without its envelope.
    pub raw: bool,
    pub headers: Vec<Header<'static>>,
}

/// The response to a call with `output=void`, sent before the work starts.
pub struct AcceptedResponse;

/// The error of an algorithm, and the duration of the call in seconds.
pub struct Failed(pub Problem, pub f64);

/// The request id in Algorithmia's format. It contains the id in the log and in `X-Request-Id`.
fn request_id(request: &Request<'_>) -> String {
    format!("req-{}", RequestIdentity::of(request).id)
}

impl AlgoResponse {
    fn envelope(&self, id: &str) -> Value {
        let (kind, result) = match &self.made {
            Made::Json(value) => ("json", value.clone()),
            Made::Text(text) => ("text", Value::from(text.as_str())),
        };
        let mut metadata = Map::new();
        metadata.insert("content_type".to_owned(), kind.into());
        metadata.insert("duration".to_owned(), self.duration.into());
        metadata.insert("request_id".to_owned(), id.into());
        if let Some(stdout) = &self.stdout {
            metadata.insert("stdout".to_owned(), stdout.as_str().into());
        }
        if !self.alerts.is_empty() {
            metadata.insert("alerts".to_owned(), self.alerts.clone().into());
        }
        // No `error` member: Python's clients treat even null as an error.
        json!({ "result": result, "metadata": metadata })
    }
}

impl<'r> Responder<'r, 'static> for AlgoResponse {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let (kind, body) = match (self.raw, &self.made) {
            (false, _) => (ContentType::JSON, self.envelope(&request_id(request)).to_string()),
            (true, Made::Json(value)) => (ContentType::JSON, value.to_string()),
            (true, Made::Text(text)) => (ContentType::Plain, text.clone()),
        };
        let mut response = json_response(kind, body);
        for header in self.headers {
            response.set_header(header);
        }
        Ok(response)
    }
}

impl<'r> Responder<'r, 'static> for AcceptedResponse {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let id = request_id(request);
        Ok(json_response(ContentType::JSON, json!({ "async": id, "request_id": id }).to_string()))
    }
}

fn json_response(kind: ContentType, body: String) -> Response<'static> {
    let mut response = Response::build();
    response
        .header(kind)
        .header(Header::new("Cache-Control", "no-store"))
        .sized_body(body.len(), Cursor::new(body));
    response.finalize()
}

impl<'r> Responder<'r, 'static> for Failed {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let Self(problem, seconds) = self;
        let Rendering { status, media_type, body, headers } = of_call(&problem, request, Some(seconds));
        let mut response = json_response(media_type, body);
        response.set_status(status);
        for header in problem.headers().into_iter().chain(headers) {
            response.set_header(header);
        }
        Ok(response)
    }
}

/// The response for a problem of a call. `seconds` is the duration of the call if the algorithm itself failed, else
/// `None`.
pub fn of_call(problem: &Problem, request: &Request<'_>, seconds: Option<f64>) -> Rendering {
    let status = problem.http_status();
    let message = message(problem);
    if output(request) == OutputKind::Raw {
        // Python's clients raise an error for 400 and 500, and treat the body of other statuses as the result.
        let status = match status.code {
            // Not a call: the method is wrong.
            405 => status,
            code if code < 500 => Status::BadRequest,
            _ => Status::InternalServerError,
        };
        return Rendering { status, media_type: ContentType::Plain, body: message, headers: Vec::new() };
    }
    // No permission, not available now, or an internal error: clients and proxies have to see these statuses.
    let of_the_call = matches!(status.code, 401 | 403 | 408 | 429 | 500 | 503);
    let mut error = Map::new();
    error.insert("message".to_owned(), message.as_str().into());
    if let Some(kind) = error_type(status) {
        error.insert("error_type".to_owned(), kind.into());
    }
    Rendering {
        status: if seconds.is_some() && !of_the_call { Status::Ok } else { status },
        media_type: ContentType::JSON,
        body: json!({ "error": error, "metadata": { "duration": seconds.unwrap_or(0.0) } }).to_string(),
        headers: vec![Header::new("X-Error-Message", header_text(&message))],
    }
}

/// The response for a problem with a file or a collection.
pub fn of_data(problem: &Problem, request: &Request<'_>) -> Rendering {
    let message = message(problem);
    let mut error = Map::new();
    error.insert("message".to_owned(), message.as_str().into());
    if request.method() == Method::Delete {
        error.insert("deleted".to_owned(), 0.into());
    }
    Rendering {
        status: problem.http_status(),
        media_type: ContentType::JSON,
        body: json!({ "error": error }).to_string(),
        headers: vec![Header::new("X-Error-Message", header_text(&message))],
    }
}

/// The error message. It begins with Algorithmia's own words where programs search for them.
fn message(problem: &Problem) -> String {
    match problem.status {
        401 => format!("authorization required. {}", problem.detail),
        _ => problem.detail.clone(),
    }
}

/// Algorithmia's `error_type` for this status; `None` if Algorithmia sent none.
fn error_type(status: Status) -> Option<&'static str> {
    match status.code {
        400 | 422 => Some("InputError"),
        402 => Some("PaymentRequiredError"),
        413 => Some("TooLargeError"),
        415 => Some("UnsupportedError"),
        502 => Some("AlgorithmError"),
        504 => Some("TimeoutError"),
        500.. => Some("SystemError"),
        _ => None,
    }
}

/// Reads `output` from the query. An invalid value counts as [`OutputKind::Envelope`] here; the call itself refuses it.
pub fn output(request: &Request<'_>) -> OutputKind {
    match request.query_value::<&str>("output") {
        Some(Ok(word)) if word.eq_ignore_ascii_case("raw") => OutputKind::Raw,
        Some(Ok(word)) if word.eq_ignore_ascii_case("void") => OutputKind::Void,
        _ => OutputKind::Envelope,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(made: Made) -> AlgoResponse {
        AlgoResponse {
            made,
            duration: 0.5,
            stdout: None,
            alerts: Vec::new(),
            raw: false,
            headers: Vec::new(),
        }
    }

    #[test]
    fn the_envelope_has_all_members_that_clients_parse_and_no_error() {
        let envelope = answer(Made::Text("Hello".to_owned())).envelope("req-1");
        assert_eq!(envelope["result"], "Hello");
        assert_eq!(envelope["metadata"]["content_type"], "text");
        assert_eq!(envelope["metadata"]["duration"], 0.5);
        assert_eq!(envelope["metadata"]["request_id"], "req-1");
        assert!(envelope.get("error").is_none() && envelope["metadata"].get("alerts").is_none());
        let null = answer(Made::Json(Value::Null)).envelope("req-1");
        assert!(null.as_object().unwrap().contains_key("result"));
    }
}
