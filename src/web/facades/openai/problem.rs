//! Problems in OpenAI's format: `{"error": {"message", "type", "param", "code"}}`. The clients choose an exception by
//! the status.

use rocket::http::{ContentType, Header, Status};
use serde::Serialize;

use crate::web::problem::{Problem, Rendering};

#[derive(Serialize)]
struct ErrorBody<'p> {
    error: Error<'p>,
}

#[derive(Serialize)]
struct Error<'p> {
    message: &'p str,
    #[serde(rename = "type")]
    kind: &'static str,
    /// The invalid parameter.
    param: Option<&'static str>,
    code: Option<String>,
}

/// A problem in OpenAI's format.
///
/// OpenAI's clients retry after 408, 409, 429 and 5xx, unless the response has `x-should-retry: false`. This function
/// sets that header if a retry cannot help or might be charged again.
pub fn rendering(problem: &Problem) -> Rendering {
    const INVALID: &str = "invalid_request_error";
    let (status, kind, code) = match problem.status {
        400 => (400, INVALID, problem.param().map(|_| "invalid_value")),
        401 => (401, INVALID, Some("invalid_api_key")),
        // OpenAI returns 429 when a customer's credit is spent.
        402 => (429, "insufficient_quota", Some("insufficient_quota")),
        403 => (403, "permission_error", Some("forbidden")),
        404 if problem.param() == Some("model") => (404, INVALID, Some("model_not_found")),
        404 => (404, INVALID, Some("not_found")),
        413 => (400, INVALID, Some("image_too_large")),
        415 => (400, INVALID, Some("unsupported_image")),
        422 => (400, INVALID, Some("unusable_image")),
        429 => (429, "requests", Some("rate_limit_exceeded")),
        status if status < 500 => (status, INVALID, None),
        status => (status, "server_error", None),
    };
    let code = code.map_or_else(|| problem.name().replace('-', "_"), str::to_owned);
    let error = Error { message: &problem.detail, kind, param: problem.param(), code: Some(code) };
    let no_retry = problem.status == 402 || problem.may_have_cost();
    Rendering {
        status: Status::new(status),
        media_type: ContentType::JSON,
        // Serializing strings cannot fail.
        body: serde_json::to_string(&ErrorBody { error }).unwrap_or_default(),
        headers: no_retry.then(|| Header::new("x-should-retry", "false")).into_iter().collect(),
    }
}
