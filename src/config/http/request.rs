//! What is sent to a host: method, path, query, headers and body.

use std::collections::BTreeMap;

use figment::value::Value;
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value as Json;

use super::template::{Piece, Template, TemplateField, TemplatePosition};
use crate::config::Secret;
use crate::config::problem::dotted;
use crate::config::reference::Words;
use crate::config::table::Table;

/// Creates a method. A function, because `Method` cannot be a constant in a list of choices.
pub(super) type ToMethod = fn() -> Method;

/// What a template must be, for error messages.
const TEMPLATE: &str = "a text, in which {{fields}} are filled in";
const BODY: &str = "a table, in whose texts {{fields}} are filled in";

const METHODS: [(&str, ToMethod); 3] =
    [("POST", || Method::POST), ("PUT", || Method::PUT), ("PATCH", || Method::PATCH)];

const WORDS: Words = &[
    ("method", "HTTP method."),
    ("path", "Path after `base_url`."),
    ("query", "Query parameters."),
    ("headers", "Headers."),
    ("body", "The body: the image file alone (\"raw\"), a form (\"multipart\"), or JSON (\"json\")."),
    ("fields", "Fields of the form, in order; the file comes last. For `multipart` only."),
    ("json", "The JSON body, as a table. For `json` only."),
];
const FIELD_WORDS: Words = &[
    ("name", "Name of the field."),
    ("file", "The field contains the image; its file name without an extension."),
    ("value", "Text of the field."),
];

#[derive(Clone, Debug)]
pub struct RequestConfig {
    pub method: Method,
    /// Relative to `base_url`; begins with `/`.
    pub path: Template,
    /// Ordered by name.
    pub query: Vec<(String, Template)>,
    /// Ordered by name.
    pub headers: Vec<(HeaderName, Template)>,
    pub body: BodyConfig,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyConfig {
    /// The image file alone.
    Raw,
    /// A form with its fields in this order; the file is the last one.
    Multipart(Vec<FormField>),
    Json(JsonTemplate),
}

/// A field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormField {
    pub name: String,
    pub part: RequestPart,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestPart {
    Text(Template),
    /// The image file; the text is its file name without an extension.
    File(String),
}

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

#[derive(Clone, Copy)]
enum BodyWord {
    Raw,
    Multipart,
    Json,
}

/// The kinds of body, by their word in the configuration.
const BODIES: [(&str, BodyWord); 3] =
    [("raw", BodyWord::Raw), ("multipart", BodyWord::Multipart), ("json", BodyWord::Json)];

impl RequestConfig {
    /// Returns none if the body is missing or invalid; the problem is noted.
    pub(super) fn read(table: &mut Table<'_>, secrets: &BTreeMap<String, Secret>) -> Option<Self> {
        table.describe(WORDS);
        let method = table.choice("method", &METHODS).map_or(Method::POST, |method| method());
        let path = table.template("path", "/", TemplatePosition::Path, secrets);
        if let Some(wrong) = path.as_ref().and_then(|path| wrong_path(&path.to_string())) {
            table.problem(&["path"], format!("`{}` {wrong}", dotted(&table.at(&["path"]))));
        }
        let query = table.templates("query", TemplatePosition::Line, secrets);
        for (name, _) in query.iter().filter(|(name, template)| is_key(name, template)) {
            literal_key(table, &["query", name]);
        }
        let headers = headers(table, secrets);
        let body = match table.required_choice("body", &BODIES) {
            Some(BodyWord::Raw) => Some(BodyConfig::Raw),
            Some(BodyWord::Multipart) => form(table, secrets).map(BodyConfig::Multipart),
            Some(BodyWord::Json) => json(table, secrets).map(BodyConfig::Json),
            None => {
                table.accept_all();
                None
            }
        };
        Some(Self { method, path: path?, query, headers, body: body? })
    }
}

fn wrong_path(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        Some("must begin with `/`: it is appended to `base_url`")
    } else if path.contains(['?', '#']) {
        Some("must end before the `?` or `#`: the rest belongs into `query`")
    } else if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        Some("must not go up with `..`")
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

fn literal_key(table: &Table<'_>, path: &[&str]) {
    let message = format!(
        "`{}` must not contain a key: configuration files are copied, committed and shown. Define a secret, such as \
         `secrets.key = {{ env = \"NAME\" }}`, and write \"{{{{secret.key}}}}\" in its place",
        dotted(&table.at(path))
    );
    table.problem(path, message);
}

fn headers(table: &mut Table<'_>, secrets: &BTreeMap<String, Secret>) -> Vec<(HeaderName, Template)> {
    /// Headers that the gateway sets itself.
    const OWN: [&str; 5] = ["host", "content-length", "content-type", "transfer-encoding", "connection"];
    let mut headers = Vec::new();
    for (name, template) in table.templates("headers", TemplatePosition::Line, secrets) {
        let wrong = match HeaderName::from_bytes(name.as_bytes()) {
            Ok(header) if OWN.contains(&header.as_str()) => {
                "follows from the rest of the request: leave it out"
            }
            // Checks the text between the fields; the fields' values are always one line of text.
            Ok(_) if HeaderValue::from_str(&template.to_string()).is_err() => "must be one line of text",
            Ok(header) if is_key(header.as_str(), &template) => {
                literal_key(table, &["headers", &name]);
                continue;
            }
            Ok(header) => {
                headers.push((header, template));
                continue;
            }
            Err(_) => "is no name that a header can have",
        };
        table.problem(&["headers", &name], format!("`{}` {wrong}", dotted(&table.at(&["headers", &name]))));
    }
    headers
}

fn form(table: &mut Table<'_>, secrets: &BTreeMap<String, Secret>) -> Option<Vec<FormField>> {
    let key = dotted(&table.at(&["fields"]));
    if !table.has("fields") {
        table.miss("fields");
        let message = format!(
            "`{key}` is missing: a form has fields, such as [{{ name = \"image\", file = \"photo\" }}]"
        );
        table.problem(&[], message);
        return None;
    }
    let mut wrong = false;
    let fields = table.tables("fields", Json::Null, |table| {
        let field = form_field(table, secrets);
        wrong |= field.is_none();
        field
    })?;
    if wrong {
        return None;
    }
    let files: Vec<usize> =
        (0..fields.len()).filter(|at| matches!(fields[*at].part, RequestPart::File(_))).collect();
    let image = |field: &FormField| matches!(&field.part, RequestPart::Text(text) if has_image(text));
    let wrong = match files.as_slice() {
        [] if fields.iter().any(image) => return Some(fields),
        [] => "has no picture: one field is { name = \"image\", file = \"photo\" }",
        // Hosts that parse a form as it arrives must know the other fields before the file.
        [file] if file + 1 < fields.len() => "must end with the file: hosts read the other fields before it",
        [_] => return Some(fields),
        _ => "has the file twice",
    };
    table.problem(&["fields"], format!("`{key}` {wrong}"));
    None
}

fn form_field(table: &mut Table<'_>, secrets: &BTreeMap<String, Secret>) -> Option<FormField> {
    const NAME: &str = "a name of ASCII letters, digits and punctuation, such as \"image\"";
    const FILE: &str = "the name of the file without an extension, such as \"photo\"";
    let plain = |value: &Value| {
        let good = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
        value.as_str().filter(|text| !text.is_empty() && text.chars().all(good)).map(str::to_owned)
    };
    table.describe(FIELD_WORDS);
    let name = table.required("name", NAME, plain);
    let part = match (table.has("file"), table.has("value")) {
        (true, false) => {
            table.miss("value");
            table.optional("file", FILE, plain).map(RequestPart::File)
        }
        (false, true) => {
            table.miss("file");
            table
                .judged("value", Json::Null, |value| Template::of(value, TemplatePosition::Body, secrets))
                .map(RequestPart::Text)
        }
        (both, _) => {
            let wrong = if both { "both `value` and `file`" } else { "neither `value` nor `file`" };
            let message = format!("`{}` has {wrong}", dotted(&table.at(&[])));
            table.problem(&[], message);
            table.accept_all();
            None
        }
    };
    Some(FormField { name: name?, part: part? })
}

fn json(table: &mut Table<'_>, secrets: &BTreeMap<String, Secret>) -> Option<JsonTemplate> {
    let key = table.at(&["json"]);
    if !table.has("json") {
        table.miss("json");
        let message = format!("`{0}` is missing: write the body as a table, such as [{0}]", dotted(&key));
        table.problem(&[], message);
        return None;
    }
    let (value, origin) = table.take("json", Json::Null, false, || BODY.to_owned())?;
    let mut found = TemplateWalk { table, path: key.clone(), secrets, image: false };
    let read = found.read(value);
    let image = found.image;
    if read.is_some() && !image {
        let message =
            format!("`{}` has no picture: {{{{image.data_url}}}} or {{{{image.base64}}}}", dotted(&key));
        table.problem(&["json"], message);
        return None;
    }
    table.note_entry("json", serde_json::to_value(value).unwrap_or_default(), false, origin);
    read
}

/// Reads a JSON template recursively.
struct TemplateWalk<'t, 'r> {
    table: &'t Table<'r>,
    path: Vec<String>,
    secrets: &'t BTreeMap<String, Secret>,
    image: bool,
}

impl TemplateWalk<'_, '_> {
    fn read(&mut self, value: &Value) -> Option<JsonTemplate> {
        match value {
            Value::String(_, text) => match Template::parse(text, TemplatePosition::Body, self.secrets) {
                Ok(template) => {
                    self.image |= has_image(&template);
                    Some(JsonTemplate::Text(template))
                }
                Err(wrong) => {
                    let origin = self.table.reader.origin_of(&self.path);
                    self.table.note_problem(origin, format!("`{}` {wrong}", dotted(&self.path)));
                    None
                }
            },
            Value::Array(_, items) => {
                let items = items.iter().enumerate();
                let items = items.map(|(index, item)| self.at(&index.to_string(), item)).collect::<Vec<_>>();
                items.into_iter().collect::<Option<_>>().map(JsonTemplate::List)
            }
            Value::Dict(_, dict) => {
                let items = dict.iter().map(|(name, item)| Some((name.clone(), self.at(name, item)?)));
                items.collect::<Vec<_>>().into_iter().collect::<Option<_>>().map(JsonTemplate::Object)
            }
            plain => serde_json::to_value(plain).ok().map(JsonTemplate::Plain),
        }
    }

    fn at(&mut self, key: &str, value: &Value) -> Option<JsonTemplate> {
        self.path.push(key.to_owned());
        let read = self.read(value);
        self.path.pop();
        read
    }
}

fn has_image(template: &Template) -> bool {
    let image = |piece: &Piece| {
        matches!(piece, Piece::Field(TemplateField::ImageBase64 | TemplateField::ImageDataUrl))
    };
    template.pieces().iter().any(image)
}

impl Table<'_> {
    pub(super) fn template(
        &mut self,
        key: &'static str,
        default: &str,
        place: TemplatePosition,
        secrets: &BTreeMap<String, Secret>,
    ) -> Option<Template> {
        if self.has(key) {
            return self.judged(key, default.into(), |value| Template::of(value, place, secrets));
        }
        self.miss(key);
        self.note_entry(key, default.into(), false, crate::config::ValueOrigin::Default);
        Template::parse(default, place, secrets).ok()
    }

    /// Reads a table of templates whose names the operator chooses.
    pub(super) fn templates(
        &mut self,
        key: &'static str,
        place: TemplatePosition,
        secrets: &BTreeMap<String, Secret>,
    ) -> Vec<(String, Template)> {
        self.table(key, |table| {
            let mut templates = Vec::new();
            for (name, value, origin) in table.chosen(TEMPLATE) {
                match Template::of(value, place, secrets) {
                    Ok(template) => {
                        table.note_entry(name, template.to_string().into(), false, origin);
                        templates.push((name.to_owned(), template));
                    }
                    Err(wrong) => {
                        table.note_problem(origin, format!("`{}` {wrong}", dotted(&table.at(&[name]))))
                    }
                }
            }
            templates
        })
    }

    /// Reads a template with `parse`, whose error says what is wrong (and not what the value must be).
    pub(super) fn judged<T>(
        &mut self,
        key: &'static str,
        default: Json,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let (value, origin) = self.take(key, default, false, || TEMPLATE.to_owned())?;
        match parse(value) {
            Ok(parsed) => {
                self.note_entry(key, serde_json::to_value(value).unwrap_or_default(), false, origin);
                Some(parsed)
            }
            Err(wrong) => {
                self.note_problem(origin, format!("`{}` {wrong}", dotted(&self.at(&[key]))));
                None
            }
        }
    }
}
