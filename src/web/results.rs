//! Results by URL: `GET /v1/results/{digest}` returns one immutable image, and `GET /v1/results/sha256/{fingerprint}`
//! the best cached result of an upload. A client that knows the SHA-256 of an image file can ask here first, and upload
//! the file only if there is no result.

use std::io::Cursor;

use bytes::Bytes;
use rocket::http::{Accept, Header, Status};
use rocket::request::{FromRequest, Outcome, Request};
use rocket::response::{self, Responder, Response};
use rocket::{Route, get, routes};

use super::answer::headers;
use super::entity_tags::EntityTags;
use super::fairings::is_head;
use super::guards::Context;
use super::options::OptionQuery;
use super::problem::Problem;
use super::upload::UploadFields;
use crate::config::CacheSharing;
use crate::gateway::Snapshot;
use crate::hex::{hex, unhex};
use crate::photo;

pub fn routes() -> Vec<Route> {
    routes![result, best]
}

/// Returns the image with this SHA-256.
#[get("/v1/results/<digest>")]
async fn result(context: Context, known: ClientCopy<'_>, digest: &str) -> Result<ResultImage, Problem> {
    context.permitted().await?;
    let missing = || {
        Problem::new(Status::NotFound, "There is no such result, or it is no longer cached.")
            .not_in_cache("uri-miss")
    };
    let digest = unhex(digest).ok_or_else(missing)?;
    let found = context.gateway.lookup_image(&context.snapshot, digest, &context.client).await;
    let (bytes, tier) = found.ok_or_else(missing)?;
    // Every stored image is in a format that we write.
    let format = photo::format_of(&bytes).map_err(|_| missing())?;
    let visibility = visibility(&context.snapshot);
    let headers = vec![
        Header::new("Cache-Control", format!("{visibility}, max-age=31536000, immutable")),
        Header::new("Cache-Status", format!("PixColor; hit; detail={}", tier.label())),
    ];
    Ok(ResultImage { bytes, media_type: format.media_type(), digest, headers, known: known.is(digest) })
}

/// Returns the best cached result of the upload with this SHA-256.
#[get("/v1/results/sha256/<fingerprint>?<query..>")]
async fn best(
    context: Context,
    accept: Option<&Accept>,
    known: ClientCopy<'_>,
    fingerprint: &str,
    query: OptionQuery,
) -> Result<ResultImage, Problem> {
    context.permitted().await?;
    let missing = || {
        let detail = "There is no result of this image yet: send the image to /v1/colorize.";
        Problem::new(Status::NotFound, detail).not_in_cache("uri-miss")
    };
    let fingerprint = super::request::fingerprint(fingerprint)?;
    let fields = query.or(UploadFields::default())?;
    let options = fields.options(&context.snapshot.config, accept)?;
    let Context { gateway, snapshot, client, .. } = context;
    let visibility = visibility(&snapshot);
    let provider = fields.provider.as_deref();
    let found = gateway.lookup_rendition(snapshot, fingerprint, provider, options, &client).await?;
    let rendition = found.ok_or_else(missing)?;
    // HEAD and 304 are not counted as hits.
    if !known.head && !known.is(rendition.digest) {
        gateway.count_rendition(&rendition);
    }
    let mut headers = headers(&rendition);
    headers.push(Header::new("Cache-Control", format!("{visibility}, no-cache")));
    headers.push(Header::new("Vary", "Accept"));
    let media_type = rendition.format.media_type();
    let digest = rendition.digest;
    Ok(ResultImage { bytes: rendition.bytes, media_type, digest, headers, known: known.is(digest) })
}

/// The directive of `Cache-Control` that says whether shared caches may store the response.
fn visibility(snapshot: &Snapshot) -> &'static str {
    let config = &snapshot.config;
    match config.cache.share {
        // A shared cache cannot tell which clients have a key.
        CacheSharing::All if config.clients.anonymous => "public",
        CacheSharing::All | CacheSharing::Client => "private",
    }
}

/// The entity tags in `If-None-Match`, and whether the request is a `HEAD`.
struct ClientCopy<'r> {
    tags: EntityTags<'r>,
    head: bool,
}

impl ClientCopy<'_> {
    /// Whether the client has the image with this SHA-256.
    fn is(&self, digest: [u8; 32]) -> bool {
        self.tags.include(&format!("\"{}\"", hex(&digest)))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for ClientCopy<'r> {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        Outcome::Success(Self { tags: EntityTags::of(request), head: is_head(request) })
    }
}

/// The response with an image, or 304 if the client has the image already (`known`).
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
