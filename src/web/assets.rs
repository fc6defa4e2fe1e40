//! Templates and static files. They are embedded in the program, and files in a folder on disk override them.

use std::collections::HashMap;
use std::io::Cursor;
use std::path::Path;

use bytes::Bytes;
use include_dir::{Dir, include_dir};
use minijinja::Environment;
use minijinja::value::{Serde, Value};
use rocket::http::{ContentType, Header, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use rocket::{Route, State, get, routes};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::problem::Problem;
use crate::hex::hex;

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");
static STATIC: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/static");

/// The templates and static files in use, read once at the start.
pub struct Assets {
    templates: Environment<'static>,
    files: HashMap<String, AssetFile>,
}

struct AssetFile {
    bytes: Bytes,
    /// The first 16 hexadecimal digits of the file's SHA-256. The URL and the entity tag of the file contain them.
    version: String,
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
        let files: HashMap<String, AssetFile> = read(&STATIC, files)?
            .into_iter()
            .map(|(name, bytes)| {
                let version = hex(&Sha256::digest(&bytes)[..8]);
                (name, AssetFile { bytes, version })
            })
            .collect();
        let addresses: HashMap<String, String> = files
            .iter()
            .map(|(name, file)| (name.clone(), format!("/static/{name}?v={}", file.version)))
            .collect();

        let mut environment = Environment::new();
        environment.add_function("asset", move |name: &str| {
            let missing =
                || minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, format!("no file {name}"));
            // Our file names and hexadecimal digits need no escaping.
            addresses.get(name).cloned().map(Value::from_safe_string).ok_or_else(missing)
        });
        extend(&mut environment);
        for (name, text) in read(&TEMPLATES, templates)? {
            let text = String::from_utf8_lossy(&text).into_owned();
            environment.add_template_owned(name, text).map_err(AssetError::Template)?;
        }
        Ok(Self { templates: environment, files })
    }

    /// Renders a template.
    pub fn render(&self, name: &str, context: impl Serialize) -> Result<RenderedPage, Problem> {
        let rendered = self.templates.get_template(name).and_then(|template| template.render(Serde(context)));
        rendered.map(RenderedPage).map_err(|error| {
            tracing::error!("template {name} failed: {error:#}");
            Problem::new(Status::InternalServerError, "The page cannot be rendered; the log says more.")
        })
    }
}

/// The files of a folder by name: the embedded ones, replaced and extended by those on disk.
fn read(inside: &Dir<'_>, disk: Option<&Path>) -> Result<HashMap<String, Bytes>, AssetError> {
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let mut files: HashMap<String, Bytes> = inside
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

/// A rendered page.
pub struct RenderedPage(String);

impl<'r> Responder<'r, 'static> for RenderedPage {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        Response::build()
            .header(ContentType::HTML)
            .raw_header("Cache-Control", "no-cache")
            .sized_body(self.0.len(), Cursor::new(self.0))
            .ok()
    }
}

/// A static file.
struct StaticFile {
    bytes: Bytes,
    kind: ContentType,
    etag: String,
    /// Whether the URL contains the file's version. The response to such a URL never changes.
    immutable: bool,
}

impl<'r> Responder<'r, 'static> for StaticFile {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let mut response = Response::build();
        let caching = if self.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
        response.raw_header("Cache-Control", caching).header(Header::new("ETag", self.etag.clone()));
        if request.headers().get_one("If-None-Match") == Some(self.etag.as_str()) {
            return response.status(Status::NotModified).ok();
        }
        response.header(self.kind).sized_body(self.bytes.len(), Cursor::new(self.bytes)).ok()
    }
}

pub fn routes() -> Vec<Route> {
    routes![file, favicon]
}

#[get("/static/<name>?<v>")]
fn file(assets: &State<Assets>, name: &str, v: Option<&str>) -> Result<StaticFile, Problem> {
    let file =
        assets.files.get(name).ok_or_else(|| Problem::new(Status::NotFound, "The file does not exist."))?;
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    Ok(StaticFile {
        bytes: file.bytes.clone(),
        kind: ContentType::from_extension(extension).unwrap_or(ContentType::Binary),
        etag: format!("\"{}\"", file.version),
        immutable: v == Some(file.version.as_str()),
    })
}

/// Browsers request this path on every site.
#[get("/favicon.ico")]
fn favicon(assets: &State<Assets>) -> Result<StaticFile, Problem> {
    file(assets, "favicon.svg", None)
}
