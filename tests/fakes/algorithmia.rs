//! A fake host for Algorithmia's protocol, written from its clients and documents of 2016 to 2022:
//! `POST /v1/algo/OWNER/NAME/VERSION`, and result files under `/v1/data/` and `/v1/connector/data/`.
//! It really colours the image that it receives, with a tint that preserves luminance, and misbehaves as
//! a test requests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use image::DynamicImage;
use serde_json::{Value, json};

use super::KEY;
use super::http::{Reply, Request, Server};
use super::picture::{gzip_of_zeros, png, tinted};

/// How the host answers a call.
#[derive(Clone, Debug)]
pub enum Behavior {
    /// Colours the image.
    Color,
    /// Colours the image and answers after this time.
    Slow(Duration),
    /// Colours the image and puts this text into `metadata.alerts`.
    Alerts(Vec<&'static str>),
    /// An error envelope with status 200: message and `error_type`.
    Envelope(&'static str, Option<&'static str>),
    /// An error envelope with this status, and `Retry-After` if given.
    Status(u16, &'static str, Option<&'static str>),
    /// Plain text without an envelope, as from a proxy.
    PlainText(u16),
    /// Reads the request and closes the connection.
    HangUp,
    /// Closes the connection in the middle of the response.
    CutAnswer,
    /// Sends the response head and then nothing for this time.
    Stalled(Duration),
    /// Sends this JSON, which is not a response of the protocol.
    Odd(Value),
    /// Redirects the call.
    Redirect(String),
    /// Colours the image and returns this address for the result.
    Output(String),
    /// Colours the image and serves a wrong result file.
    File(File),
}

/// Faults of a result file.
#[derive(Clone, Debug)]
pub enum File {
    /// The grey image as received.
    Gray,
    /// An image of another shape.
    WrongShape,
    /// A different image of the same shape.
    OtherPicture,
    /// Text instead of an image.
    NotAnImage,
    /// The first half of the image, with a `Content-Length` that matches that half.
    Truncated,
    /// The first half, then a broken connection.
    Cut,
    /// A `Content-Length` of a gigabyte.
    Oversized,
    /// An endless body.
    Endless,
    /// 64 MiB of zeros, compressed to a few KiB of gzip.
    GzipBomb,
    /// A redirect to another host.
    Redirect(String),
    /// 404.
    Missing,
}

/// The fake host. Clones share it.
#[derive(Clone)]
pub struct Algorithmia {
    state: Arc<Mutex<State>>,
    server: Arc<Server>,
}

#[derive(Default)]
struct State {
    script: VecDeque<Behavior>,
    usual: Option<Behavior>,
    duration: f64,
    held: bool,
    files: HashMap<String, Reply>,
    requests: Vec<Request>,
}

impl Algorithmia {
    /// A host that colours and reports a duration of 1.4 seconds.
    pub fn start() -> Self {
        let state = State::new();
        Self { server: Arc::new(Server::start(State::answers(&state))), state }
    }

    /// Like `start`, with TLS; also returns the host's certificate authority as PEM.
    pub fn start_tls() -> (Self, String) {
        let state = State::new();
        let (server, authority) = Server::start_tls(State::answers(&state));
        (Self { server: Arc::new(server), state }, authority)
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Sets the behaviour of all following calls.
    pub fn always(&self, behavior: Behavior) {
        lock(&self.state).usual = Some(behavior);
    }

    /// Sets the behaviour of the next calls, in order; later calls behave as before.
    pub fn next(&self, behaviors: impl IntoIterator<Item = Behavior>) {
        lock(&self.state).script.extend(behaviors);
    }

    /// Sets whether every response is held back.
    pub fn hold(&self, held: bool) {
        lock(&self.state).held = held;
    }

    /// Sets the reported duration of a call, in seconds.
    pub fn takes(&self, seconds: f64) {
        lock(&self.state).duration = seconds;
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.state).requests.clone()
    }

    /// The last call of an algorithm.
    pub fn last_call(&self) -> Request {
        lock(&self.state).requests.iter().rfind(|request| request.method == "POST").unwrap().clone()
    }

    /// The number of calls of an algorithm.
    pub fn calls(&self) -> usize {
        lock(&self.state).requests.iter().filter(|request| request.method == "POST").count()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap()
}

impl State {
    fn new() -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { duration: 1.4, ..Self::default() }))
    }

    /// Chooses the behaviour under the lock. Delays happen in the connection's own thread.
    #[allow(clippy::disallowed_methods)]
    fn answers(state: &Arc<Mutex<Self>>) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
        let state = state.clone();
        move |request| {
            let reply = lock(&state).answer(request);
            while lock(&state).held {
                std::thread::sleep(Duration::from_millis(5));
            }
            reply
        }
    }

    fn answer(&mut self, request: &Request) -> Reply {
        self.requests.push(request.clone());
        // If the base address ends with a slash, the path begins with two slashes.
        let path = request.path().replacen("//", "/", 1);
        let path = path.trim_end_matches('/');
        if !authorized(request) {
            return failure(401, "authorization required", None)
                .with("X-Error-Message", "authorization required");
        }
        if let Some(algorithm) = path.strip_prefix("/v1/algo/") {
            return match request.method.as_str() {
                "POST" => self.call(algorithm, request),
                _ => failure(405, "only POST calls an algorithm", None),
            };
        }
        let file = path.strip_prefix("/v1/data/").or_else(|| path.strip_prefix("/v1/connector/data/"));
        match file {
            Some(file) => self.file(&file.replace("%2F", "/")),
            None => failure(404, "no such route", None),
        }
    }

    fn call(&mut self, algorithm: &str, request: &Request) -> Reply {
        let parts: Vec<&str> = algorithm.split('/').collect();
        if !matches!(
            parts.as_slice(),
            ["deeplearning", "ColorfulImageColorization"] | ["deeplearning", "ColorfulImageColorization", _]
        ) {
            return failure(404, &format!("algorithm algo://{algorithm} not found"), None);
        }
        if request.body.len() > 10 << 20 {
            return failure(413, "the request is larger than 10 MiB", None);
        }
        let behavior = self.script.pop_front().or_else(|| self.usual.clone()).unwrap_or(Behavior::Color);
        let picture = match picture(request) {
            Ok(picture) => picture,
            Err(why) => return failure(200, &why, Some("InputError")),
        };
        let colored = png(&tinted(&picture));
        match behavior {
            Behavior::Color => self.success(file(colored), &[]),
            Behavior::Slow(delay) => Reply { delay, ..self.success(file(colored), &[]) },
            Behavior::Alerts(alerts) => self.success(file(colored), &alerts),
            Behavior::Envelope(message, kind) => failure(200, message, kind),
            Behavior::Status(status, message, after) => {
                // Real hosts have repeated the key in their response.
                let said = request.header("Authorization").unwrap_or_default();
                let reply = failure(status, &format!("{message}, you sent {said}"), None);
                after.map_or(reply.clone(), |seconds| reply.with("Retry-After", seconds))
            }
            Behavior::PlainText(status) => {
                // A proxy's error page may show anything, including request headers.
                Reply::new(status, "text/html", format!("<h1>{status}</h1><pre>Authorization: {KEY}</pre>"))
            }
            Behavior::HangUp => Reply { hang_up: true, ..Reply::default() },
            Behavior::CutAnswer => {
                let mut reply = self.success(file(colored), &[]);
                reply.promised = Some(reply.body.len());
                reply.body.truncate(reply.body.len() / 2);
                reply
            }
            Behavior::Stalled(pause) => Reply { pause, ..self.success(file(colored), &[]) },
            Behavior::Odd(answer) => Reply::new(200, "application/json", answer.to_string()),
            Behavior::Redirect(location) => Reply::new(307, "text/plain", "").with("Location", location),
            Behavior::Output(uri) => self.result(&uri, &[]),
            Behavior::File(wrong) => self.success(wrong_file(wrong, &picture, colored), &[]),
        }
    }

    /// Stores the file under a new name and responds with its address.
    fn success(&mut self, file: Reply, alerts: &[&str]) -> Reply {
        let name = format!("{:08x}.png", self.files.len() + 1);
        let path = format!(".algo/deeplearning/ColorfulImageColorization/temp/{name}");
        self.files.insert(path.clone(), file);
        self.result(&format!("data://{path}"), alerts)
    }

    fn result(&self, output: &str, alerts: &[&str]) -> Reply {
        let mut answer = json!({
            "result": { "output": output },
            "metadata": { "content_type": "json", "duration": self.duration },
        });
        if !alerts.is_empty() {
            answer["metadata"]["alerts"] = json!(alerts);
        }
        Reply::new(200, "application/json; charset=utf-8", answer.to_string())
    }

    fn file(&self, path: &str) -> Reply {
        let missing = || failure(404, "file not found", None).with("X-Error-Message", "file not found");
        self.files.get(path).cloned().unwrap_or_else(missing)
    }
}

fn authorized(request: &Request) -> bool {
    let said = request.header("Authorization").unwrap_or_default();
    let bare = ["Simple ", "Bearer "].iter().find_map(|scheme| said.strip_prefix(scheme)).unwrap_or(said);
    bare == KEY
}

fn failure(status: u16, message: &str, kind: Option<&str>) -> Reply {
    let mut error = json!({ "message": message });
    if let Some(kind) = kind {
        error["error_type"] = json!(kind);
    }
    let envelope = json!({ "error": error, "metadata": { "duration": 0.0 } });
    Reply::new(status, "application/json; charset=utf-8", envelope.to_string())
}

fn file(bytes: Vec<u8>) -> Reply {
    Reply::new(200, "image/png", bytes).with("X-Data-Type", "file")
}

fn wrong_file(wrong: File, picture: &DynamicImage, colored: Vec<u8>) -> Reply {
    let (width, height) = (picture.width(), picture.height());
    let half = colored.len() / 2;
    match wrong {
        File::Gray => file(png(picture)),
        File::WrongShape => {
            file(png(&tinted(&picture.resize_exact(height + 80, width + 20, image::imageops::Triangle))))
        }
        File::OtherPicture => file(png(&tinted(&picture.rotate180()))),
        File::NotAnImage => file(b"This is not the picture you are looking for.".to_vec()),
        File::Truncated => file(colored[..half].to_vec()),
        File::Cut => Reply { promised: Some(colored.len()), ..file(colored[..half].to_vec()) },
        File::Oversized => Reply { promised: Some(1 << 30), ..file(colored) },
        File::Endless => Reply { endless: true, ..file(colored) },
        File::GzipBomb => file(gzip_of_zeros(64 << 20)).with("Content-Encoding", "gzip"),
        File::Redirect(location) => Reply::new(302, "text/plain", "").with("Location", location),
        File::Missing => failure(404, "file not found", None).with("X-Error-Message", "file not found"),
    }
}

/// The image of a call: `{"image": "data:image/...;base64,..."}`.
fn picture(request: &Request) -> Result<DynamicImage, String> {
    let input: Value = serde_json::from_slice(&request.body).map_err(|_| "the input is not JSON")?;
    let url = input["image"].as_str().ok_or("the input has no `image`")?;
    let data = url.strip_prefix("data:image/").and_then(|rest| rest.split_once(";base64,"));
    let (_, data) = data.ok_or("`image` is no data URL")?;
    let bytes = BASE64.decode(data).map_err(|_| "`image` is not base64")?;
    image::load_from_memory(&bytes).map_err(|error| error.to_string())
}
