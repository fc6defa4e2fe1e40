//! Extracts an upload from every body format: a raw image, multipart, JSON, or a data URL as text.

use std::borrow::Cow;
use std::sync::Arc;

use rocket::data::{self, Data, FromData};
use rocket::http::{ContentType, Status};
use rocket::request::Request;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Number;

use super::body::Body;
use super::data_url;
use super::form::{Form, FormPart};
use super::options::NAMES;
use super::problem::Problem;
use crate::gateway::{Fingerprint, Upload};
use crate::quota::Admission;

/// An image from a request's body.
#[derive(Debug)]
pub struct UploadedImage {
    pub upload: Upload,
    pub fields: UploadFields,
}

/// Parameters in a form or in JSON, as texts; query parameters take precedence.
#[derive(Debug, Default)]
pub struct UploadFields {
    pub provider: Option<String>,
    pub format: Option<String>,
    pub metadata: Option<String>,
    pub depth: Option<String>,
    pub rotate: Option<String>,
    pub page: Option<String>,
    /// The image's file name, which only forms contain.
    pub file_name: Option<String>,
}

/// A data URL as text, whatever the content type: the body that the web page of 2017 sends.
#[derive(Debug)]
pub struct DataUrl(pub Upload);

#[rocket::async_trait]
impl<'r> FromData<'r> for UploadedImage {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let mut body = match Body::admit(request, data).await {
            Ok(body) => body,
            Err(problem) => return problem.outcome(),
        };
        let image = body.pace().limit(body.image(request)).await;
        body.finish(image).await
    }
}

/// An image, or its description.
#[derive(Debug)]
pub enum EstimateSubject {
    /// An uploaded image.
    Image(UploadedImage),
    /// A description of an image.
    Declared(DeclaredImage),
}

/// The description of an image that is not sent.
#[derive(Debug)]
pub struct DeclaredImage {
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
    /// File size in bytes.
    pub bytes: Option<u64>,
    pub fingerprint: Option<Fingerprint>,
    pub fields: UploadFields,
}

#[rocket::async_trait]
impl<'r> FromData<'r> for EstimateSubject {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let mut body = match Body::admit(request, data).await {
            Ok(body) => body,
            Err(problem) => return problem.outcome(),
        };
        let subject = body.pace().limit(body.subject(request)).await;
        body.finish(subject).await
    }
}

#[rocket::async_trait]
impl<'r> FromData<'r> for DataUrl {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let mut body = match Body::admit(request, data).await {
            Ok(body) => body,
            Err(problem) => return problem.outcome(),
        };
        let url = body.pace().limit(body.data_url()).await;
        body.finish(url).await
    }
}

impl Body<'_> {
    /// Reads the image from any body format.
    async fn image(&mut self, request: &Request<'_>) -> Result<UploadedImage, Problem> {
        match request.content_type() {
            Some(form) if form.is_form_data() => {
                let Form { upload, file_name, mut texts, .. } = self.form(request, own_part).await?;
                let [provider, format, metadata, depth, rotate, page] = NAMES.map(|name| texts.remove(name));
                let fields = UploadFields { provider, format, metadata, depth, rotate, page, file_name };
                Ok(UploadedImage { upload, fields })
            }
            Some(form) if form.is_form() => {
                let upload = self.declared_as_form().await?.ok_or_else(no_such_form)?;
                Ok(UploadedImage { upload, fields: UploadFields::default() })
            }
            Some(form) if is_json(form) => json_image(&self.text().await?, self.limit, self.admission()),
            _ => Ok(UploadedImage { upload: self.raw().await?, fields: UploadFields::default() }),
        }
    }

    /// Reads the image from any body format, or its description from JSON.
    async fn subject(&mut self, request: &Request<'_>) -> Result<EstimateSubject, Problem> {
        match request.content_type() {
            Some(form) if is_json(form) => json_subject(&self.text().await?, self.limit, self.admission()),
            _ => self.image(request).await.map(EstimateSubject::Image),
        }
    }

    async fn data_url(&mut self) -> Result<DataUrl, Problem> {
        let text = self.text().await?;
        let text = std::str::from_utf8(&text).map_err(|_| data_url::not_a_data_url())?;
        let bytes = data_url::decode(text, self.limit)?;
        Ok(DataUrl(Upload::admitted(bytes, self.admission())))
    }
}

fn no_such_form() -> Problem {
    Problem::new(
        Status::UnsupportedMediaType,
        "A form of this type (application/x-www-form-urlencoded) cannot hold a picture. Send the picture itself \
         (curl: --data-binary @photo.jpg), multipart/form-data with a file field `image` (curl: -F image=@photo.jpg), \
         or JSON.",
    )
}

/// The fields of our own form.
fn own_part(name: &str) -> FormPart {
    match name {
        "image" => FormPart::Picture,
        name if NAMES.contains(&name) => FormPart::Text,
        name => FormPart::Refused(Box::new(Problem::bad_request(format!(
            "There is no field `{name}`: send the picture as the file field `image`."
        )))),
    }
}

fn json_image(text: &[u8], limit: u64, admission: Arc<Admission>) -> Result<UploadedImage, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Json<'a> {
        #[serde(borrow)]
        image: Cow<'a, str>,
        provider: Option<String>,
        format: Option<String>,
        metadata: Option<String>,
        depth: Option<Number>,
        rotate: Option<Number>,
        page: Option<Number>,
    }
    let json: Json<'_> = read_json(text, r#"{"image": "data:image/jpeg;base64,..."}"#)?;
    let upload = Upload::admitted(data_url::decode(&json.image, limit)?, admission);
    let fields = UploadFields {
        provider: json.provider,
        format: json.format,
        metadata: json.metadata,
        depth: number_text("depth", json.depth)?,
        rotate: number_text("rotate", json.rotate)?,
        page: number_text("page", json.page)?,
        file_name: None,
    };
    Ok(UploadedImage { upload, fields })
}

fn json_subject(text: &[u8], limit: u64, admission: Arc<Admission>) -> Result<EstimateSubject, Problem> {
    /// Detects the member `image` without storing its text, which may be long.
    #[derive(Deserialize)]
    struct ImageMarker {
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
        metadata: Option<String>,
        depth: Option<Number>,
        rotate: Option<Number>,
        page: Option<Number>,
    }
    if serde_json::from_slice(text).is_ok_and(|kind: ImageMarker| kind.image.is_some()) {
        return json_image(text, limit, admission).map(EstimateSubject::Image);
    }
    let json: Json = read_json(text, r#"{"width": 3000, "height": 2000, "bytes": 1500000}, or a picture"#)?;
    let side = |name, side| whole::<u32>(name, side, " of pixels");
    let size = (side("width", json.width)?, side("height", json.height)?);
    let bytes = whole("bytes", json.bytes, " of bytes")?;
    let fields = UploadFields {
        provider: json.provider,
        format: json.format,
        metadata: json.metadata,
        depth: number_text("depth", json.depth)?,
        rotate: number_text("rotate", json.rotate)?,
        page: number_text("page", json.page)?,
        file_name: None,
    };
    DeclaredImage::new(size, bytes, json.sha256.as_deref(), fields).map(EstimateSubject::Declared)
}

/// A whole number of a parameter as the text that a query would have.
fn number_text(name: &str, number: Option<Number>) -> Result<Option<String>, Problem> {
    Ok(whole::<u32>(name, number, "")?.map(|number| number.to_string()))
}

/// Parses a whole number, in any notation: JSON Schema treats `640.0` as whole.
fn whole<T: TryFrom<u64>>(name: &str, number: Option<Number>, of: &str) -> Result<Option<T>, Problem> {
    let Some(number) = number else { return Ok(None) };
    let written = number.as_f64().filter(|float| (0.0..u64::MAX as f64).contains(float));
    let rounded = written.filter(|float| float.fract().abs() < f64::EPSILON).map(|float| float as u64);
    let whole = number.as_u64().or(rounded).and_then(|whole| T::try_from(whole).ok());
    whole.map(Some).ok_or_else(|| {
        Problem::bad_request(format!(
            "`{name}` must be a whole number{of}: {number} is not one or is out of range."
        ))
    })
}

fn read_json<'a, T: Deserialize<'a>>(text: &'a [u8], example: &str) -> Result<T, Problem> {
    // serde would also accept an array with the fields in order.
    if !text.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::bad_request(format!("The JSON must be an object. Send {example}.")));
    }
    serde_json::from_slice(text)
        .map_err(|error| Problem::bad_request(format!("The JSON cannot be read ({error}). Send {example}.")))
}

fn is_json(form: &ContentType) -> bool {
    form.is_json() || form.media_type().sub().as_str().to_ascii_lowercase().ends_with("+json")
}
