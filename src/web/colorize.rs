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
use super::upload::{Fields, Picture};
use crate::gateway::{Ask, Rendition, Upload};
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
    let fields = Fields { provider, format, ..fields };
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
        deadline: Instant::now() + context.snapshot.config.limits.request,
    };
    Ok(context.gateway.colorize(context.snapshot.clone(), ask).await?)
}

fn parse_format(name: &str) -> Result<OutputFormat, Problem> {
    name.parse().map_err(|_| {
        Problem::bad_request("There is no such format: ask for `png`, `jpeg` or `webp`.".to_owned())
    })
}

/// The best image type that is named in so many words: `image/*` and `*/*` name none.
fn explicit_format(accept: &Accept) -> Option<OutputFormat> {
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
    sha256: &'r str,
    provider: &'r str,
    model: &'r str,
    /// Decimal, as text: money is never a float. `null` when unknown.
    credits: Option<String>,
    /// Processor seconds on this machine; `null` when the provider is elsewhere.
    cpu_seconds: Option<f64>,
    /// Seconds by step.
    seconds: serde_json::Map<String, serde_json::Value>,
    attempts: Vec<AttemptFacts>,
}

/// The data URL of a rendition.
pub fn data_url(rendition: &Rendition) -> String {
    let mut url = format!("data:{};base64,", rendition.format.media_type());
    BASE64.encode_string(&rendition.bytes, &mut url);
    url
}

/// What a request cost in credits, as people read them.
pub fn credits(rendition: &Rendition) -> String {
    rendition.spent().credits.map_or("unknown".into(), |credits| credits.to_string())
}

fn facts(rendition: &Rendition) -> Facts<'_> {
    let seconds =
        rendition.timings.iter().map(|(step, took)| ((*step).to_owned(), took.as_secs_f64().into()));
    Facts {
        image: data_url(rendition),
        format: rendition.format.to_string(),
        width: rendition.width,
        height: rendition.height,
        sha256: &rendition.etag,
        provider: &rendition.provider,
        model: &rendition.model,
        credits: rendition.spent().credits.map(|credits| credits.to_string()),
        cpu_seconds: rendition.spent().cpu.map(|cpu| cpu.as_secs_f64()),
        seconds: seconds.collect(),
        attempts: rendition.attempts.iter().map(AttemptFacts::from).collect(),
    }
}

/// `decode;dur=12.3, provider;dur=80.1`, in milliseconds.
fn server_timing(rendition: &Rendition) -> String {
    let step =
        |(name, took): &(&str, std::time::Duration)| format!("{name};dur={:.1}", took.as_secs_f64() * 1e3);
    rendition.timings.iter().map(step).collect::<Vec<_>>().join(", ")
}

impl<'r> Responder<'r, 'static> for Answer {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let mut response = Response::build();
        let (Self::Image(rendition) | Self::Json(rendition)) = &self;
        response
            .header(Header::new("Vary", "Accept"))
            .header(Header::new("X-PixColor-Provider", rendition.provider.clone()))
            .header(Header::new("X-PixColor-Model", rendition.model.clone()))
            .header(Header::new("X-PixColor-Credits", credits(rendition)))
            .header(Header::new("Server-Timing", server_timing(rendition)));
        if !rendition.attempts.is_empty() {
            let tried =
                rendition.attempts.iter().map(|tried| format!("{}={}", tried.provider, tried.kind.label()));
            response.header(Header::new("X-PixColor-Attempts", tried.collect::<Vec<_>>().join(", ")));
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
                    .header(Header::new("ETag", format!("\"{}\"", rendition.etag)))
                    .sized_body(rendition.bytes.len(), Cursor::new(rendition.bytes));
            }
        }
        // Rocket copies in steps of 4 KiB unless told otherwise.
        response.max_chunk_size(256 << 10);
        response.ok()
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
