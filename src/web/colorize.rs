//! `POST /v1/colorize`: a picture in, the coloured picture out, as itself or as JSON.

use std::time::Instant;

use rocket::http::{Accept, MediaType};
use rocket::{Route, post, routes};

use super::answer::RenditionResponse;
use super::guards::Context;
use super::problem::Problem;
use super::upload::{UploadFields, UploadedImage};
use crate::gateway::{ColorizeRequest, Error, Rendition, Upload};
use crate::photo::OutputFormat;
use crate::provider::Trace;

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
    picture: Result<UploadedImage, Problem>,
) -> Result<RenditionResponse, Problem> {
    let UploadedImage { upload, fields } = picture?;
    let provider = one("provider", provider)?.or(fields.provider);
    let format = one("format", format)?.or(fields.format);
    let fields = UploadFields { provider, format, ..fields };
    let rendition = ask(&context, upload, fields, accept).await?;
    Ok(match accept.is_some_and(wants_json) {
        true => RenditionResponse::Json(rendition),
        false => RenditionResponse::Image(rendition),
    })
}

/// The one value of a query parameter. Rocket would take one that is given twice for none.
pub fn one(name: &str, mut values: Vec<String>) -> Result<Option<String>, Problem> {
    match values.len() {
        0 | 1 => Ok(values.pop()),
        _ => Err(Problem::bad_request(format!("`{name}` is given more than once."))),
    }
}

/// Asks the gateway for a picture's colour.
pub async fn ask(
    context: &Context,
    upload: Upload,
    fields: UploadFields,
    accept: Option<&Accept>,
) -> Result<Rendition, Problem> {
    let format = match &fields.format {
        Some(name) => Some(parse_format(name)?),
        None => accept.and_then(explicit_format),
    };
    context.gateway.metrics().uploaded(upload.bytes.len());
    let ask = ColorizeRequest {
        upload,
        provider: fields.provider,
        format,
        client: context.client.clone(),
        reuse: context.reuse,
        deadline: Instant::now() + context.snapshot.config.limits.request,
        trace: Trace::of_request(context.parent),
        connection: context.connection.clone(),
    };
    let made = context.gateway.colorize(context.snapshot.clone(), ask).await;
    made.map_err(|error| {
        // What is no picture, or for nobody, is not looked for.
        let asked = !matches!(error, Error::Photo(_) | Error::UnknownProvider { .. } | Error::ShuttingDown);
        let forward = if context.reuse.find { "miss" } else { "request" };
        let problem = Problem::from(error);
        if asked { problem.not_in_cache(forward) } else { problem }
    })
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
