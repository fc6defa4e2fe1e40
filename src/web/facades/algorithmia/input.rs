//! The input of an algorithm: JSON, text or bytes, depending on the content type.

use std::sync::Arc;

use bytes::Bytes;
use rocket::data::{self, Data, FromData};
use rocket::http::{ContentType, Status};
use rocket::request::Request;
use serde::Deserialize;
use serde_json::Value;

use crate::gateway::Upload;
use crate::quota::Admission;
use crate::web::body::Body;
use crate::web::problem::Problem;

/// The input of an algorithm.
#[derive(Debug)]
pub struct AlgoInput {
    pub raw: RawInput,
    pub admission: Arc<Admission>,
}

/// The body of a call, not yet parsed.
#[derive(Debug)]
pub enum RawInput {
    /// JSON, not yet parsed.
    Json(Bytes),
    /// Text, not yet checked for UTF-8.
    Text(Bytes),
    /// Bytes, hashed while they arrived.
    Binary(Upload),
}

/// The body of a request that writes a file. Its content type is ignored.
#[derive(Debug)]
pub struct FileBody {
    pub bytes: Bytes,
    _admission: Arc<Admission>,
}

#[rocket::async_trait]
impl<'r> FromData<'r> for AlgoInput {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let mut body = match Body::admit(request, data).await {
            Ok(body) => body,
            Err(problem) => return problem.outcome(),
        };
        let input = body.pace().limit(Self::read(&mut body, request)).await;
        body.finish(input).await
    }
}

#[rocket::async_trait]
impl<'r> FromData<'r> for FileBody {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let mut body = match Body::admit(request, data).await {
            Ok(body) => body,
            Err(problem) => return problem.outcome(),
        };
        let file = body.pace().limit(Self::read(&mut body)).await;
        body.finish(file).await
    }
}

impl AlgoInput {
    async fn read(body: &mut Body<'_>, request: &Request<'_>) -> Result<Self, Problem> {
        let raw = match kind(request.content_type())? {
            InputKind::Json => RawInput::Json(body.text().await?),
            InputKind::Text => RawInput::Text(body.text().await?),
            InputKind::Binary => RawInput::Binary(body.raw().await?),
            InputKind::Form => RawInput::Binary(body.declared_as_form().await?.ok_or_else(unsupported)?),
        };
        Ok(Self { raw, admission: body.admission() })
    }
}

impl FileBody {
    async fn read(body: &mut Body<'_>) -> Result<Self, Problem> {
        Ok(Self { bytes: body.file().await?, _admission: body.admission() })
    }
}

enum InputKind {
    Json,
    Text,
    Binary,
    Form,
}

/// The kind of a body. The charset is ignored, because clients send UTF-8 without declaring it.
fn kind(content_type: Option<&ContentType>) -> Result<InputKind, Problem> {
    let Some(kind) = content_type else { return Ok(InputKind::Binary) };
    let (top, sub) = (kind.top().as_str(), kind.sub().as_str());
    let is = |known: (&str, &str)| top.eq_ignore_ascii_case(known.0) && sub.eq_ignore_ascii_case(known.1);
    if is(("application", "json")) {
        Ok(InputKind::Json)
    } else if is(("text", "plain")) || is(("application", "text")) {
        Ok(InputKind::Text)
    } else if is(("application", "octet-stream")) || top.eq_ignore_ascii_case("image") {
        Ok(InputKind::Binary)
    } else if is(("application", "x-www-form-urlencoded")) {
        Ok(InputKind::Form)
    } else {
        Err(unsupported())
    }
}

fn unsupported() -> Problem {
    Problem::new(
        Status::UnsupportedMediaType,
        "Send the input as application/json, text/plain or application/octet-stream, and set Content-Type accordingly.",
    )
}

/// Maximum number of values in a JSON body: enough for 64 pictures with a location each. A parsed value takes about a
/// hundred bytes, so many small values take far more memory than their text.
const MOST_VALUES: usize = 1000;

/// Parses JSON that has at most [`MOST_VALUES`] values.
pub fn read_json<'t, T: Deserialize<'t>>(text: &'t [u8]) -> Result<T, Problem> {
    if !has_few_values(text) {
        return Err(Problem::bad_request(format!("The JSON has more than {MOST_VALUES} values.")));
    }
    serde_json::from_slice(text).map_err(|error| {
        let why = if error.is_data() { String::new() } else { format!(" ({error})") };
        Problem::bad_request(format!("The input cannot be read{why}."))
    })
}

/// Whether the JSON has at most [`MOST_VALUES`] values. Counts `[`, `{` and `,` outside of strings, because each of
/// these begins or separates values.
fn has_few_values(mut text: &[u8]) -> bool {
    let mut count = 0;
    while let Some(at) = text.iter().position(|byte| b"\"[{,".contains(byte)) {
        let is_string = text.get(at) == Some(&b'"');
        let mut rest = text.get(at + 1..).unwrap_or_default();
        while let Some(end) = memchr::memchr2(b'"', b'\\', rest).filter(|_| is_string) {
            let escaped = rest.get(end) == Some(&b'\\');
            rest = rest.get(end + 1 + usize::from(escaped)..).unwrap_or_default();
            if !escaped {
                break;
            }
        }
        count += usize::from(!is_string);
        if count > MOST_VALUES {
            return false;
        }
        text = rest;
    }
    true
}

impl RawInput {
    /// The input as a JSON value. A text becomes a JSON string; bytes give `None`.
    pub fn value(&self) -> Result<Option<Value>, Problem> {
        match self {
            Self::Json(bytes) => read_json(bytes).map(Some),
            Self::Text(bytes) => std::str::from_utf8(bytes)
                .map(|text| Some(Value::from(text)))
                .map_err(|_| Problem::bad_request("The text is not UTF-8.")),
            Self::Binary(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_with_many_small_values_is_refused_and_one_large_value_is_accepted() {
        let large = format!("{{\"image\": \"{}\"}}", ",[{\\\"".repeat(10_000));
        assert!(read_json::<Value>(large.as_bytes()).is_ok());
        let list = |count: usize| format!("[{}0]", "0,".repeat(count));
        assert!(read_json::<Value>(list(MOST_VALUES - 1).as_bytes()).is_ok());
        for many in [list(MOST_VALUES), "[".repeat(MOST_VALUES + 1), "{\"a\":[],".repeat(MOST_VALUES)] {
            let problem = read_json::<Value>(many.as_bytes()).unwrap_err();
            assert!(problem.detail.contains("1000 values"), "{}", problem.detail);
        }
        for broken in ["", "\"", "\"\\", "{", "[\"a\\\""] {
            assert!(read_json::<Value>(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
