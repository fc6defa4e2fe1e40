//! Builds a request from its templates and a picture, either to send it or to show it with secrets masked.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::multipart::{Form, Part as FormPart};
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret;
use url::Url;

use super::picture::PreparedImage;
use crate::config::{BodyConfig, HttpConfig, JsonTemplate, Piece, RequestPart, Template, TemplateField};
use crate::provider::{FailureKind, HttpClient, ProviderError};

/// Replaces a secret in a request that is shown.
const MASK: &str = "***";

/// The values for the fields of templates.
pub struct TemplateValues<'v> {
    pub config: &'v HttpConfig,
    /// `None` for requests without a picture.
    pub picture: Option<&'v PreparedImage>,
    /// The host's time limit, in seconds.
    pub seconds: u64,
    /// Whether the request is shown instead of sent. Secrets are then masked and picture data is left out.
    pub shown: bool,
}

pub struct RenderedRequest {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: RequestBody,
}

enum RequestBody {
    Whole { media_type: &'static str, bytes: Bytes },
    Form(Vec<(String, Filled)>),
}

enum Filled {
    Text(String),
    File { name: String, media_type: &'static str, bytes: Bytes },
}

impl TemplateValues<'_> {
    /// The whole request. CPU-bound: encodes the picture in base64 directly into the body if a template needs it.
    pub fn render(&self, base: &Url) -> Result<RenderedRequest, ProviderError> {
        let request = &self.config.request;
        let mut url = self.url(base, &request.path);
        if !request.query.is_empty() {
            let pairs = request.query.iter().map(|(name, template)| (name, self.text(template)));
            url.query_pairs_mut().extend_pairs(pairs);
        }
        let headers = self.headers(|_| true)?;
        let body = match &request.body {
            BodyConfig::Raw => {
                let (media_type, bytes) = self.file();
                RequestBody::Whole { media_type, bytes }
            }
            BodyConfig::Json { json: template } => {
                let mut json = String::with_capacity(self.file().1.len() * 4 / 3 + 4096);
                self.json(template, &mut json);
                RequestBody::Whole { media_type: "application/json", bytes: json.into() }
            }
            BodyConfig::Multipart { fields } => {
                let filled = |part: RequestPart<'_>| match part {
                    RequestPart::Text(template) => Filled::Text(self.text(template)),
                    RequestPart::File(name) => {
                        let (media_type, bytes) = self.file();
                        let extension = self.picture.map_or("", |picture| picture.format.extension());
                        Filled::File { name: format!("{name}.{extension}"), media_type, bytes }
                    }
                };
                RequestBody::Form(
                    fields
                        .iter()
                        .filter_map(|field| Some((field.name.clone(), filled(field.part()?))))
                        .collect(),
                )
            }
        };
        Ok(RenderedRequest { method: request.method(), url, headers, body })
    }

    pub fn url(&self, base: &Url, path: &Template) -> Url {
        let mut url = base.clone();
        url.set_path(&format!("{}{}", base.path().trim_end_matches('/'), self.text(path)));
        url
    }

    /// The headers that contain a secret. Later requests to the host carry them, too: to poll, to cancel, and, with
    /// `reply.auth`, to fetch the result.
    pub fn keys(&self) -> Result<HeaderMap, ProviderError> {
        self.headers(has_secret)
    }

    fn headers(&self, select: impl Fn(&Template) -> bool) -> Result<HeaderMap, ProviderError> {
        let mut headers = HeaderMap::new();
        for (name, template) in self.config.request.headers().filter(|(_, template)| select(template)) {
            let mut value = HeaderValue::from_str(&self.text(template)).map_err(|_| {
                let message =
                    format!("its header {name} cannot be sent: it contains characters that are not allowed in a header");
                ProviderError::new(FailureKind::NotReady, message)
            })?;
            value.set_sensitive(has_secret(template));
            headers.insert(name.clone(), value);
        }
        Ok(headers)
    }

    fn file(&self) -> (&'static str, Bytes) {
        self.picture.map_or(("", Bytes::new()), |picture| (picture.format.media_type(), picture.file.clone()))
    }

    fn text(&self, template: &Template) -> String {
        let mut text = String::new();
        for piece in template.pieces() {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Field(field) => self.fill(field, &mut text),
            }
        }
        text
    }

    fn fill(&self, field: &TemplateField, text: &mut String) {
        let (media_type, file) = self.file();
        let number = match field {
            TemplateField::ImageBase64 if self.shown => {
                text.push_str(&format!("({} bytes in base64)", file.len()));
                return;
            }
            TemplateField::ImageBase64 => return BASE64.encode_string(&file, text),
            TemplateField::ImageDataUrl => {
                text.push_str("data:");
                text.push_str(media_type);
                text.push_str(";base64,");
                return self.fill(&TemplateField::ImageBase64, text);
            }
            TemplateField::ImageMediaType => return text.push_str(media_type),
            TemplateField::Model => return text.push_str(&self.config.model),
            TemplateField::Version => return text.push_str(&self.config.version),
            TemplateField::Secret(_) if self.shown => return text.push_str(MASK),
            TemplateField::Secret(name) => {
                // A provider without its secrets is not ready and sends no request.
                let secret = self.config.secrets.get(name).and_then(|secret| secret.expose());
                return text.push_str(secret.map_or("", |secret| secret.expose_secret()));
            }
            TemplateField::ImageWidth => self.picture.map_or(0, |picture| u64::from(picture.width)),
            TemplateField::ImageHeight => self.picture.map_or(0, |picture| u64::from(picture.height)),
            TemplateField::ImageBytes => file.len() as u64,
            TemplateField::Timeout => self.seconds,
        };
        text.push_str(&number.to_string());
    }

    fn json(&self, template: &JsonTemplate, json: &mut String) {
        let list = |json: &mut String,
                    open: char,
                    close: char,
                    items: &mut dyn FnMut(&mut String, usize) -> bool| {
            json.push(open);
            let mut index = 0;
            while items(json, index) {
                index += 1;
            }
            json.push(close);
        };
        match template {
            JsonTemplate::Plain(value) => json.push_str(&value.to_string()),
            JsonTemplate::Text(template) => self.json_text(template, json),
            JsonTemplate::List(parts) => list(json, '[', ']', &mut |json, index| {
                let Some(part) = parts.get(index) else { return false };
                comma(json, index);
                self.json(part, json);
                true
            }),
            JsonTemplate::Object(parts) => list(json, '{', '}', &mut |json, index| {
                let Some((name, part)) = parts.get(index) else { return false };
                comma(json, index);
                json.push('"');
                escape(name, json);
                json.push_str("\":");
                self.json(part, json);
                true
            }),
        }
    }

    fn json_text(&self, template: &Template, json: &mut String) {
        if let [Piece::Field(field)] = template.pieces()
            && matches!(
                field,
                TemplateField::ImageWidth
                    | TemplateField::ImageHeight
                    | TemplateField::ImageBytes
                    | TemplateField::Timeout
            )
        {
            return self.fill(field, json);
        }
        json.push('"');
        for piece in template.pieces() {
            match piece {
                Piece::Text(plain) => escape(plain, json),
                // These values may be long, and nothing in them needs escaping.
                Piece::Field(field @ (TemplateField::ImageBase64 | TemplateField::ImageDataUrl)) => {
                    self.fill(field, json)
                }
                Piece::Field(field) => {
                    let mut text = String::new();
                    self.fill(field, &mut text);
                    escape(&text, json);
                }
            }
        }
        json.push('"');
    }
}

fn comma(json: &mut String, index: usize) {
    if index > 0 {
        json.push(',');
    }
}

/// Appends a text escaped for a JSON string, without the quotes.
fn escape(text: &str, json: &mut String) {
    let quoted = serde_json::Value::from(text).to_string();
    json.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
}

fn has_secret(template: &Template) -> bool {
    template.pieces().iter().any(|piece| matches!(piece, Piece::Field(TemplateField::Secret(_))))
}

impl RenderedRequest {
    pub fn request(self, http: &HttpClient) -> RequestBuilder {
        let request = http.request(self.method, self.url).headers(self.headers);
        match self.body {
            RequestBody::Whole { media_type, bytes } => {
                request.header(CONTENT_TYPE, HeaderValue::from_static(media_type)).body(bytes)
            }
            RequestBody::Form(fields) => {
                request.multipart(fields.into_iter().fold(Form::new(), |form, (name, filled)| {
                    let part = match filled {
                        Filled::Text(text) => FormPart::text(text),
                        Filled::File { name, media_type, bytes } => {
                            let length = bytes.len() as u64;
                            let headers =
                                HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media_type))]);
                            FormPart::stream_with_length(bytes, length).file_name(name).headers(headers)
                        }
                    };
                    form.part(name, part)
                }))
            }
        }
    }
}

/// The request as text, for the trace. It contains secrets unless it was rendered with `shown`.
impl fmt::Display for RenderedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, url, headers, body } = self;
        writeln!(f, "{method} {url}")?;
        for (name, value) in headers {
            writeln!(f, "{name}: {}", value.to_str().unwrap_or(MASK))?;
        }
        match body {
            RequestBody::Whole { media_type: "application/json", bytes } => {
                write!(f, "content-type: application/json\n\n{}", String::from_utf8_lossy(bytes))
            }
            RequestBody::Whole { media_type, bytes } => {
                write!(f, "content-type: {media_type}\n\n({} bytes)", bytes.len())
            }
            RequestBody::Form(fields) => {
                writeln!(f, "content-type: multipart/form-data")?;
                for (name, filled) in fields {
                    match filled {
                        Filled::Text(text) => write!(f, "\n{name} = {text}")?,
                        Filled::File { name: file, media_type, bytes } => {
                            write!(f, "\n{name} = file {file}, {media_type}, {} bytes", bytes.len())?;
                        }
                    }
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigSource, KindConfig, load};
    use crate::photo::OutputFormat;

    fn config(request: &str) -> HttpConfig {
        let folder = tempfile::tempdir().unwrap();
        let file = format!(
            "kind = \"http\"\nmodel = \"a \\\"b\\\"/c\"\nprice.terms = []\nsecrets.key = {{ env = \"K\" }}\n\
             reply.output = \"raw\"\n[request]\n{request}\n"
        );
        std::fs::create_dir(folder.path().join("providers")).unwrap();
        std::fs::write(folder.path().join("pixcolor.toml"), "").unwrap();
        std::fs::write(folder.path().join("providers/x.toml"), file).unwrap();
        let env = [("K".to_owned(), "plant\"ed".to_owned())].into();
        let loaded = load(&ConfigSource { dir: Some(folder.path().to_owned()), env, cwd: None }).unwrap();
        match &loaded.config.providers["x"].kind {
            KindConfig::Http(config) => (**config).clone(),
            other => panic!("{other:?}"),
        }
    }

    fn render(config: &HttpConfig, shown: bool) -> RenderedRequest {
        let file = Bytes::from_static(b"\xffhello");
        let picture = PreparedImage { file, format: OutputFormat::Jpeg, width: 40, height: 30, frame: None };
        let values = TemplateValues { config, picture: Some(&picture), seconds: 7, shown };
        values.render(&Url::parse("https://h/base/").unwrap()).unwrap()
    }

    fn body(rendered: &RenderedRequest) -> &str {
        let RequestBody::Whole { bytes, .. } = &rendered.body else { panic!("a form") };
        std::str::from_utf8(bytes).unwrap()
    }

    const JSON: &str = "path = \"/v1/{{model}}\"\nquery = { k = \"{{secret.key}}\", n = 5 }\nheaders.X = \"A {{secret.key}}\"\n\
        body = \"json\"\n[request.json]\nimage = \"{{image.data_url}}\"\nlist = [1, true, 2.5, \"{{image.width}}\", \"{{image.width}}px\"]\n\
        key = \"{{secret.key}}\"\nmodel = \"{{model}}, {{timeout}} s\"\n";

    #[test]
    fn fields_of_a_json_request_are_filled_in_and_escaped() {
        let rendered = render(&config(JSON), false);
        assert_eq!(rendered.url.as_str(), "https://h/base/v1/a%20%22b%22/c?k=plant%22ed&n=5");
        assert!(rendered.headers["x"] == "A plant\"ed" && rendered.headers["x"].is_sensitive());
        let json: serde_json::Value = serde_json::from_str(body(&rendered)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "image": "data:image/jpeg;base64,/2hlbGxv", "list": [1, true, 2.5, 40, "40px"],
                "key": "plant\"ed", "model": "a \"b\"/c, 7 s",
            })
        );
    }

    #[test]
    fn a_shown_request_contains_all_but_secrets_and_picture_data() {
        let sketch = render(&config(JSON), true).to_string();
        for shown in
            ["POST https://h/base/v1/", "k=***&n=5", "x: A ***", "data:image/jpeg;base64,(6 bytes in base64)"]
        {
            assert!(sketch.contains(shown), "{shown}: {sketch}");
        }
        assert!(!sketch.contains("plant"), "{sketch}");
        let form = "body = \"multipart\"\nfields = [{ name = \"k\", value = \"{{secret.key}}\" }, { name = \"f\", file = \"p\" }]";
        let sketch = render(&config(form), true).to_string();
        assert!(sketch.ends_with("\nk = ***\nf = file p.jpg, image/jpeg, 6 bytes"), "{sketch}");
        let sketch = render(&config("body = \"raw\""), true).to_string();
        assert_eq!(sketch, "POST https://h/base/\ncontent-type: image/jpeg\n\n(6 bytes)");
    }
}
