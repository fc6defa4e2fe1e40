//! What is answered: the envelope around a result, and an error in the words and at the status that each client can
//! read.
//!
//! The status decides what a client shows. All of them read an `error` in JSON, but the last Python client only at
//! status 200, and of all others it shows nothing but the number. So what an algorithm has against its input, or
//! could not do, is told at 200, as the service did; that a caller may not call, or not now, by the status too.

use std::io::Cursor;

use rocket::http::{ContentType, Header, Method, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use serde_json::{Map, Value, json};

use crate::web::header_text::header_text;
use crate::web::identity::RequestIdentity;
use crate::web::problem::{Problem, Rendering};

/// What an algorithm has made.
#[derive(Clone, Debug)]
pub enum Made {
    /// JSON.
    Json(Value),
    /// A text.
    Text(String),
}

/// How a caller wants the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputKind {
    /// In the envelope.
    #[default]
    Envelope,
    /// As it is.
    Raw,
    /// Not at all: it is worked on and forgotten.
    Void,
}

/// A result and what is told with it.
#[derive(Clone, Debug)]
pub struct AlgoResponse {
    /// The result.
    pub made: Made,
    /// How long it took to make, in seconds.
    pub duration: f64,
    /// What was printed, if the caller asked for it.
    pub stdout: Option<String>,
    /// What the caller should know.
    pub alerts: Vec<String>,
    /// Whether the result is wanted bare.
    pub raw: bool,
    /// More to tell.
    pub headers: Vec<Header<'static>>,
}

/// What is answered before anything is done.
pub struct AcceptedResponse;

/// What an algorithm has against its input, or could not do; and how long that took, in seconds.
pub struct Failed(pub Problem, pub f64);

/// This request's name as the protocol spells it, around the one that the log and `X-Request-Id` have.
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
        // Python's clients take any `error` here for one, null too.
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

/// A problem of a call; one of the algorithm itself has taken so many seconds.
pub fn of_call(problem: &Problem, request: &Request<'_>, seconds: Option<f64>) -> Rendering {
    let status = problem.http_status();
    let message = message(problem);
    if output(request) == OutputKind::Raw {
        // Python's clients raise these two, and take the body of all others for the answer.
        let status = match status.code {
            // No call at all: the method is wrong.
            405 => status,
            code if code < 500 => Status::BadRequest,
            _ => Status::InternalServerError,
        };
        return Rendering { status, media_type: ContentType::Plain, body: message, headers: Vec::new() };
    }
    // May not, or not now: a caller has to know, and so has what stands in between.
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

/// A problem with a file or a collection.
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

/// The words that programs look for, where the service had such.
fn message(problem: &Problem) -> String {
    match problem.status {
        401 => format!("authorization required. {}", problem.detail),
        _ => problem.detail.clone(),
    }
}

/// The sort of error, as its clients and ours know them; none where the service gave none.
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

/// How a caller wants the result. What cannot be read is told as a problem elsewhere, in the envelope.
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
    fn the_envelope_has_what_parsers_need_and_no_error() {
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
