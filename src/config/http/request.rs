//! What is sent to a host: method, path, query, headers and body.

use std::collections::BTreeMap;

use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

use super::template::TemplatePosition;
use super::template::{self, BodyTemplate, LineTemplate, PathTemplate, Piece, Template, TemplateField};
use crate::config::Secret;
use crate::config::kinds::{Named, One, Optional, Parsed, kind};
use crate::config::place::Place;
use crate::config::schema::describe_tag;

const BODY: &str = "a table, in whose texts {{fields}} are filled in";

/// The request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct RequestConfig {
    /// HTTP method.
    #[serde(default)]
    method: SendMethod,
    /// Path after `base_url`.
    #[serde(default = "template::root", with = "One::<PathTemplate>")]
    pub path: Template,
    /// Query parameters.
    #[serde(default, deserialize_with = "Named::<LineTemplate>::deserialize")]
    #[schemars(with = "Named::<LineTemplate>")]
    pub query: BTreeMap<String, Template>,
    /// Headers.
    #[serde(default, deserialize_with = "Named::<LineTemplate>::deserialize")]
    #[schemars(with = "Named::<LineTemplate>")]
    headers: BTreeMap<String, Template>,
    #[serde(flatten)]
    pub body: BodyConfig,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum SendMethod {
    #[default]
    Post,
    Put,
    Patch,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "body", rename_all = "lowercase")]
#[schemars(transform = describe_tag(
    "body",
    "The body: the image file alone (\"raw\"), a form (\"multipart\"), or JSON (\"json\")."
))]
pub enum BodyConfig {
    Raw,
    Multipart {
        /// Fields of the form, in order; the file comes last. For `multipart` only.
        fields: Vec<FormField>,
    },
    Json {
        /// The JSON body, as a table. For `json` only.
        #[schemars(with = "Json", extend("x-texts" = BodyTemplate::FORMAT, "x-must-be" = BODY))]
        json: JsonTemplate,
    },
}

/// A field of a form: either text or the image file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct FormField {
    /// Name of the field.
    #[serde(with = "One::<FieldName>")]
    pub name: String,
    /// Makes the field the image file. The value is its file name, without an extension.
    #[serde(default, with = "Optional::<FieldName>")]
    file: Option<String>,
    /// Text of the field.
    #[serde(default, with = "Optional::<BodyTemplate>")]
    value: Option<Template>,
}

/// The content of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestPart<'f> {
    Text(&'f Template),
    /// The image file; the text is its file name without an extension.
    File(&'f str),
}

impl FormField {
    /// `None` only for a field that has neither text nor a file, which is a problem of the configuration.
    pub fn part(&self) -> Option<RequestPart<'_>> {
        let file = self.file.as_deref().map(RequestPart::File);
        file.or_else(|| self.value.as_ref().map(RequestPart::Text))
    }
}

kind!(
    FieldName: String, "field-name", "a name of ASCII letters, digits and punctuation", "image",
    |text| {
        let good = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
        (!text.is_empty() && text.chars().all(good)).then(|| text.to_owned())
    }
);

/// JSON whose strings are templates. A string that consists of one numeric field becomes a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonTemplate {
    /// A number or a boolean, sent unchanged.
    Plain(Json),
    Text(Template),
    List(Vec<JsonTemplate>),
    /// An object; its members are ordered by name.
    Object(Vec<(String, JsonTemplate)>),
}

impl<'de> Deserialize<'de> for JsonTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(Json::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl JsonTemplate {
    fn of(json: Json) -> Result<Self, String> {
        Ok(match json {
            Json::String(text) => Self::Text(Template::parse(&text, TemplatePosition::Body)?),
            Json::Array(items) => Self::List(items.into_iter().map(Self::of).collect::<Result<_, _>>()?),
            Json::Object(items) => {
                let items = items.into_iter().map(|(name, item)| Ok((name, Self::of(item)?)));
                Self::Object(items.collect::<Result<_, String>>()?)
            }
            plain => Self::Plain(plain),
        })
    }

    /// Calls `found` with every text and its path.
    fn texts<'t>(&'t self, path: &mut Vec<String>, found: &mut impl FnMut(&[String], &'t Template)) {
        let mut inner = |key: String, part: &'t Self, path: &mut Vec<String>| {
            path.push(key);
            part.texts(path, found);
            path.pop();
        };
        match self {
            Self::Plain(_) => {}
            Self::Text(text) => found(path, text),
            Self::List(items) => {
                items.iter().enumerate().for_each(|(at, item)| inner(at.to_string(), item, path));
            }
            Self::Object(items) => items.iter().for_each(|(name, item)| inner(name.clone(), item, path)),
        }
    }
}

impl RequestConfig {
    pub const fn method(&self) -> Method {
        match self.method {
            SendMethod::Post => Method::POST,
            SendMethod::Put => Method::PUT,
            SendMethod::Patch => Method::PATCH,
        }
    }

    /// The headers, ordered by their names as written.
    pub fn headers(&self) -> impl Iterator<Item = (HeaderName, &Template)> {
        let headers = self.headers.iter();
        headers.filter_map(|(name, value)| Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value)))
    }

    pub(super) fn check(&self, place: &Place<'_>, secrets: &BTreeMap<String, Secret>) {
        if let Some(wrong) = wrong_path(&self.path.to_string()) {
            place.wrong(&["path"], wrong);
        }
        for (name, template) in &self.query {
            let path = ["query", name.as_str()];
            template.check(place, &path, secrets);
            if is_key(name, template) {
                literal_key(place, &path);
            }
        }
        for (name, template) in &self.headers {
            let path = ["headers", name.as_str()];
            template.check(place, &path, secrets);
            match wrong_header(name, template) {
                Some(wrong) => place.wrong(&path, wrong),
                None if is_key(name, template) => literal_key(place, &path),
                None => {}
            }
        }
        match &self.body {
            BodyConfig::Raw => {}
            BodyConfig::Multipart { fields } => check_form(fields, place, secrets),
            BodyConfig::Json { json } => check_json(json, place, secrets),
        }
    }
}

fn wrong_path(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        Some("must begin with `/`: it is appended to `base_url`")
    } else if path.contains(['?', '#']) {
        Some("must end before the `?` or `#`: the rest belongs in `query`")
    } else if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        Some("must not have a segment `.` or `..`")
    } else {
        None
    }
}

/// Whether a header or query parameter probably holds a key in plain text, judged by its name.
fn is_key(name: &str, template: &Template) -> bool {
    const WHOLE: [&str; 5] = ["authorization", "proxyauthorization", "auth", "cookie", "credentials"];
    const END: [&str; 5] = ["key", "token", "secret", "password", "signature"];
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let secret =
        template.pieces().iter().any(|piece| matches!(piece, Piece::Field(TemplateField::Secret(_))));
    let text = template.to_string();
    let nothing = matches!(text.trim(), "" | "true" | "false");
    !secret && !nothing && (WHOLE.contains(&name.as_str()) || END.iter().any(|end| name.ends_with(end)))
}

fn literal_key(place: &Place<'_>, path: &[&str]) {
    let wrong = "must not contain a key: configuration files are copied, committed and shown. Define a secret, such as \
                 `secrets.key = { env = \"NAME\" }`, and write \"{{secret.key}}\" in its place";
    place.wrong(path, wrong);
}

fn wrong_header(name: &str, template: &Template) -> Option<&'static str> {
    /// Headers that the gateway sets itself.
    const OWN: [&str; 5] = ["host", "content-length", "content-type", "transfer-encoding", "connection"];
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(header) if OWN.contains(&header.as_str()) => Some("is set by the gateway: leave it out"),
        // Checks the text between the fields; the fields' values are always one line of text.
        Ok(_) if HeaderValue::from_str(&template.to_string()).is_err() => Some("must be one line of text"),
        Ok(_) => None,
        Err(_) => Some("is not a valid header name"),
    }
}

fn check_form(fields: &[FormField], place: &Place<'_>, secrets: &BTreeMap<String, Secret>) {
    let mut whole = true;
    for (index, field) in fields.iter().enumerate() {
        let index = index.to_string();
        let wrong = match (&field.file, &field.value) {
            (Some(_), Some(_)) => "both `value` and `file`",
            (None, None) => "neither `value` nor `file`",
            (None, Some(value)) => {
                value.check(place, &["fields", &index, "value"], secrets);
                continue;
            }
            (Some(_), None) => continue,
        };
        whole = false;
        place.wrong(&["fields", &index], format!("has {wrong}"));
    }
    let files = fields.iter().enumerate().filter(|(_, field)| field.file.is_some());
    let files: Vec<usize> = files.map(|(index, _)| index).collect();
    let image = |field: &FormField| field.value.as_ref().is_some_and(has_image);
    let wrong = match files.as_slice() {
        _ if !whole => return,
        [] if fields.iter().any(image) => return,
        [] => "has no picture: one field is { name = \"image\", file = \"photo\" }",
        // Hosts that parse a form as it arrives must know the other fields before the file.
        [file] if file + 1 < fields.len() => "must end with the file: hosts read the other fields before it",
        [_] => return,
        _ => "has the file twice",
    };
    place.wrong(&["fields"], wrong);
}

fn check_json(json: &JsonTemplate, place: &Place<'_>, secrets: &BTreeMap<String, Secret>) {
    let mut image = false;
    json.texts(&mut vec!["json".to_owned()], &mut |path, text| {
        image |= has_image(text);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        text.check(place, &path, secrets);
    });
    if !image {
        place.wrong(&["json"], "has no picture: {{image.data_url}} or {{image.base64}}");
    }
}

fn has_image(template: &Template) -> bool {
    let image = |piece: &Piece| {
        matches!(piece, Piece::Field(TemplateField::ImageBase64 | TemplateField::ImageDataUrl))
    };
    template.pieces().iter().any(image)
}
