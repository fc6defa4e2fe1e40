//! Responses with a rendition: the image itself or JSON, and the headers about it.

use std::io::Cursor;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rocket::http::{ContentType, Header, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use serde::Serialize;

use super::base64_body::Base64Body;
use super::header_text::header_text;
use super::problem::{AttemptFacts, Problem};
use super::request::result_path;
use crate::gateway::{Rendition, RenditionOrigin, SavedCost, TimedStep};
use crate::photo::Damage;

/// A response with a rendition.
pub enum RenditionResponse {
    /// The image itself.
    Image(Rendition),
    /// A JSON object with the image as a data URL and all facts that [`headers`] contains.
    Json(Rendition),
}

/// The JSON response without its first member, `image`, which is a data URL.
#[derive(Serialize)]
struct ResponseFacts<'r> {
    format: String,
    width: u32,
    height: u32,
    /// The upload's number of pages; `null` if unknown, for a cached result of an older version.
    pages: Option<u32>,
    /// SHA-256 of the result's image file.
    sha256: String,
    /// `null` if the upload was already in colour and is itself the result.
    provider: Option<&'r str>,
    model: Option<&'r str>,
    /// The cost of the request: a decimal as text, so that it is exact. `null` if unknown.
    credits: Option<String>,
    /// Processor seconds on this machine; `null` for a remote provider.
    cpu_seconds: Option<f64>,
    /// `colour` if the upload was in colour already, else `null`.
    input: Option<&'static str>,
    /// Where the image came from: a cache tier (`memory`, `disk`, `store`), cached colour (`merged`), another request's
    /// flight (`coalesced`) or the upload itself (`passed`). After a call, the reason for the call: `miss`, `request`
    /// or `bypass`.
    cache: &'static str,
    /// The cost of the call that was not needed; `null` if a provider was called or nothing was saved.
    saved: Option<SavedFacts>,
    /// The path of the result; `null` if it is not stored.
    result: Option<String>,
    /// `budget` if an earlier provider of the route was skipped for lack of credit, else `null`.
    degraded: Option<&'static str>,
    /// The duration of each step, in seconds.
    seconds: serde_json::Map<String, serde_json::Value>,
    attempts: Vec<AttemptFacts>,
    /// Empty if the result has no defect.
    warnings: Vec<Warning<'r>>,
}

/// A defect of the result.
#[derive(Serialize)]
struct Warning<'r> {
    /// `damaged`: a part of the upload could not be read.
    #[serde(rename = "type")]
    kind: &'static str,
    /// A sentence that describes the defect.
    detail: &'r str,
}

/// The cost of a call that was not needed.
#[derive(Serialize)]
struct SavedFacts {
    /// Decimal as text; `null` if unknown.
    credits: Option<String>,
    seconds: f64,
}

impl From<SavedCost> for SavedFacts {
    fn from(SavedCost { credits, time }: SavedCost) -> Self {
        Self { credits: credits.map(|credits| credits.to_string()), seconds: time.as_secs_f64() }
    }
}

/// The type of the warning that a part of the upload could not be read.
const DAMAGED: &str = "damaged";

/// The header that warns of a defect of the result.
pub fn damage_warning() -> Header<'static> {
    Header::new("X-PixColor-Warning", DAMAGED)
}

/// The start of a rendition's data URL, before the base64.
fn data_url_head(rendition: &Rendition) -> String {
    format!("data:{};base64,", rendition.format.media_type())
}

/// A rendition's data URL as a body, encoded while it is sent.
pub fn data_url_body(rendition: &Rendition) -> Base64Body {
    Base64Body::new(data_url_head(rendition), rendition.bytes.clone(), "")
}

/// A rendition's data URL.
pub fn data_url(rendition: &Rendition) -> String {
    let mut url = data_url_head(rendition);
    BASE64.encode_string(&rendition.bytes, &mut url);
    url
}

/// The cost of a request in credits, or `unknown`.
pub fn credits(rendition: &Rendition) -> String {
    rendition.spent().credits.map_or("unknown".into(), |credits| credits.to_string())
}

fn facts(rendition: &Rendition) -> ResponseFacts<'_> {
    let seconds =
        rendition.timings.iter().map(|(step, took)| (step.label().to_owned(), took.as_secs_f64().into()));
    ResponseFacts {
        format: rendition.format.to_string(),
        width: rendition.width,
        height: rendition.height,
        pages: rendition.pages,
        sha256: rendition.id(),
        provider: rendition.colored_by().map(|(provider, _)| provider),
        model: rendition.colored_by().map(|(_, model)| model),
        credits: rendition.spent().credits.map(|credits| credits.to_string()),
        cpu_seconds: rendition.spent().cpu.map(|cpu| cpu.as_secs_f64()),
        input: rendition.in_color.then_some("colour"),
        cache: rendition.origin.label(),
        saved: rendition.saved.map(SavedFacts::from),
        result: rendition.cache_key.map(|_| result_path(rendition.digest)),
        degraded: rendition.degraded().then_some("budget"),
        seconds: seconds.collect(),
        attempts: rendition.attempts.iter().map(AttemptFacts::from).collect(),
        warnings: rendition.damage.iter().map(|Damage(detail)| Warning { kind: DAMAGED, detail }).collect(),
    }
}

/// A rendition in JSON as a body, encoded while it is sent.
fn json_body(rendition: &Rendition) -> serde_json::Result<Base64Body> {
    let facts = serde_json::to_string(&facts(rendition))?;
    let head = format!("{{\"image\":\"{}", data_url_head(rendition));
    // `head` has the opening brace and the member `image`.
    let tail = format!("\",{}", facts.trim_start_matches('{'));
    Ok(Base64Body::new(head, rendition.bytes.clone(), tail))
}

/// The value of `Cache-Status` (RFC 9211).
fn cache_status(rendition: &Rendition) -> String {
    let stored = if rendition.cache_key.is_some() { "; stored" } else { "" };
    match rendition.origin {
        RenditionOrigin::Cached(tier) => format!("PixColor; hit; detail={}", tier.label()),
        RenditionOrigin::Merged(tier) => format!("PixColor; hit; detail=merged-{}", tier.label()),
        RenditionOrigin::Passed => "PixColor; detail=passed".to_owned(),
        RenditionOrigin::Shared => "PixColor; fwd=miss; collapsed".to_owned(),
        RenditionOrigin::Called(why) => format!("PixColor; fwd={}{stored}", why.label()),
    }
}

/// The value of `Server-Timing`, such as `decode;dur=12.30, provider;dur=80.12`, in milliseconds.
fn server_timing(rendition: &Rendition) -> String {
    let step = |(step, took): &(TimedStep, Duration)| {
        format!("{};dur={:.2}", step.label(), took.as_secs_f64() * 1e3)
    };
    rendition.timings.iter().map(step).collect::<Vec<_>>().join(", ")
}

/// The headers of every response with a rendition.
pub fn headers(rendition: &Rendition) -> Vec<Header<'static>> {
    let mut headers = vec![
        Header::new("X-PixColor-Credits", credits(rendition)),
        Header::new("Cache-Status", cache_status(rendition)),
        Header::new("Server-Timing", server_timing(rendition)),
    ];
    if let Some((provider, model)) = rendition.colored_by() {
        headers.push(Header::new("X-PixColor-Provider", provider.to_owned()));
        headers.push(Header::new("X-PixColor-Model", header_text(model)));
    }
    if rendition.in_color {
        headers.push(Header::new("X-PixColor-Input", "colour"));
    }
    if let Some(pages) = rendition.pages.filter(|pages| *pages > 1) {
        headers.push(Header::new("X-PixColor-Pages", pages.to_string()));
    }
    if let Some(Damage(sentence)) = &rendition.damage {
        headers.push(damage_warning());
        headers.push(Header::new("X-PixColor-Damage", header_text(sentence)));
    }
    if let Some(SavedCost { credits, time }) = rendition.saved {
        let credits = credits.map_or("unknown".to_owned(), |credits| credits.to_string());
        let saved = format!("credits={credits}, seconds={:.3}", time.as_secs_f64());
        headers.push(Header::new("X-PixColor-Saved", saved));
    }
    if rendition.degraded() {
        headers.push(Header::new("X-PixColor-Degraded", "budget"));
    }
    if !rendition.attempts.is_empty() {
        let tried =
            rendition.attempts.iter().map(|tried| format!("{}={}", tried.provider, tried.kind.label()));
        headers.push(Header::new("X-PixColor-Attempts", tried.collect::<Vec<_>>().join(", ")));
    }
    if rendition.cache_key.is_some() {
        headers.push(Header::new("Content-Location", result_path(rendition.digest)));
    }
    headers
}

impl<'r> Responder<'r, 'static> for RenditionResponse {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let mut response = Response::build();
        let (Self::Image(rendition) | Self::Json(rendition)) = &self;
        response.header(Header::new("Vary", "Accept"));
        for header in headers(rendition) {
            response.header(header);
        }
        match self {
            Self::Json(rendition) => {
                let body = json_body(&rendition).map_err(|_| Status::InternalServerError)?;
                response.header(ContentType::JSON).sized_body(body.len(), body);
            }
            Self::Image(rendition) => {
                response
                    .raw_header("Content-Type", rendition.format.media_type())
                    .header(Header::new("ETag", format!("\"{}\"", rendition.id())))
                    .sized_body(rendition.bytes.len(), Cursor::new(rendition.bytes));
            }
        }
        response.ok()
    }
}

/// A response to which the headers about a rendition or a problem are added.
pub struct Described<R> {
    headers: Vec<Header<'static>>,
    inner: R,
}

impl<R> Described<R> {
    /// Adds the headers about this rendition to `inner`.
    pub fn new(rendition: &Rendition, inner: R) -> Self {
        Self { headers: headers(rendition), inner }
    }

    /// Adds the headers of this problem to `inner`.
    pub fn problem(problem: &Problem, inner: R) -> Self {
        Self { headers: problem.headers(), inner }
    }
}

impl<'r, R: Responder<'r, 'static>> Responder<'r, 'static> for Described<R> {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let mut response = self.inner.respond_to(request)?;
        for header in self.headers {
            response.set_header(header);
        }
        Ok(response)
    }
}
