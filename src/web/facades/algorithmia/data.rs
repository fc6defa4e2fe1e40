//! The data API, at `/v1/data/...` and `/v1/connector/data/...`.

use std::io::Cursor;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use rocket::http::{ContentType, Header, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use rocket::{Route, delete, get, patch, post, put, routes};
use serde_json::{Map, Value, json};

use super::data_path::{DataPath, Target};
use super::files::{CallerFiles, account_name, missing};
use super::input::{FileBody, read_json};
use super::listing;
use super::results;
use crate::datastore::{Name, OpenedFile, Readers};
use crate::hex::hex;
use crate::photo::{self, Limits};
use crate::web::admission;
use crate::web::guards::Context;
use crate::web::problem::Problem;
use crate::web::request::single;

/// The two base paths, which serve the same routes.
const BASES: [&str; 2] = ["/v1/data", "/v1/connector/data"];

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    let below = |base: &'static str| {
        let routes = routes![read, write, create, change, remove].into_iter();
        // Mapping cannot fail, because both bases are valid paths.
        routes.filter_map(move |route| route.map_base(|_| base.to_owned()).ok())
    };
    BASES.into_iter().flat_map(below).collect()
}

/// The response to a read.
#[derive(rocket::Responder)]
#[allow(clippy::large_enum_variant)]
enum DataResponse {
    Stored(StoredFile),
    Picture(CachedImage),
    Listing(Listing),
}

/// A file that is streamed from disk.
struct StoredFile(OpenedFile);

/// A cached result.
struct CachedImage {
    bytes: Bytes,
    digest: [u8; 32],
}

/// The contents of an account or a collection.
struct Listing(Map<String, Value>);

/// JSON with status 200. Some clients treat every other status as an error.
struct Said(Value);

#[get("/<_..>?<marker>&<acl>")]
async fn read(
    context: Context,
    target: Target,
    marker: Vec<String>,
    acl: Vec<String>,
) -> Result<DataResponse, Problem> {
    context.permitted().await?;
    let after = listing::after(single("marker", marker)?.as_deref())?;
    let acl = single("acl", acl)?.is_some_and(|word| word.eq_ignore_ascii_case("true"));
    let store = context.gateway.files();
    match target.0? {
        DataPath::Accounts => Ok(DataResponse::Listing(Listing(Map::from_iter([(
            "folders".to_owned(),
            json!([{ "name": account_name(&context) }]),
        )])))),
        DataPath::Account(account) => {
            let owner = CallerFiles::of(&context)?.own(&account)?;
            let page = store.collections(&owner, after, listing::MOST).await?;
            Ok(DataResponse::Listing(Listing(listing::folders(&page))))
        }
        DataPath::Collection(account, collection) => {
            let owner = CallerFiles::of(&context)?.readable(&account, &collection).await?;
            let page = store.list(&owner, &collection, after, listing::MOST).await?;
            let mut facts = listing::files(&page.ok_or_else(|| missing("such collection"))?);
            if acl {
                let readers = store.readers(&owner, &collection).await?.unwrap_or_default();
                facts.insert("acl".to_owned(), listing::acl(readers));
            }
            Ok(DataResponse::Listing(Listing(facts)))
        }
        DataPath::File(account, collection, file) => {
            let owner = CallerFiles::of(&context)?.readable(&account, &collection).await?;
            let opened = store.open(&owner, &collection, &file).await?;
            opened.map(|opened| DataResponse::Stored(StoredFile(opened))).ok_or_else(|| missing("such file"))
        }
        DataPath::Result(name) => {
            if let Some((bytes, digest)) = results::lookup(&context, &name).await {
                return Ok(DataResponse::Picture(CachedImage { bytes, digest }));
            }
            let opened = store.open_temp(name.as_str()).await?;
            let gone = || {
                let detail = "There is no such result, or it has expired: results are available for a day, or less \
                              if the cache evicts them earlier.";
                Problem::new(Status::NotFound, detail)
            };
            opened.map(|opened| DataResponse::Stored(StoredFile(opened))).ok_or_else(gone)
        }
    }
}

#[put("/<_..>", data = "<body>")]
async fn write(context: Context, target: Target, body: Result<FileBody, Problem>) -> Result<Said, Problem> {
    let body = body?;
    let DataPath::File(account, collection, file) = target.0? else {
        return Err(Problem::bad_request("A file is at data://.my/COLLECTION/FILE."));
    };
    let files = CallerFiles::of(&context)?;
    let owner = files.own(&account)?;
    context.gateway.files().write(&owner, &collection, &file, body.bytes, files.bounds()).await?;
    Ok(Said(json!({ "result": format!("data://.my/{collection}/{file}") })))
}

/// Creates a collection. The path names the account.
#[post("/<_..>", data = "<body>")]
async fn create(context: Context, target: Target, body: Result<FileBody, Problem>) -> Result<Said, Problem> {
    let body = json_object(&body?)?;
    let DataPath::Account(account) = target.0? else {
        return Err(Problem::bad_request("Collections are one level deep: create one in data://.my."));
    };
    let name = body["name"]
        .as_str()
        .ok_or_else(|| Problem::bad_request(r#"Name the collection: {"name": "photos"}."#))?;
    let name = Name::parse(name)?;
    let readers = match &body["acl"] {
        Value::Null => Readers::default(),
        acl => listing::readers(acl)?,
    };
    let files = CallerFiles::of(&context)?;
    let owner = files.own(&account)?;
    context.gateway.files().create(&owner, &name, readers, files.bounds()).await?;
    Ok(Said(json!({ "result": format!("data://.my/{name}") })))
}

/// Changes who may read a collection.
#[patch("/<_..>", data = "<body>")]
async fn change(
    context: Context,
    target: Target,
    body: Result<FileBody, Problem>,
) -> Result<Status, Problem> {
    let body = json_object(&body?)?;
    let DataPath::Collection(account, collection) = target.0? else {
        return Err(Problem::bad_request("Only collections, data://.my/COLLECTION, have an `acl`."));
    };
    let readers = listing::readers(&body["acl"])?;
    let owner = CallerFiles::of(&context)?.own(&account)?;
    context.gateway.files().set_readers(&owner, &collection, readers).await?;
    Ok(Status::Ok)
}

#[delete("/<_..>?<force>")]
async fn remove(context: Context, target: Target, force: Vec<String>) -> Result<Said, Problem> {
    context.permitted().await?;
    let _admission = admission::again(&context, 0).await?;
    let force = single("force", force)?.is_some_and(|word| word.eq_ignore_ascii_case("true"));
    let files = CallerFiles::of(&context)?;
    let store = context.gateway.files();
    let deleted = match target.0? {
        DataPath::Collection(account, collection) => {
            store.remove_collection(&files.own(&account)?, &collection, force).await?
        }
        DataPath::File(account, collection, file) => {
            match store.remove(&files.own(&account)?, &collection, &file).await? {
                true => 1,
                false => return Err(missing("such file")),
            }
        }
        DataPath::Accounts | DataPath::Account(_) | DataPath::Result(_) => {
            return Err(Problem::bad_request("Only your own files and collections can be deleted."));
        }
    };
    Ok(Said(json!({ "result": { "deleted": deleted } })))
}

fn json_object(body: &FileBody) -> Result<Value, Problem> {
    let value: Value = read_json(&body.bytes)?;
    if value.is_object() { Ok(value) } else { Err(Problem::bad_request("The body must be a JSON object.")) }
}

/// A response with the headers that all files have.
fn file_response(kind: &str, tag: String) -> Response<'static> {
    let mut response = Response::new();
    response.set_raw_header("Content-Type", kind.to_owned());
    response.set_header(Header::new("X-Data-Type", "file"));
    response.set_header(Header::new("ETag", format!("\"{tag}\"")));
    // `private`, because not every client may read the file; `no-cache`, because it can change or expire.
    response.set_header(Header::new("Cache-Control", "private, no-cache"));
    response
}

impl<'r> Responder<'r, 'static> for StoredFile {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let OpenedFile { file, bytes, modified } = self.0;
        let written = modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        // With a text or JSON type, clients would return something other than the stored bytes.
        let mut response = file_response("application/octet-stream", format!("{written:x}-{bytes:x}"));
        let length = usize::try_from(bytes).map_err(|_| Status::InternalServerError)?;
        response.set_sized_body(length, tokio::fs::File::from_std(file));
        Ok(response)
    }
}

impl<'r> Responder<'r, 'static> for CachedImage {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let all = Limits { max_pixels: u64::MAX, max_side: u32::MAX };
        let head = photo::read_head(&self.bytes, &all);
        let kind = head.map_or("application/octet-stream", |head| head.format.media_type());
        let mut response = file_response(kind, hex(&self.digest));
        response.set_sized_body(self.bytes.len(), Cursor::new(self.bytes));
        Ok(response)
    }
}

impl<'r> Responder<'r, 'static> for Listing {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let mut response = Said(self.0.into()).respond_to(request)?;
        response.set_header(Header::new("X-Data-Type", "directory"));
        Ok(response)
    }
}

impl<'r> Responder<'r, 'static> for Said {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let body = self.0.to_string();
        Response::build()
            .header(ContentType::JSON)
            .header(Header::new("Cache-Control", "no-store"))
            .sized_body(body.len(), Cursor::new(body))
            .ok()
    }
}
