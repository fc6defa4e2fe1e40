//! Builds requests to the gateway from query parameters, headers and form fields.

use std::time::Instant;

use rocket::http::{Accept, MediaType};

use super::guards::Context;
use super::problem::Problem;
use super::upload::UploadFields;
use crate::gateway::{ColorizeRequest, Error, Fingerprint, Rendition, Upload};
use crate::hex::{hex, unhex};
use crate::photo::OutputFormat;
use crate::provider::Trace;

/// The value of a query parameter. A repeated parameter is an error: with the type `Option`, Rocket would
/// treat it as absent.
pub fn single(name: &str, mut values: Vec<String>) -> Result<Option<String>, Problem> {
    match values.len() {
        0 | 1 => Ok(values.pop()),
        _ => Err(Problem::bad_request(format!("`{name}` occurs more than once."))),
    }
}

/// Colours an upload. The output format is that of the fields, or else that of `Accept`; without either, it follows
/// from the upload's format.
pub async fn colorize(
    context: &Context,
    upload: Upload,
    fields: UploadFields,
    accept: Option<&Accept>,
) -> Result<Rendition, Problem> {
    let options = fields.options(&context.snapshot.config, accept)?;
    context.gateway.metrics().uploaded(upload.bytes.len());
    let request = ColorizeRequest {
        upload,
        provider: fields.provider,
        options,
        client: context.client.clone(),
        reuse: context.reuse,
        received: context.received,
        deadline: Instant::now() + context.snapshot.config.limits.request,
        trace: Trace::of_request(context.parent),
        connection: context.connection.clone(),
    };
    let rendition = context.gateway.colorize(context.snapshot.clone(), request).await;
    rendition.map_err(|error| {
        // Unknown providers, impossible depths and shutdown are reported before the cache lookup. A photo error occurs either before the
        // lookup, or in decoding or encoding after a miss. These cases cannot be told apart here, so no photo error
        // reports a cache miss.
        let looked_up = !matches!(
            error,
            Error::Photo(_)
                | Error::UnknownProvider { .. }
                | Error::UnsupportedDepth { .. }
                | Error::ShuttingDown
        );
        let forward = if context.reuse.lookup { "miss" } else { "request" };
        let problem = Problem::from(error);
        if looked_up { problem.not_in_cache(forward) } else { problem }
    })
}

/// Parses an output format.
pub fn parse_format(name: &str) -> Result<OutputFormat, Problem> {
    name.parse()
        .map_err(|_| Problem::bad_request("Unknown format: use `png`, `jpeg`, `webp` or `tiff`.".to_owned()))
}

/// The preferred output format that `Accept` names explicitly; `image/*` and `*/*` name none.
pub fn explicit_format(accept: &Accept) -> Option<OutputFormat> {
    let format = |media: &MediaType| {
        (media.top() == "image").then(|| media.sub().as_str().to_ascii_lowercase().parse().ok()).flatten()
    };
    let mut named: Vec<_> = accept
        .iter()
        .filter_map(|quality| Some((quality.weight_or(1.0), format(quality.media_type())?)))
        .filter(|(weight, _)| *weight > 0.0)
        .collect();
    // A stable sort: the first of equal weights wins.
    named.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    named.first().map(|(_, format)| *format)
}

/// Parses a fingerprint; upper case is accepted.
pub fn fingerprint(sha256: &str) -> Result<Fingerprint, Problem> {
    unhex(&sha256.to_ascii_lowercase()).map(Fingerprint).ok_or_else(|| {
        Problem::bad_request("A fingerprint is the SHA-256 of the image file, in 64 hexadecimal digits.")
    })
}

/// The path of a result. It ends in the SHA-256 of the result's bytes.
pub fn result_path(digest: [u8; 32]) -> String {
    format!("/v1/results/{}", hex(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_explicit_image_type_in_accept_chooses_the_format() {
        for (accept, expected) in [
            ("*/*", None),
            ("image/*", None),
            ("image/avif", None),
            ("image/png", Some(OutputFormat::Png)),
            ("image/jpg", Some(OutputFormat::Jpeg)),
            ("image/tiff", Some(OutputFormat::Tiff)),
            ("image/png;q=0.5, image/webp", Some(OutputFormat::WebP)),
            ("image/jpeg;q=0, */*", None),
            ("text/html, image/avif, image/webp, image/apng, */*;q=0.8", Some(OutputFormat::WebP)),
        ] {
            let accept: Accept = accept.parse().unwrap();
            assert_eq!(explicit_format(&accept), expected, "{accept}");
        }
    }
}
