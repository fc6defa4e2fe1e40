//! Results by address: `GET /v1/results/{digest}` for one picture, for ever, and
//! `GET /v1/results/sha256/{fingerprint}` for the best result there is now of an upload. Who knows the
//! SHA-256 of a photograph asks here first, and need not upload it when the answer is there.

use std::io::Cursor;

use bytes::Bytes;
use rocket::http::{Accept, Header, Status};
use rocket::request::{FromRequest, Outcome, Request};
use rocket::response::{self, Responder, Response};
use rocket::{Route, get, routes};

use super::answer::headers;
use super::fairings::is_head;
use super::guards::Context;
use super::problem::Problem;
use super::request::{explicit_format, parse_format, single};
use crate::config::CacheSharing;
use crate::gateway::Snapshot;
use crate::hex::{hex, unhex};
use crate::photo::{self, Limits};

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    routes![result, best]
}

/// One picture. Its address is its content, so that it never changes.
#[get("/v1/results/<digest>")]
async fn result(context: Context, known: ClientCopy<'_>, digest: &str) -> Result<ResultImage, Problem> {
    context.permitted().await?;
    let missing = || {
        Problem::new(Status::NotFound, "There is no such result, or it is not kept any more.")
            .not_in_cache("uri-miss")
    };
    let digest = unhex(digest).ok_or_else(missing)?;
    let found = context.gateway.picture(&context.snapshot, digest, &context.client).await;
    let (bytes, tier) = found.ok_or_else(missing)?;
    let all = Limits { max_pixels: u64::MAX, max_side: u32::MAX };
    let format = photo::read_head(&bytes, &all).map_err(|_| missing())?.format.output();
    let whose = visibility(&context.snapshot);
    let headers = vec![
        Header::new("Cache-Control", format!("{whose}, max-age=31536000, immutable")),
        Header::new("Cache-Status", format!("PixColor; hit; detail={}", tier.label())),
    ];
    Ok(ResultImage { bytes, media_type: format.media_type(), digest, headers, known: known.is(digest) })
}

/// The best result there is now of the upload with this SHA-256.
#[get("/v1/results/sha256/<fingerprint>?<provider>&<format>")]
async fn best(
    context: Context,
    accept: Option<&Accept>,
    known: ClientCopy<'_>,
    fingerprint: &str,
    provider: Vec<String>,
    format: Vec<String>,
) -> Result<ResultImage, Problem> {
    context.permitted().await?;
    let missing = || {
        let detail = "There is no result of this picture yet: send the picture to /v1/colorize.";
        Problem::new(Status::NotFound, detail).not_in_cache("uri-miss")
    };
    let fingerprint = super::request::fingerprint(fingerprint)?;
    let (provider, format) = (single("provider", provider)?, single("format", format)?);
    let format = match format {
        Some(name) => Some(parse_format(&name)?),
        None => accept.and_then(explicit_format),
    };
    let Context { gateway, snapshot, client, .. } = context;
    let whose = visibility(&snapshot);
    let found = gateway.best(snapshot, fingerprint, provider.as_deref(), format, &client).await?;
    let rendition = found.ok_or_else(missing)?;
    // Who gets no picture would not have had one made either.
    if !known.head && !known.is(rendition.digest) {
        gateway.count(&rendition);
    }
    let mut headers = headers(&rendition);
    headers.push(Header::new("Cache-Control", format!("{whose}, no-cache")));
    headers.push(Header::new("Vary", "Accept"));
    let media_type = rendition.format.media_type();
    let digest = rendition.digest;
    Ok(ResultImage { bytes: rendition.bytes, media_type, digest, headers, known: known.is(digest) })
}

/// Whether caches between here and the client may keep an answer for others.
fn visibility(snapshot: &Snapshot) -> &'static str {
    let config = &snapshot.config;
    match config.cache.share {
        // A cache in between cannot tell who has a key.
        CacheSharing::All if config.clients.anonymous => "public",
        CacheSharing::All | CacheSharing::Client => "private",
    }
}

/// What the client has already: the entity tags in `If-None-Match`; and whether it wants no picture at all.
struct ClientCopy<'r> {
    tags: Vec<&'r str>,
    head: bool,
}

impl ClientCopy<'_> {
    /// Whether the picture with this digest is among them (RFC 9110, section 13.1.2).
    fn is(&self, digest: [u8; 32]) -> bool {
        let tag = format!("\"{}\"", hex(&digest));
        self.tags.iter().any(|known| *known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for ClientCopy<'r> {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        // Our tags have no comma in them.
        let tags = request.headers().get("If-None-Match").flat_map(|line| line.split(',')).map(str::trim);
        Outcome::Success(Self { tags: tags.collect(), head: is_head(request) })
    }
}

/// A picture, or that the client has it.
struct ResultImage {
    bytes: Bytes,
    media_type: &'static str,
    digest: [u8; 32],
    headers: Vec<Header<'static>>,
    known: bool,
}

impl<'r> Responder<'r, 'static> for ResultImage {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let mut response = Response::build();
        for header in self.headers {
            response.header(header);
        }
        response.raw_header("ETag", format!("\"{}\"", hex(&self.digest)));
        if self.known {
            return response.status(Status::NotModified).ok();
        }
        response
            .raw_header("Content-Type", self.media_type)
            .sized_body(self.bytes.len(), Cursor::new(self.bytes))
            .ok()
    }
}
