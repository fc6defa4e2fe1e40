//! `POST /v1/colorize`: a picture in, the coloured picture out, as itself or as JSON.

use std::io::Cursor;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rocket::http::{Accept, ContentType, Header, MediaType, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use rocket::{Route, post, routes};
use serde::Serialize;

use super::guards::Context;
use super::problem::{AttemptFacts, Problem};
use super::results;
use super::upload::{Fields, Picture};
use crate::gateway::{Ask, Origin, Rendition, Saved, Upload};
use crate::photo::OutputFormat;

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    routes![colorize]
}

#[post("/v1/colorize?<provider>&<format>", data = "<picture>")]
async fn colorize(
    context: Context,
    accept: Option<&Accept>,
    provider: Vec<String>,
    format: Vec<String>,
    picture: Result<Picture, Problem>,
) -> Result<Answer, Problem> {
    let Picture { upload, fields } = picture?;
    let provider = one("provider", provider)?.or(fields.provider);
    let format = one("format", format)?.or(fields.format);
    let fields = Fields { provider, format };
    let rendition = ask(&context, upload, fields, accept).await?;
    Ok(match accept.is_some_and(wants_json) {
        true => Answer::Json(rendition),
        false => Answer::Image(rendition),
    })
}

/// The one value of a query parameter. Rocket would take one that is given twice for none.
fn one(name: &str, mut values: Vec<String>) -> Result<Option<String>, Problem> {
    match values.len() {
        0 | 1 => Ok(values.pop()),
        _ => Err(Problem::bad_request(format!("`{name}` is given more than once."))),
    }
}

/// Asks the gateway for a picture's colour.
pub async fn ask(
    context: &Context,
    upload: Upload,
    fields: Fields,
    accept: Option<&Accept>,
) -> Result<Rendition, Problem> {
    let format = match &fields.format {
        Some(name) => Some(parse_format(name)?),
        None => accept.and_then(explicit_format),
    };
    context.gateway.metrics().uploaded(upload.bytes.len());
    let ask = Ask {
        upload,
        provider: fields.provider,
        format,
        client: context.client.clone(),
        reuse: context.reuse,
        deadline: Instant::now() + context.snapshot.config.limits.request,
    };
    Ok(context.gateway.colorize(context.snapshot.clone(), ask).await?)
}

/// A format by its name.
pub fn parse_format(name: &str) -> Result<OutputFormat, Problem> {
    name.parse().map_err(|_| {
        Problem::bad_request("There is no such format: ask for `png`, `jpeg` or `webp`.".to_owned())
    })
}

/// The best image type that is named in so many words: `image/*` and `*/*` name none.
pub fn explicit_format(accept: &Accept) -> Option<OutputFormat> {
    let format = |media: &MediaType| {
        (media.top() == "image").then(|| media.sub().as_str().to_ascii_lowercase().parse().ok()).flatten()
    };
    let mut named: Vec<_> = accept
        .iter()
        .filter_map(|quality| Some((quality.weight_or(1.0), format(quality.media_type())?)))
        .filter(|(weight, _)| *weight > 0.0)
        .collect();
    // Stable: of equals, the first named.
    named.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    named.first().map(|(_, format)| *format)
}

fn wants_json(accept: &Accept) -> bool {
    let preferred = accept.preferred();
    preferred.media_type().is_json()
}

/// A rendition as an answer.
pub enum Answer {
    /// The picture itself.
    Image(Rendition),
    /// An object with the same facts and a data URL.
    Json(Rendition),
}

/// A rendition in JSON.
#[derive(Serialize)]
struct Facts<'r> {
    /// The picture as a data URL.
    image: String,
    format: String,
    width: u32,
    height: u32,
    /// SHA-256 of the picture's bytes.
    sha256: String,
    provider: &'r str,
    model: &'r str,
    /// Decimal, as text: money is never a float. `null` when unknown.
    credits: Option<String>,
    /// Processor seconds on this machine; `null` when the provider is elsewhere.
    cpu_seconds: Option<f64>,
    /// Where the picture came from: `memory`, `disk`, `merged`, `coalesced`, or a call for a `miss`, by
    /// `request`, to `bypass` the cache.
    cache: &'static str,
    /// What was not spent; `null` when a provider was called.
    saved: Option<SavedFacts>,
    /// Where the picture can be had again; `null` when it is not kept.
    result: Option<String>,
    /// Seconds by step.
    seconds: serde_json::Map<String, serde_json::Value>,
    attempts: Vec<AttemptFacts>,
}

/// What was not spent, in JSON.
#[derive(Serialize)]
struct SavedFacts {
    /// Decimal, as text; `null` when unknown.
    credits: Option<String>,
    seconds: f64,
}

impl From<Saved> for SavedFacts {
    fn from(Saved { credits, time }: Saved) -> Self {
        Self { credits: credits.map(|credits| credits.to_string()), seconds: time.as_secs_f64() }
    }
}

/// The data URL of a rendition.
pub fn data_url(rendition: &Rendition) -> String {
    let mut url = format!("data:{};base64,", rendition.format.media_type());
    BASE64.encode_string(&rendition.bytes, &mut url);
    url
}

/// Credits as people read them.
pub fn credits(rendition: &Rendition) -> String {
    rendition.usage.credits.map_or("unknown".into(), |credits| credits.to_string())
}

fn facts(rendition: &Rendition) -> Facts<'_> {
    let seconds =
        rendition.timings.iter().map(|(step, took)| ((*step).to_owned(), took.as_secs_f64().into()));
    Facts {
        image: data_url(rendition),
        format: rendition.format.to_string(),
        width: rendition.width,
        height: rendition.height,
        sha256: rendition.id(),
        provider: &rendition.provider,
        model: &rendition.model,
        credits: rendition.usage.credits.map(|credits| credits.to_string()),
        cpu_seconds: rendition.usage.cpu.map(|cpu| cpu.as_secs_f64()),
        cache: rendition.origin.label(),
        saved: rendition.saved.map(SavedFacts::from),
        result: rendition.kept_under.map(|_| results::address(rendition.digest)),
        seconds: seconds.collect(),
        attempts: rendition.attempts.iter().map(AttemptFacts::from).collect(),
    }
}

/// How the cache dealt with the request, as RFC 9211 says it.
fn cache_status(rendition: &Rendition) -> String {
    let stored = if rendition.kept_under.is_some() { "; stored" } else { "" };
    match rendition.origin {
        Origin::Kept(tier) => format!("PixColor; hit; detail={}", tier.label()),
        Origin::Merged(tier) => format!("PixColor; hit; detail=merged-{}", tier.label()),
        Origin::Shared => "PixColor; fwd=miss; collapsed".to_owned(),
        Origin::Called(why) => format!("PixColor; fwd={}{stored}", why.label()),
    }
}

/// `decode;dur=12.3, provider;dur=80.1`, in milliseconds.
fn server_timing(rendition: &Rendition) -> String {
    let step =
        |(name, took): &(&str, std::time::Duration)| format!("{name};dur={:.1}", took.as_secs_f64() * 1e3);
    rendition.timings.iter().map(step).collect::<Vec<_>>().join(", ")
}

/// What every answer with a rendition says about it in its headers.
pub fn headers(rendition: &Rendition) -> Vec<Header<'static>> {
    let mut headers = vec![
        Header::new("X-PixColor-Provider", rendition.provider.clone()),
        Header::new("X-PixColor-Model", rendition.model.clone()),
        Header::new("X-PixColor-Credits", credits(rendition)),
        Header::new("Cache-Status", cache_status(rendition)),
        Header::new("Server-Timing", server_timing(rendition)),
    ];
    if let Some(Saved { credits, time }) = rendition.saved {
        let credits = credits.map_or("unknown".to_owned(), |credits| credits.to_string());
        let saved = format!("credits={credits}, seconds={:.3}", time.as_secs_f64());
        headers.push(Header::new("X-PixColor-Saved", saved));
    }
    if !rendition.attempts.is_empty() {
        let tried =
            rendition.attempts.iter().map(|tried| format!("{}={}", tried.provider, tried.kind.label()));
        headers.push(Header::new("X-PixColor-Attempts", tried.collect::<Vec<_>>().join(", ")));
    }
    if rendition.kept_under.is_some() {
        headers.push(Header::new("Content-Location", results::address(rendition.digest)));
    }
    headers
}

impl<'r> Responder<'r, 'static> for Answer {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let mut response = Response::build();
        let (Self::Image(rendition) | Self::Json(rendition)) = &self;
        response.header(Header::new("Vary", "Accept"));
        for header in headers(rendition) {
            response.header(header);
        }
        match self {
            Self::Json(rendition) => {
                let body =
                    serde_json::to_string(&facts(&rendition)).map_err(|_| Status::InternalServerError)?;
                response.header(ContentType::JSON).sized_body(body.len(), Cursor::new(body));
            }
            Self::Image(rendition) => {
                response
                    .raw_header("Content-Type", rendition.format.media_type())
                    .header(Header::new("ETag", format!("\"{}\"", rendition.id())))
                    .sized_body(rendition.bytes.len(), Cursor::new(rendition.bytes));
            }
        }
        response.max_chunk_size(super::CHUNK).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_image_type_in_so_many_words_chooses_the_format() {
        for (accept, expected) in [
            ("*/*", None),
            ("image/*", None),
            ("image/avif", None),
            ("image/png", Some(OutputFormat::Png)),
            ("image/jpg", Some(OutputFormat::Jpeg)),
            ("image/png;q=0.5, image/webp", Some(OutputFormat::WebP)),
            ("image/jpeg;q=0, */*", None),
            ("text/html, image/avif, image/webp, image/apng, */*;q=0.8", Some(OutputFormat::WebP)),
        ] {
            let accept: Accept = accept.parse().unwrap();
            assert_eq!(explicit_format(&accept), expected, "{accept}");
        }
    }
}
