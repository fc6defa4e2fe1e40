//! What an algorithm is given: the body as JSON, text or bytes, by its content type.

use std::sync::Arc;

use bytes::Bytes;
use rocket::data::{self, Data, FromData};
use rocket::http::{ContentType, Status};
use rocket::request::Request;
use serde_json::Value;

use crate::gateway::Upload;
use crate::quota::Ticket;
use crate::web::problem::Problem;
use crate::web::upload::{Body, not_set_up};

/// What an algorithm is given, and with what it was let in.
#[derive(Debug)]
pub struct Input {
    /// The input.
    pub given: Given,
    /// With what it was let in.
    pub ticket: Arc<Ticket>,
}

/// An input.
#[derive(Debug)]
pub enum Given {
    /// JSON, not yet read.
    Json(Bytes),
    /// Text, not yet read.
    Text(Bytes),
    /// Bytes, hashed as they came.
    Binary(Upload),
}

/// A file as it came, whatever its content type says.
#[derive(Debug)]
pub struct FileBody {
    /// Its bytes.
    pub bytes: Bytes,
    /// With what it was let in.
    _ticket: Arc<Ticket>,
}

#[rocket::async_trait]
impl<'r> FromData<'r> for Input {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let Some(mut body) = Body::open(request, data) else { return not_set_up() };
        let read = tokio::time::timeout(body.time(), Self::read(&mut body, request)).await;
        body.settle(read, |_| None).await
    }
}

#[rocket::async_trait]
impl<'r> FromData<'r> for FileBody {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let Some(mut body) = Body::open(request, data) else { return not_set_up() };
        let read = tokio::time::timeout(body.time(), Self::read(&mut body, request)).await;
        body.settle(read, |_| None).await
    }
}

impl Input {
    async fn read(body: &mut Body<'_>, request: &Request<'_>) -> Result<Self, Problem> {
        let ticket = body.admit(request).await?;
        let given = match kind(request.content_type())? {
            Kind::Json => Given::Json(body.text().await?),
            Kind::Text => Given::Text(body.text().await?),
            Kind::Binary => Given::Binary(body.whole().await?),
        };
        Ok(Self { given, ticket })
    }
}

impl FileBody {
    async fn read(body: &mut Body<'_>, request: &Request<'_>) -> Result<Self, Problem> {
        let _ticket = body.admit(request).await?;
        Ok(Self { bytes: body.file().await?, _ticket })
    }
}

enum Kind {
    Json,
    Text,
    Binary,
}

/// What a body is. A charset is overlooked: clients send UTF-8 and do not say so.
fn kind(content_type: Option<&ContentType>) -> Result<Kind, Problem> {
    let Some(kind) = content_type else { return Ok(Kind::Binary) };
    let (top, sub) = (kind.top().as_str(), kind.sub().as_str());
    let is = |known: (&str, &str)| top.eq_ignore_ascii_case(known.0) && sub.eq_ignore_ascii_case(known.1);
    if is(("application", "json")) {
        Ok(Kind::Json)
    } else if is(("text", "plain")) || is(("application", "text")) {
        Ok(Kind::Text)
    } else if is(("application", "octet-stream")) || top.eq_ignore_ascii_case("image") {
        Ok(Kind::Binary)
    } else {
        Err(Problem::new(
            Status::UnsupportedMediaType,
            "Send the input as application/json, text/plain or application/octet-stream, and say so in Content-Type.",
        ))
    }
}

impl Given {
    /// The input as JSON, which a text is too; none of bytes.
    pub fn value(&self) -> Result<Option<Value>, Problem> {
        match self {
            Self::Json(bytes) => serde_json::from_slice(bytes)
                .map(Some)
                .map_err(|error| Problem::bad_request(format!("The JSON cannot be read ({error})."))),
            Self::Text(bytes) => std::str::from_utf8(bytes)
                .map(|text| Some(Value::from(text)))
                .map_err(|_| Problem::bad_request("The text is not UTF-8.")),
            Self::Binary(_) => Ok(None),
        }
    }
}
