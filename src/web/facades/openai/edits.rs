//! `POST /v1/images/edits`: takes a photograph in a form and returns the coloured one as base64 in JSON.

use rocket::data::{self, Data, FromData};
use rocket::http::{ContentType, Header};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use rocket::{Route, post, routes};
use serde::Serialize;
use time::OffsetDateTime;

use super::{Meant, resolve_model};
use crate::gateway::{Rendition, RenditionOrigin, Snapshot, Upload};
use crate::photo::OutputFormat;
use crate::web::answer::Described;
use crate::web::base64_body::Base64Body;
use crate::web::body::Body;
use crate::web::form::{Form, FormPart};
use crate::web::guards::Context;
use crate::web::problem::Problem;
use crate::web::request::colorize;
use crate::web::upload::UploadFields;

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    routes![edit]
}

/// Parameters that the server reads. [`Edit::new`] checks the values of all except `model`.
const READ: [&str; 6] = ["model", "n", "size", "response_format", "output_format", "stream"];

/// Decides how to handle a part of the form.
fn part(name: &str) -> FormPart {
    match name {
        "image" | "image[]" => FormPart::Picture,
        "mask" => refused("mask", "The whole photograph is coloured: send it without `mask`."),
        "markup" => refused("markup", "Drawing is not supported: send the photograph without `markup`."),
        name if READ.contains(&name) => FormPart::Text,
        _ => FormPart::Skipped,
    }
}

fn refused(param: &'static str, detail: &str) -> FormPart {
    FormPart::Refused(Box::new(Problem::bad_request(detail).about(param)))
}

/// A parsed request. The model is not yet checked against the configuration.
#[derive(Debug)]
pub struct Edit {
    upload: Upload,
    model: Option<String>,
    format: OutputFormat,
    /// Names of parameters without effect.
    ignored: Vec<String>,
}

impl Edit {
    fn new(form: Form) -> Result<Self, Problem> {
        let Form { upload, mut texts, skipped: mut ignored, .. } = form;
        let mut only = |name: &'static str, taken: &[&str], detail: &str| match texts.remove(name) {
            Some(value) if !taken.contains(&value.as_str()) => {
                Err(Problem::bad_request(detail.to_owned()).about(name))
            }
            _ => Ok(()),
        };
        only("n", &["1"], "A request colours one photograph: `n` must be 1.")?;
        only("stream", &["false", "False"], "Streaming is not supported: leave `stream` out.")?;
        let detail = "Only base64 is supported: use `response_format=b64_json`.";
        only("response_format", &["b64_json"], detail)?;
        if texts.remove("size").is_some_and(|size| size != "auto") {
            ignored.push("size".to_owned());
        }
        let no_format =
            || Problem::bad_request("Unknown format: use `png`, `jpeg` or `webp`.").about("output_format");
        // Clients of OpenAI know three formats.
        let format = |name: String| name.parse().ok().filter(|format| *format != OutputFormat::Tiff);
        let format =
            texts.remove("output_format").map(|name| format(name).ok_or_else(no_format)).transpose()?;
        // PNG is OpenAI's default.
        let format = format.unwrap_or(OutputFormat::Png);
        Ok(Self { upload, model: texts.remove("model"), format, ignored })
    }

    async fn read(body: &mut Body<'_>, request: &Request<'_>) -> Result<Self, Problem> {
        if !request.content_type().is_some_and(|form| form.is_form_data()) {
            return Err(Problem::bad_request(
                "Send the photograph as multipart/form-data, in the file field `image`.",
            ));
        }
        Self::new(body.form(request, part).await?)
    }
}

#[rocket::async_trait]
impl<'r> FromData<'r> for Edit {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let mut body = match Body::admit(request, data).await {
            Ok(body) => body,
            Err(problem) => return problem.outcome(),
        };
        let edit = body.pace().limit(Self::read(&mut body, request)).await;
        body.finish(edit).await
    }
}

#[post("/v1/images/edits", data = "<edit>")]
async fn edit(context: Context, edit: Result<Edit, Problem>) -> Result<Described<Images>, Problem> {
    let Edit { upload, model, format, mut ignored } = edit?;
    let provider = match resolve_model(&context.snapshot, model)? {
        Meant::Route => None,
        Meant::RouteInstead => {
            ignored.push("model".to_owned());
            None
        }
        Meant::Provider(name) => Some(name),
    };
    let fields = UploadFields { provider, format: Some(format.to_string()), ..UploadFields::default() };
    let rendition = colorize(&context, upload, fields, None).await?;
    let usage = (!may_have_used_tokens(&context.snapshot, &rendition)).then(TokenUsage::default);
    ignored.sort();
    ignored.dedup();
    Ok(Described::new(&rendition, Images { rendition: rendition.clone(), usage, ignored }))
}

/// Whether a remote provider was called, which may have used an unknown number of tokens.
fn may_have_used_tokens(snapshot: &Snapshot, rendition: &Rendition) -> bool {
    let is_remote = |name: &str| {
        let mut providers = snapshot.in_order().map(|(_, provider)| provider.info());
        providers.find(|about| about.name == name).is_none_or(|about| about.leaves_machine)
    };
    let called = matches!(rendition.origin, RenditionOrigin::Called(_)) && is_remote(&rendition.provider);
    let failed =
        |attempt: &crate::gateway::Attempt| attempt.kind.was_called() && is_remote(&attempt.provider);
    called || rendition.attempts.iter().any(failed)
}

/// OpenAI's token counts. All are 0, because local work uses no tokens.
#[derive(Debug, Default, Serialize)]
struct TokenUsage {
    input_tokens: u64,
    input_tokens_details: Details,
    output_tokens: u64,
    total_tokens: u64,
}

#[derive(Debug, Default, Serialize)]
struct Details {
    image_tokens: u64,
    text_tokens: u64,
}

/// OpenAI's `ImagesResponse`.
struct Images {
    rendition: Rendition,
    /// `None` if a remote provider was called: its use of tokens is unknown, and its cost is reported in credits.
    usage: Option<TokenUsage>,
    ignored: Vec<String>,
}

/// The response without the picture.
#[derive(Serialize)]
struct ResponseHead {
    created: i64,
    output_format: String,
    size: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<TokenUsage>,
}

impl<'r> Responder<'r, 'static> for Images {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let Self { rendition, usage, ignored } = self;
        let head = ResponseHead {
            created: OffsetDateTime::now_utc().unix_timestamp(),
            output_format: rendition.format.to_string(),
            size: format!("{}x{}", rendition.width, rendition.height),
            usage,
        };
        // Serializing strings and numbers cannot fail.
        let mut head = serde_json::to_string(&head).unwrap_or_default();
        // The member `data`, which contains the picture, replaces the closing brace.
        head.pop();
        head.push_str(",\"data\":[{\"b64_json\":\"");
        let body = Base64Body::new(head, rendition.bytes, "\"}]}");
        let mut response = Response::build();
        response.header(ContentType::JSON).header(Header::new("Cache-Control", "no-store"));
        if !ignored.is_empty() {
            response.header(Header::new("X-PixColor-Ignored", ignored.join(", ")));
        }
        response.sized_body(body.len(), body).ok()
    }
}
