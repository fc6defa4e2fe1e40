//! Fake hosts with their own HTTP APIs, written from the public descriptions as of November 2026:
//! DeepAI, Replicate, Cog, Hugging Face and OpenAI. They validate requests as strictly as the
//! descriptions say, really colour the image, and misbehave as a test requests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::KEY;
use super::http::{Reply, Request, Server};
use super::multipart::parts;
use super::picture::{colored, from_data_url};

/// Answers one request. The last argument is the host's own URL.
type Answer = fn(&mut State, &Request, &str) -> Reply;

/// A fake host. Clones share it.
#[derive(Clone)]
pub struct Api {
    state: Arc<Mutex<State>>,
    server: Arc<Server>,
}

#[derive(Default)]
pub struct State {
    requests: Vec<Request>,
    /// The replies to the next requests, instead of the proper ones. Requests for files are not affected.
    instead: VecDeque<Reply>,
    always: Option<Reply>,
    files: HashMap<String, Vec<u8>>,
    /// How many further polls report that the job is not done.
    polls: usize,
    /// The result of the job.
    output: Option<Value>,
    /// The host to name in result URLs, if not this one.
    elsewhere: Option<String>,
}

impl Api {
    fn start(answer: Answer) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, address) = (state.clone(), Arc::new(Mutex::new(String::new())));
        let own = address.clone();
        let server = Server::start(move |request| {
            let mut state = shared.lock().unwrap();
            state.requests.push(request.clone());
            let own = own.lock().unwrap().clone();
            if let Some(file) = state.files.get(request.path()) {
                return Reply::new(200, "image/png", file.clone());
            }
            match state.instead.pop_front().or_else(|| state.always.clone()) {
                Some(reply) => reply,
                None => answer(&mut state, request, &own),
            }
        });
        *address.lock().unwrap() = server.url();
        Self { state, server: Arc::new(server) }
    }

    pub fn deepai() -> Self {
        Self::start(deepai)
    }

    pub fn replicate() -> Self {
        Self::start(replicate)
    }

    pub fn cog() -> Self {
        Self::start(cog)
    }

    pub fn huggingface() -> Self {
        Self::start(huggingface)
    }

    pub fn openai() -> Self {
        Self::start(openai)
    }

    /// A host that sends only the replies that a test sets.
    pub fn blank() -> Self {
        Self::start(|_, _, _| Reply::new(404, "text/plain", "nothing"))
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// `HOST:PORT`.
    pub fn host(&self) -> String {
        self.url().replace("http://", "")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Sets the replies to the next requests, except those for files.
    pub fn next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state().instead.extend(replies);
    }

    /// Sets the reply to every following request, except those for files.
    pub fn always(&self, reply: Reply) {
        self.state().always = Some(reply);
    }

    /// Sets how many polls report that the job is not done.
    pub fn takes_polls(&self, polls: usize) {
        self.state().polls = polls;
    }

    /// Sets the host to name in result URLs.
    pub fn files_at(&self, url: &str) {
        self.state().elsewhere = Some(url.to_owned());
    }

    /// Adds a file.
    pub fn file(&self, path: &str, bytes: Vec<u8>) {
        self.state().files.insert(path.to_owned(), bytes);
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// Method and path of every request, in order.
    pub fn asked(&self) -> Vec<String> {
        self.requests().iter().map(|request| format!("{} {}", request.method, request.path())).collect()
    }

    pub fn count(&self, method: &str) -> usize {
        self.requests().iter().filter(|request| request.method == method).count()
    }
}

impl State {
    /// Stores a file and returns its address.
    fn keep(&mut self, bytes: Vec<u8>, folder: &str, own: &str) -> String {
        let path = format!("/{folder}/{:04}/output.png", self.files.len() + 1);
        self.files.insert(path.clone(), bytes);
        format!("{}{path}", self.elsewhere.as_deref().unwrap_or(own))
    }
}

pub fn json(status: u16, body: &Value) -> Reply {
    Reply::new(status, "application/json", body.to_string())
}

fn bearer(request: &Request) -> bool {
    request.header("Authorization") == Some(&format!("Bearer {KEY}"))
}

/// `POST /api/colorizer` with the header `api-key` and a form with `image`; the reply is `{"id", "output_url"}`.
fn deepai(state: &mut State, request: &Request, own: &str) -> Reply {
    if (request.method.as_str(), request.path()) != ("POST", "/api/colorizer") {
        return json(404, &json!({ "err": "no such route" }));
    }
    if request.header("api-key") != Some(KEY) {
        return json(401, &json!({ "status": format!("invalid api key {KEY}") }));
    }
    let image = match parts(request) {
        Ok(parts) if parts.len() == 1 && parts[0].name == "image" && parts[0].file_name.is_some() => {
            colored(&parts[0].body)
        }
        other => Err(format!("a form with a file `image` is needed, not {other:.60?}")),
    };
    match image {
        Ok(image) => {
            let url = state.keep(image, "job-view-file", own);
            json(200, &json!({ "id": "8a1e2f7c-0d2b-4d6e-9b0f-1f2a3b4c5d6e", "output_url": url }))
        }
        Err(why) => json(400, &json!({ "err": why })),
    }
}

/// `POST /v1/predictions`, then `GET urls.get` until the prediction is done; `POST urls.cancel` stops it.
fn replicate(state: &mut State, request: &Request, own: &str) -> Reply {
    if !bearer(request) {
        return json(401, &json!({ "title": "Unauthenticated", "detail": "You did not pass a valid token" }));
    }
    let id = "gm3qorzdhgbfurvjtvhg6dckhu";
    let one = format!("/v1/predictions/{id}");
    let prediction = |status: &str, output: &Value| {
        let mut body = json!({
            "id": id, "version": "ca494ba1", "status": status, "output": output, "error": null, "metrics": {},
            "urls": { "get": format!("{own}{one}"), "cancel": format!("{own}{one}/cancel") },
        });
        if status == "succeeded" {
            body["metrics"]["predict_time"] = json!(3.25);
        }
        body
    };
    match (request.method.as_str(), request.path()) {
        ("POST", "/v1/predictions") => {
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let waits = request.header("Prefer").is_some_and(|prefer| prefer.starts_with("wait"));
            let image = body["input"]["image"].as_str().ok_or("input.image is missing".to_owned());
            let image =
                image.and_then(|url| from_data_url(url, "image/jpeg")).and_then(|image| colored(&image));
            let image = match (image, body["version"].as_str()) {
                (Ok(image), Some(version)) if version.len() == 64 && version.starts_with("ca494ba1") => image,
                (Ok(_), _) => {
                    return json(
                        422,
                        &json!({ "title": "Invalid version", "detail": "The specified version does not exist" }),
                    );
                }
                (Err(why), _) => {
                    return json(422, &json!({ "title": "Input validation failed", "detail": why }));
                }
            };
            let output = json!(state.keep(image, "pbxt", own));
            if waits && state.polls == 0 {
                return json(201, &prediction("succeeded", &output));
            }
            state.output = Some(output);
            json(201, &prediction("starting", &Value::Null))
        }
        ("GET", path) if path == one => match state.polls.checked_sub(1) {
            Some(left) => {
                state.polls = left;
                json(200, &prediction("processing", &Value::Null))
            }
            None => json(200, &prediction("succeeded", &state.output.clone().unwrap_or_default())),
        },
        ("POST", path) if path == format!("{one}/cancel") => json(200, &prediction("canceled", &Value::Null)),
        _ => json(404, &json!({ "detail": "not found" })),
    }
}

/// `POST /predictions`; the output is a data URL.
fn cog(_: &mut State, request: &Request, _: &str) -> Reply {
    if (request.method.as_str(), request.path()) != ("POST", "/predictions") {
        return json(404, &json!({ "detail": "Not Found" }));
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let Some(image) = body["input"]["image"].as_str() else {
        return json(
            422,
            &json!({ "detail": [{ "loc": ["body", "input", "image"], "msg": "field required" }] }),
        );
    };
    match from_data_url(image, "image/png").and_then(|image| colored(&image)) {
        Ok(image) => {
            let output = format!("data:image/png;base64,{}", BASE64.encode(image));
            json(200, &json!({ "status": "succeeded", "output": output, "metrics": { "predict_time": 0.4 } }))
        }
        Err(why) => json(200, &json!({ "status": "failed", "error": why })),
    }
}

/// `POST /hf-inference/models/MODEL` with `inputs` in base64; the reply is the picture.
fn huggingface(_: &mut State, request: &Request, _: &str) -> Reply {
    if request.path() != "/hf-inference/models/black-forest-labs/FLUX.1-Kontext-dev" {
        return json(404, &json!({ "error": "Model not found" }));
    }
    if !bearer(request) {
        return json(401, &json!({ "error": "Invalid credentials in Authorization header" }));
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let inputs = BASE64.decode(body["inputs"].as_str().unwrap_or("?")).map_err(|error| error.to_string());
    match inputs.and_then(|image| colored(&image)) {
        Ok(image) if body["parameters"]["prompt"].is_string() => Reply::new(200, "image/png", image),
        Ok(_) => json(400, &json!({ "error": "parameters.prompt is missing" })),
        Err(why) => json(400, &json!({ "error": why })),
    }
}

/// `POST /v1/images/edits` with a form. The picture must have one of three sizes. The reply contains the picture in
/// base64 and a count of tokens.
fn openai(_: &mut State, request: &Request, _: &str) -> Reply {
    let failure = |status, message: &str| {
        json(status, &json!({ "error": { "message": message, "type": "invalid_request_error" } }))
    };
    if (request.method.as_str(), request.path()) != ("POST", "/v1/images/edits") {
        return failure(404, "Unknown request URL");
    }
    if !bearer(request) {
        return failure(401, &format!("Incorrect API key provided: {KEY}"));
    }
    let parts = match parts(request) {
        Ok(parts) => parts,
        Err(why) => return failure(400, &why),
    };
    let text = |name: &str| {
        let part = parts.iter().find(|part| part.name == name)?;
        String::from_utf8(part.body.clone()).ok()
    };
    let size = text("size").unwrap_or_default();
    if text("model").as_deref() != Some("gpt-image-1") || text("prompt").is_none() {
        return failure(400, "model and prompt are needed");
    }
    let Some(image) =
        parts.last().filter(|part| part.name == "image" && part.media_type.as_deref() == Some("image/png"))
    else {
        return failure(400, "the form must end with a PNG `image`");
    };
    let picture = match image::load_from_memory(&image.body) {
        Ok(picture) => picture,
        Err(error) => return failure(400, &error.to_string()),
    };
    if !["1024x1024", "1536x1024", "1024x1536"].contains(&size.as_str())
        || size != format!("{}x{}", picture.width(), picture.height())
    {
        return failure(400, &format!("Invalid size {size}"));
    }
    let image = BASE64.encode(colored(&image.body).unwrap());
    json(
        200,
        &json!({
            "created": 1_760_000_000,
            "data": [{ "b64_json": image }],
            "usage": {
                "input_tokens": 1080, "output_tokens": 1584, "total_tokens": 2664,
                "input_tokens_details": { "text_tokens": 56, "image_tokens": 1024 },
            },
        }),
    )
}

/// A reply that is sent after a delay.
pub fn slow(reply: Reply, seconds: u64) -> Reply {
    Reply { delay: Duration::from_secs(seconds), ..reply }
}
