//! The one extractor for all body forms: the picture itself, multipart, JSON, or a data URL as text.
//!
//! It hashes while it reads, and the limit is on the picture's own bytes in every form. Past the limit
//! nothing more is kept; the rest is read and thrown away up to a bound, so that ordinary clients,
//! which send everything before they listen, can read the answer.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rocket::data::{self, ByteUnit, Data, DataStream, FromData};
use rocket::http::{ContentType, Status};
use rocket::outcome::Outcome;
use rocket::request::Request;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Number;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use super::form::{self, Form, Part, finish};
use super::pace::{Counted, Pace, TooSlow};
use super::problem::Problem;
use super::{admission, data_url, guards};
use crate::gateway::{Fingerprint, Upload};
use crate::quota::Ticket;

/// Most that is thrown away of what is refused, and for how long, before the connection is closed.
const DISCARD_BYTES: usize = 64 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(10);

/// Who sends nothing for so long may be waiting for the answer already.
const DISCARD_PAUSE: Duration = Duration::from_secs(1);

/// What JSON may add to the picture.
const ENVELOPE_BYTES: u64 = 64 << 10;

/// A picture out of a request's body.
#[derive(Debug)]
pub struct Picture {
    /// The picture.
    pub upload: Upload,
    /// What came with it in a form or in JSON.
    pub fields: Fields,
}

/// What may come with a picture in a form or in JSON; the query string wins.
#[derive(Debug, Default)]
pub struct Fields {
    /// Which provider to ask.
    pub provider: Option<String>,
    /// Which format to answer in.
    pub format: Option<String>,
    /// What the picture's file is called; only a form says it.
    pub file_name: Option<String>,
}

/// A data URL as text, whatever the content type says: what the original page sends.
#[derive(Debug)]
pub struct DataUrl(pub Upload);

#[rocket::async_trait]
impl<'r> FromData<'r> for Picture {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let Some(mut body) = Body::open(request, data) else { return not_set_up() };
        let picture = Pace::read(body.admit(request).await, body.picture(request)).await;
        body.settle(picture, |picture| Some(&mut picture.upload)).await
    }
}

/// A picture, or what is known of one that is not sent.
#[derive(Debug)]
pub enum Subject {
    /// The picture.
    Picture(Picture),
    /// What is known of it.
    Known(Known),
}

/// What is known of a picture that is not sent.
#[derive(Debug)]
pub struct Known {
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
    /// Length of its file.
    pub bytes: Option<u64>,
    /// SHA-256 of its file.
    pub fingerprint: Option<Fingerprint>,
    /// Which provider would be asked.
    pub provider: Option<String>,
    /// Which format would be asked for.
    pub format: Option<String>,
}

#[rocket::async_trait]
impl<'r> FromData<'r> for Subject {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let Some(mut body) = Body::open(request, data) else { return not_set_up() };
        let subject = Pace::read(body.admit(request).await, body.subject(request)).await;
        body.settle(subject, |subject| match subject {
            Subject::Picture(picture) => Some(&mut picture.upload),
            Subject::Known(_) => None,
        })
        .await
    }
}

#[rocket::async_trait]
impl<'r> FromData<'r> for DataUrl {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let Some(mut body) = Body::open(request, data) else { return not_set_up() };
        let url = Pace::read(body.admit(request).await, body.data_url()).await;
        body.settle(url, |url| Some(&mut url.0)).await
    }
}

/// The answer of a server without a gateway.
pub fn not_set_up<'r, T>() -> data::Outcome<'r, T, Problem> {
    let problem = Problem::new(Status::InternalServerError, "The gateway is not set up.");
    Outcome::Error((problem.http_status(), problem))
}

/// A request's body under the limits there are, and with what it was let in.
pub struct Body<'r> {
    stream: Counted<DataStream<'r>>,
    /// Most bytes of the picture itself.
    limit: u64,
    /// What Content-Length says; 0 when it says nothing.
    length: u64,
    /// What is charged for: the length, or without one the most there may be.
    charged: u64,
    /// With what the upload was let in.
    ticket: Option<Arc<Ticket>>,
    /// How long the body may take to arrive.
    pace: Pace,
}

impl<'r> Body<'r> {
    /// The body under the limits now; `None` when this server has no gateway.
    pub fn open(request: &'r Request<'_>, data: Data<'r>) -> Option<Self> {
        let snapshot = guards::snapshot(request)?;
        let limit = snapshot.config.limits.upload_bytes;
        let length = request.headers().get_one("Content-Length").and_then(|length| length.parse().ok());
        let peeked = data.peek_complete().then_some(0);
        let pace = Pace::new(&snapshot.config.limits);
        Some(Self {
            // The limit is kept here, where what is too much can be told from what was cut.
            stream: pace.count(data.open(ByteUnit::max_value())),
            limit,
            length: length.unwrap_or(0),
            charged: length.or(peeked).unwrap_or(limit).min(text_limit(limit)),
            ticket: None,
            pace,
        })
    }

    /// Lets it in, before any of it is read; gives the time that it has.
    pub async fn admit(&mut self, request: &Request<'_>) -> Result<Pace, Problem> {
        self.ticket = Some(admission::admit(request, self.charged).await?);
        Ok(self.pace.clone())
    }

    /// With what it was let in.
    pub fn ticket(&self) -> Option<Arc<Ticket>> {
        self.ticket.clone()
    }

    /// What became of reading; after an error, the rest is thrown away within bounds.
    pub async fn settle<T>(
        mut self,
        read: Result<Result<T, Problem>, TooSlow>,
        upload: impl FnOnce(&mut T) -> Option<&mut Upload>,
    ) -> data::Outcome<'r, T, Problem> {
        let ticket = self.ticket.take();
        let problem = match read {
            Ok(Ok(mut value)) => {
                if let Some(upload) = upload(&mut value) {
                    upload.ticket = ticket;
                }
                return Outcome::Success(value);
            }
            Ok(Err(problem)) => {
                // Nothing of it is kept any more.
                drop(ticket);
                if self.discard().await { problem } else { problem.closing() }
            }
            Err(slow) => Problem::new(Status::RequestTimeout, slow.to_string()).closing(),
        };
        Outcome::Error((problem.http_status(), problem))
    }

    /// The picture in whatever form it comes.
    async fn picture(&mut self, request: &Request<'_>) -> Result<Picture, Problem> {
        match request.content_type() {
            Some(form) if form.is_form_data() => {
                let Form { upload, file_name, mut texts, .. } = self.form(request, own_part).await?;
                let [provider, format] = ["provider", "format"].map(|name| texts.remove(name));
                Ok(Picture { upload, fields: Fields { provider, format, file_name } })
            }
            Some(form) if form.is_form() => Err(Problem::new(
                Status::UnsupportedMediaType,
                "Send the picture itself and say so (curl: -H 'Content-Type: image/jpeg'), \
                 multipart/form-data with a file field `image`, or JSON.",
            )),
            Some(form) if is_json(form) => json_picture(&self.text().await?, self.limit),
            _ => Ok(Picture { upload: self.whole().await?, fields: Fields::default() }),
        }
    }

    /// The picture in whatever form it comes, or JSON that says something of it.
    async fn subject(&mut self, request: &Request<'_>) -> Result<Subject, Problem> {
        match request.content_type() {
            Some(form) if is_json(form) => json_subject(&self.text().await?, self.limit),
            _ => self.picture(request).await.map(Subject::Picture),
        }
    }

    /// A data URL as text.
    async fn data_url(&mut self) -> Result<DataUrl, Problem> {
        let text = self.text().await?;
        let text = std::str::from_utf8(&text).map_err(|_| data_url::not_a_data_url())?;
        Ok(DataUrl(Upload::new(data_url::decode(text, self.limit)?)))
    }

    /// The body is the picture.
    pub async fn whole(&mut self) -> Result<Upload, Problem> {
        let mut hash = Sha256::new();
        let bytes = self.collect(self.limit, |chunk| hash.update(chunk)).await?;
        finish(bytes, hash)
    }

    /// The body is text around a picture in base64.
    pub async fn text(&mut self) -> Result<Bytes, Problem> {
        self.collect(text_limit(self.limit), |_| ()).await
    }

    /// The body is a file, of whatever it may be.
    pub async fn file(&mut self) -> Result<Bytes, Problem> {
        self.collect(self.limit, |_| ()).await
    }

    /// The body is a form with these fields.
    pub async fn form(
        &mut self,
        request: &Request<'_>,
        part: impl Fn(&str) -> Part,
    ) -> Result<Form, Problem> {
        let header = request.headers().get_one("Content-Type").unwrap_or_default();
        let boundary = multer::parse_boundary(header)
            .map_err(|_| Problem::bad_request("The multipart body has no boundary in its Content-Type."))?;
        form::read(&mut self.stream, boundary, (self.limit, self.length), part).await
    }

    /// Reads to the end, or to the limit, into one buffer that is as large as it will be.
    async fn collect(&mut self, limit: u64, mut each: impl FnMut(&[u8])) -> Result<Bytes, Problem> {
        let too_large = || Problem::too_large(self.limit);
        if self.length > limit {
            return Err(too_large());
        }
        let mut buffer = BytesMut::with_capacity(self.length.max(8 << 10) as usize);
        let mut seen = 0;
        loop {
            let read = self.stream.read_buf(&mut buffer).await.map_err(interrupted)?;
            if read == 0 {
                return Ok(buffer.freeze());
            }
            if buffer.len() as u64 > limit {
                return Err(too_large());
            }
            each(&buffer[seen..]);
            seen = buffer.len();
        }
    }

    /// Reads on without keeping anything; whether the end was reached.
    async fn discard(&mut self) -> bool {
        let (end, mut seen) = (Instant::now() + DISCARD_TIME, 0);
        let mut buffer = BytesMut::with_capacity(64 << 10);
        while seen < DISCARD_BYTES && Instant::now() < end {
            buffer.clear();
            match tokio::time::timeout(DISCARD_PAUSE, self.stream.read_buf(&mut buffer)).await {
                Ok(Ok(0)) => return true,
                Ok(Ok(read)) => seen += read,
                Ok(Err(_)) | Err(_) => return false,
            }
        }
        false
    }
}

/// The fields of our own form.
fn own_part(name: &str) -> Part {
    match name {
        "image" => Part::Picture,
        "provider" | "format" => Part::Text,
        name => Part::Refused(Box::new(Problem::bad_request(format!(
            "There is no field `{name}`: send the picture as the file field `image`."
        )))),
    }
}

fn json_picture(text: &[u8], limit: u64) -> Result<Picture, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Json<'a> {
        #[serde(borrow)]
        image: Cow<'a, str>,
        provider: Option<String>,
        format: Option<String>,
    }
    let json: Json<'_> = read_json(text, r#"{"image": "data:image/jpeg;base64,..."}"#)?;
    let upload = Upload::new(data_url::decode(&json.image, limit)?);
    let fields = Fields { provider: json.provider, format: json.format, file_name: None };
    Ok(Picture { upload, fields })
}

fn json_subject(text: &[u8], limit: u64) -> Result<Subject, Problem> {
    /// Skims a text, which may be long.
    #[derive(Deserialize)]
    struct Kind {
        image: Option<IgnoredAny>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Json {
        width: Option<Number>,
        height: Option<Number>,
        bytes: Option<Number>,
        sha256: Option<String>,
        provider: Option<String>,
        format: Option<String>,
    }
    if serde_json::from_slice(text).is_ok_and(|kind: Kind| kind.image.is_some()) {
        return json_picture(text, limit).map(Subject::Picture);
    }
    let json: Json = read_json(text, r#"{"width": 3000, "height": 2000, "bytes": 1500000}, or a picture"#)?;
    let side = |name, side| whole::<u32>(name, side, "pixels");
    let size = (side("width", json.width)?, side("height", json.height)?);
    let bytes = whole("bytes", json.bytes, "bytes")?;
    Known::new(size, bytes, json.sha256.as_deref(), json.provider, json.format).map(Subject::Known)
}

/// A number of so many, however it is written: to JSON Schema `640.0` is whole, too.
fn whole<T: TryFrom<u64>>(name: &str, number: Option<Number>, of: &str) -> Result<Option<T>, Problem> {
    let Some(number) = number else { return Ok(None) };
    let written = number.as_f64().filter(|float| (0.0..u64::MAX as f64).contains(float));
    let rounded = written.filter(|float| float.fract().abs() < f64::EPSILON).map(|float| float as u64);
    let whole = number.as_u64().or(rounded).and_then(|whole| T::try_from(whole).ok());
    whole.map(Some).ok_or_else(|| {
        Problem::bad_request(format!("`{name}` must be a whole number of {of}, and {number} is not."))
    })
}

fn read_json<'a, T: Deserialize<'a>>(text: &'a [u8], example: &str) -> Result<T, Problem> {
    // Of a list its parts would be taken in order.
    if !text.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::bad_request(format!("The JSON must be an object. Send {example}.")));
    }
    serde_json::from_slice(text)
        .map_err(|error| Problem::bad_request(format!("The JSON cannot be read ({error}). Send {example}.")))
}

/// Most bytes of text around a picture in base64.
const fn text_limit(limit: u64) -> u64 {
    limit.div_ceil(3) * 4 + ENVELOPE_BYTES
}

fn is_json(form: &ContentType) -> bool {
    form.is_json() || form.media_type().sub().as_str().to_ascii_lowercase().ends_with("+json")
}

fn interrupted(_: std::io::Error) -> Problem {
    Problem::bad_request("The upload was interrupted. Send it again.").closing()
}
