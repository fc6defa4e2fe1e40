//! Colouring with the protocol of `deeplearning/ColorfulImageColorization`.
//!
//! The input is one picture or a list. Each picture is a data URL, a `data://` file, an http or https URL, or bytes.
//! The response says where the coloured PNG is.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rocket::http::Status;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::algo::AlgoResult;
use super::data_path::DataPath;
use super::envelope::Made;
use super::files::{CallerFiles, missing};
use super::input::{AlgoInput, RawInput, read_json};
use super::results;
use crate::config::Serves;
use crate::datastore::{Name, OpenedFile, Owner};
use crate::gateway::{ColorizeRequest, Rendition, RenditionOptions, Upload};
use crate::photo::{Damage, OutputFormat};
use crate::provider::Trace;
use crate::quota::Admission;
use crate::web::answer::{damage_warning, headers};
use crate::web::guards::Context;
use crate::web::options::default_options;
use crate::web::problem::Problem;
use crate::web::{admission, data_url};

/// Maximum number of pictures per call.
const MOST_PICTURES: usize = 64;

/// A valid input, for error messages.
const EXAMPLE: &str = r#"Send {"image": "data:image/jpeg;base64,..."}"#;

/// A call of an algorithm that colours.
#[derive(Clone, Debug)]
pub struct Coloring {
    /// The name of the algorithm: OWNER/NAME.
    pub algorithm: String,
    /// What the algorithm runs.
    pub serves: Serves,
    /// When the call times out.
    pub deadline: Instant,
}

/// One text or a list of texts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore<'a> {
    #[serde(borrow)]
    One(Text<'a>),
    #[serde(borrow)]
    More(Vec<Text<'a>>),
}

/// A text that borrows from the body if possible, because it may contain a whole picture.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The JSON input.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ColorizeInput<'a> {
    Object {
        #[serde(borrow)]
        image: OneOrMore<'a>,
        #[serde(borrow, default)]
        location: Option<OneOrMore<'a>>,
    },
    #[serde(borrow)]
    Bare(OneOrMore<'a>),
}

/// The file to write a result to.
struct Location {
    owner: Owner,
    collection: Name,
    file: Name,
}

/// Colours the pictures of a call.
pub async fn run(context: &Context, call: &Coloring, input: AlgoInput) -> Result<AlgoResult, Problem> {
    let AlgoInput { raw, admission } = input;
    match raw {
        RawInput::Binary(upload) => {
            // The upload holds this admission, too. After this copy is dropped, the admission ends with the upload,
            // before the result is stored.
            drop(admission);
            let mut report = AlgoReport::default();
            let uri = colorize_one(context, call, upload, None, &mut report).await?;
            Ok(report.finish(json!({ "output": uri })))
        }
        RawInput::Text(bytes) => {
            let text =
                std::str::from_utf8(&bytes).map_err(|_| Problem::bad_request("The text is not UTF-8."))?;
            let image = OneOrMore::One(Text(Cow::Borrowed(text)));
            colorize_all(context, call, image, None, &admission).await
        }
        RawInput::Json(bytes) => {
            let json: ColorizeInput<'_> = read_json(&bytes).map_err(|mut problem| {
                problem.detail.push_str(&format!(" {EXAMPLE}."));
                problem
            })?;
            let (image, location) = match json {
                ColorizeInput::Object { image, location } => (image, location),
                ColorizeInput::Bare(image) => (image, None),
            };
            colorize_all(context, call, image, location, &admission).await
        }
    }
}

/// Colours one picture, or each picture of a list in turn.
async fn colorize_all(
    context: &Context,
    call: &Coloring,
    image: OneOrMore<'_>,
    location: Option<OneOrMore<'_>>,
    admission: &Arc<Admission>,
) -> Result<AlgoResult, Problem> {
    let (images, is_list) = match image {
        OneOrMore::One(image) => (vec![image], false),
        OneOrMore::More(images) => (images, true),
    };
    if images.is_empty() || images.len() > MOST_PICTURES {
        return Err(Problem::bad_request(format!("Send 1 to {MOST_PICTURES} pictures.")));
    }
    let locations = locations(context, location, images.len()).await?;
    let mut report = AlgoReport::default();
    let mut uris = Vec::with_capacity(images.len());
    for (Text(image), location) in images.into_iter().zip(locations) {
        let upload = upload(context, call, &image, admission).await?;
        uris.push(colorize_one(context, call, upload, location, &mut report).await?);
    }
    let output = if is_list { Value::from(uris) } else { uris.pop().into() };
    Ok(report.finish(json!({ "output": output })))
}

/// Reads the `location` of each result. Before any credit is spent, checks that the caller owns each location and that
/// its collection exists.
async fn locations(
    context: &Context,
    location: Option<OneOrMore<'_>>,
    count: usize,
) -> Result<Vec<Option<Location>>, Problem> {
    let uris = match location {
        None => return Ok((0..count).map(|_| None).collect()),
        Some(OneOrMore::One(uri)) => vec![uri],
        Some(OneOrMore::More(uris)) => uris,
    };
    if uris.len() != count {
        return Err(Problem::bad_request("Give each picture a `location`, or leave `location` out."));
    }
    let files = CallerFiles::of(context)?;
    let mut locations = Vec::with_capacity(count);
    for Text(uri) in uris {
        let DataPath::File(account, collection, file) = DataPath::of_uri(&uri)? else {
            return Err(Problem::bad_request("A `location` is a file: data://.my/COLLECTION/FILE."));
        };
        let owner = files.own(&account)?;
        if context.gateway.files().readers(&owner, &collection).await?.is_none() {
            return Err(Problem::new(
                Status::NotFound,
                "There is no such collection as `location` names: create it first.",
            ));
        }
        locations.push(Some(Location { owner, collection, file }));
    }
    Ok(locations)
}

/// Gets the picture that a text contains or refers to.
async fn upload(
    context: &Context,
    call: &Coloring,
    text: &str,
    admission: &Arc<Admission>,
) -> Result<Upload, Problem> {
    let limit = context.snapshot.config.limits.upload_bytes;
    let text = text.trim();
    let is = |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if text.starts_with("data://") {
        return read_stored(context, text, limit).await;
    }
    if is("data:") {
        return Ok(Upload::admitted(data_url::decode(text, limit)?, admission.clone()));
    }
    if is("http://") || is("https://") {
        let inputs = context.snapshot.inputs.as_ref().ok_or_else(|| {
            let detail = "This gateway does not fetch pictures from URLs: send the picture as a data URL.";
            Problem::new(Status::UnprocessableEntity, detail)
        })?;
        let admission = admission::again(context, limit).await?;
        let bytes = inputs.fetch(text, limit, call.deadline).await?;
        return Ok(Upload::admitted(bytes, admission));
    }
    Err(Problem::bad_request(format!(
        "A picture is a data URL, a file at data://, or the bytes themselves. {EXAMPLE}."
    )))
}

/// Reads a picture from a file that the caller may read.
async fn read_stored(context: &Context, uri: &str, limit: u64) -> Result<Upload, Problem> {
    let store = context.gateway.files();
    let opened = match DataPath::of_uri(uri)? {
        DataPath::Result(name) => match results::lookup(context, &name).await {
            Some((bytes, _)) => {
                let admission = admission::again(context, bytes.len() as u64).await?;
                return Ok(Upload::admitted(bytes, admission));
            }
            None => store.open_temp(name.as_str()).await?,
        },
        DataPath::File(account, collection, file) => {
            let owner = CallerFiles::of(context)?.readable(&account, &collection).await?;
            store.open(&owner, &collection, &file).await?
        }
        DataPath::Accounts | DataPath::Account(_) | DataPath::Collection(..) => None,
    };
    let OpenedFile { file, bytes: length, .. } = opened.ok_or_else(|| missing("such file"))?;
    if length > limit {
        return Err(Problem::too_large(limit));
    }
    let admission = admission::again(context, length).await?;
    let mut bytes = Vec::new();
    let mut reader = tokio::fs::File::from_std(file).take(limit);
    reader.read_to_end(&mut bytes).await.map_err(|error| {
        tracing::error!("a client's file cannot be read: {error}");
        Problem::new(Status::InternalServerError, "The file cannot be read now; the log says more.")
    })?;
    Ok(Upload::admitted(Bytes::from(bytes), admission))
}

/// Colours one picture and returns the URI of the result.
async fn colorize_one(
    context: &Context,
    call: &Coloring,
    upload: Upload,
    location: Option<Location>,
    report: &mut AlgoReport,
) -> Result<String, Problem> {
    context.gateway.metrics().uploaded(upload.bytes.len());
    let ask = ColorizeRequest {
        upload,
        provider: match &call.serves {
            Serves::Provider(name) => Some(name.clone()),
            Serves::Route | Serves::Hello => None,
        },
        options: RenditionOptions {
            format: Some(OutputFormat::Png),
            ..default_options(&context.snapshot.config)
        },
        client: context.client.clone(),
        reuse: context.reuse,
        // A call may have several pictures, each with a timeline of its own.
        received: Instant::now(),
        deadline: call.deadline,
        trace: Trace::default(),
        connection: context.connection.clone(),
    };
    let rendition = context.gateway.colorize(context.snapshot.clone(), ask).await?;
    let uri = match location {
        None => {
            format!("data://.algo/{}/temp/{}", call.algorithm, results::store(context, &rendition).await?)
        }
        Some(Location { owner, collection, file }) => {
            let bounds = CallerFiles::of(context)?.bounds();
            let (store, bytes) = (context.gateway.files(), rendition.bytes.clone());
            store.write(&owner, &collection, &file, bytes, bounds).await?;
            format!("data://.my/{collection}/{file}")
        }
    };
    report.note(&rendition);
    Ok(uri)
}

/// Collects what a call reports about its pictures.
#[derive(Default)]
struct AlgoReport {
    renditions: usize,
    damaged: bool,
    printed: String,
    alerts: Vec<String>,
    headers: Vec<rocket::http::Header<'static>>,
}

impl AlgoReport {
    fn note(&mut self, rendition: &Rendition) {
        let Rendition { width, height, .. } = rendition;
        let origin = match rendition.colored_by() {
            Some((provider, model)) => format!("coloured by {provider} ({model})"),
            None => "in colour already".to_owned(),
        };
        let cost = rendition.spent().credits.map_or("unknown".to_owned(), |credits| credits.to_string());
        self.printed +=
            &format!("{width} x {height}, {origin}, {}, {cost} credits\n", rendition.origin.label());
        let passed_over = rendition.attempts.iter().filter(|attempt| attempt.is_credit_failure());
        self.alerts.extend(passed_over.map(ToString::to_string));
        self.renditions += 1;
        if let Some(Damage(sentence)) = &rendition.damage {
            let alert = format!("Picture {} is damaged. {sentence}", self.renditions);
            self.printed += &format!("{alert}\n");
            self.alerts.push(alert);
            self.damaged = true;
        }
        // Without `Content-Location`, because the response is not the picture itself.
        self.headers = headers(rendition).into_iter().filter(|h| h.name() != "Content-Location").collect();
    }

    fn finish(self, output: Value) -> AlgoResult {
        let headers = match self.renditions {
            1 => self.headers,
            _ => self.damaged.then(damage_warning).into_iter().collect(),
        };
        AlgoResult { made: Made::Json(output), printed: self.printed, alerts: self.alerts, headers }
    }
}
