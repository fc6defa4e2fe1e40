//! Templates and static files. They are embedded in the program, and files in a folder on disk override them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use include_dir::{Dir, include_dir};
use minijinja::value::{Serde, Value};
use minijinja::{Environment, Error, ErrorKind};
use rocket::http::{ContentType, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use rocket::{Route, State, get, routes};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::coding::{EncodedBody, StoredText};
use super::entity_tags::EntityTags;
use super::modules::ModuleImports;
use super::problem::Problem;
use crate::hex::hex;

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");
static STATIC: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/static");

/// The templates and static files in use, read once at the start.
pub struct Assets {
    templates: Environment<'static>,
    /// Static files by name.
    files: BTreeMap<String, AssetFile>,
    /// The version of all static files together.
    version: String,
}

struct AssetFile {
    content: Content,
    /// The version of this file.
    version: String,
}

enum Content {
    /// Sent in the coding that the client prefers.
    Text(StoredText),
    Binary(Bytes),
}

#[derive(Debug, thiserror::Error)]
pub enum AssetError {
    #[error("{path}: {source}")]
    Unreadable { path: String, source: std::io::Error },
    #[error("template {0:#}")]
    Template(minijinja::Error),
}

impl Assets {
    /// Loads the embedded files; files with the same names in the folders replace them. `extend` adds functions and
    /// filters for the templates.
    pub fn load(
        templates: Option<&Path>,
        files: Option<&Path>,
        extend: fn(&mut Environment<'_>),
    ) -> Result<Self, AssetError> {
        let files = read(&STATIC, files)?;
        let version = version(files.iter().flat_map(|(name, bytes)| [name.as_bytes(), bytes]));
        let mut environment = Environment::new();
        add_addresses(&mut environment, &version, &files);
        extend(&mut environment);
        for (name, text) in read(&TEMPLATES, templates)? {
            let text = String::from_utf8_lossy(&text).into_owned();
            environment.add_template_owned(name, text).map_err(AssetError::Template)?;
        }
        let files = files.into_iter().map(|(name, bytes)| (name.clone(), AssetFile::new(&name, bytes)));
        Ok(Self { templates: environment, files: files.collect(), version })
    }

    /// The version of all static files together: it changes with each name and each byte.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The URLs of the page's style sheets, scripts and drawings.
    pub fn shell(&self) -> Vec<String> {
        let shell = self.files.keys().filter(|name| SHELL.contains(&extension(name)));
        shell.map(|name| address(&self.version, name)).collect()
    }

    fn file(&self, name: &str, immutable: bool) -> Result<StaticFile<'_>, Problem> {
        let missing = || Problem::new(Status::NotFound, "The file does not exist.");
        let file = self.files.get(name).ok_or_else(missing)?;
        Ok(StaticFile { file, kind: kind(name), immutable })
    }

    /// Renders a template.
    pub fn render(&self, name: &str, context: impl Serialize) -> Result<RenderedTemplate, Problem> {
        let rendered = self.templates.get_template(name).and_then(|template| template.render(Serde(context)));
        let kind = kind(name);
        rendered.map(|text| RenderedTemplate { text, kind, coded: true }).map_err(|error| {
            tracing::error!("template {name} failed: {error:#}");
            Problem::new(Status::InternalServerError, "The page cannot be rendered; the log says more.")
        })
    }
}

/// Extensions of the files that the page cannot work without.
const SHELL: [&str; 3] = ["css", "js", "svg"];

impl AssetFile {
    fn new(name: &str, bytes: Bytes) -> Self {
        let version = version([&bytes[..]]);
        let content = match is_text(&kind(name)) {
            true => Content::Text(StoredText::new(bytes)),
            false => Content::Binary(bytes),
        };
        Self { content, version }
    }
}

/// The first 16 hexadecimal digits of the SHA-256 over these parts and their lengths.
fn version<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hex(&hash.finalize()[..8])
}

/// Adds the template functions `asset(name)`, the URL of a static file, and `imports(name)`, the URLs of all modules
/// that a script imports.
fn add_addresses(environment: &mut Environment<'_>, version: &str, files: &BTreeMap<String, Bytes>) {
    // Our file names and hexadecimal digits need no escaping.
    let address = |name: &String| (name.clone(), Value::from_safe_string(address(version, name)));
    let addresses: Arc<HashMap<String, Value>> = Arc::new(files.keys().map(address).collect());
    environment.add_function("asset", {
        let addresses = addresses.clone();
        move |name: &str| {
            let missing = || Error::new(ErrorKind::InvalidOperation, format!("no file {name}"));
            addresses.get(name).cloned().ok_or_else(missing)
        }
    });
    let imports = ModuleImports::read(files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])));
    environment.add_function("imports", move |script: &str| -> Vec<Value> {
        imports.all(script).into_iter().filter_map(|name| addresses.get(name).cloned()).collect()
    });
}

/// The URL of a static file. Relative imports between scripts keep the version.
fn address(version: &str, name: &str) -> String {
    format!("/static/{version}/{name}")
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// The media type of a file, from its extension.
fn kind(name: &str) -> ContentType {
    match extension(name) {
        // Rocket does not know it.
        "webmanifest" => ContentType::new("application", "manifest+json"),
        extension => ContentType::from_extension(extension).unwrap_or(ContentType::Binary),
    }
}

fn is_text(kind: &ContentType) -> bool {
    let sub = kind.sub().as_str();
    kind.top() == "text" || kind.is_json() || kind.is_svg() || sub.ends_with("+json")
}

/// The files of a folder by name: the embedded ones, replaced and extended by those on disk.
fn read(inside: &Dir<'_>, disk: Option<&Path>) -> Result<BTreeMap<String, Bytes>, AssetError> {
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let mut files: BTreeMap<String, Bytes> = inside
        .files()
        .filter_map(|file| Some((name(file.path())?, Bytes::copy_from_slice(file.contents()))))
        .collect();
    let Some(disk) = disk else { return Ok(files) };
    let unreadable = |path: &Path| {
        let path = path.display().to_string();
        move |source| AssetError::Unreadable { path, source }
    };
    for entry in std::fs::read_dir(disk).map_err(unreadable(disk))? {
        let path = entry.map_err(unreadable(disk))?.path();
        if let (true, Some(name)) = (path.is_file(), name(&path)) {
            files.insert(name, std::fs::read(&path).map_err(unreadable(&path))?.into());
        }
    }
    Ok(files)
}

/// A rendered template.
pub struct RenderedTemplate {
    text: String,
    kind: ContentType,
    coded: bool,
}

impl RenderedTemplate {
    /// Sends the text without a coding. For a page with whole pictures: encoding them would take long and save little.
    #[must_use]
    pub fn uncoded(self) -> Self {
        Self { coded: false, ..self }
    }
}

impl<'r> Responder<'r, 'static> for RenderedTemplate {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let mut response = Response::build();
        response.header(self.kind).raw_header("Cache-Control", "no-cache");
        let body = match self.coded {
            true => EncodedBody::new(self.text, request),
            false => EncodedBody::uncoded(self.text),
        };
        body.write(&mut response);
        response.ok()
    }
}

/// A static file.
struct StaticFile<'f> {
    file: &'f AssetFile,
    kind: ContentType,
    /// Whether the URL contains the current version. The response to such a URL never changes.
    immutable: bool,
}

impl<'r> Responder<'r, 'static> for StaticFile<'_> {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let AssetFile { content, version } = self.file;
        let mut response = Response::build();
        let caching = if self.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
        response.raw_header("Cache-Control", caching);
        let body = match content {
            Content::Text(text) => text.encoded(request),
            Content::Binary(bytes) => EncodedBody::uncoded(bytes.clone()),
        };
        let tag = body.entity_tag(version);
        response.raw_header("ETag", tag.clone());
        if EntityTags::of(request).include(&tag) {
            body.set_vary(&mut response);
            return response.status(Status::NotModified).ok();
        }
        response.header(self.kind);
        body.write(&mut response);
        response.ok()
    }
}

pub fn routes() -> Vec<Route> {
    routes![current_file, versioned_file, favicon]
}

#[get("/static/<name>")]
fn current_file<'a>(assets: &'a State<Assets>, name: &str) -> Result<StaticFile<'a>, Problem> {
    assets.file(name, false)
}

/// Returns the current file, whatever the version: a page that another version has sent still works.
#[get("/static/<version>/<name>")]
fn versioned_file<'a>(
    assets: &'a State<Assets>,
    version: &str,
    name: &str,
) -> Result<StaticFile<'a>, Problem> {
    assets.file(name, version == assets.version)
}

/// Browsers request this path on every site.
#[get("/favicon.ico")]
fn favicon(assets: &State<Assets>) -> Result<StaticFile<'_>, Problem> {
    assets.file("favicon.svg", false)
}
