//! A minimal client for WebDriver (W3C), and the browsers that it controls: Chromium and WebKit.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;
use ureq::http::Response;

use crate::harness::Answer;
use crate::harness::wait::until;
use crate::processes;

mod chromium;
mod webkit;

/// The key under which WebDriver returns an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Which browser a [`Browser`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Debian's Chromium without a display. Only Chromium has `cdp`, `log` and `drag`.
    Chromium,
    /// WebKitGTK's MiniBrowser, which shares Safari's engine, on a display of its own.
    WebKit,
}

/// A browser with one window and its own profile. Dropping it ends its processes.
pub struct Browser {
    pub engine: Engine,
    /// The driver, then the display if there is one.
    processes: Vec<Child>,
    agent: Agent,
    /// The address of the session.
    session: String,
    /// The folder of the browser's profile and, in `downloads`, of downloaded files.
    pub folder: TempDir,
}

impl Browser {
    /// Starts Chromium.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (driver, port) = chromium::start_driver();
        let browser = Self::connect(
            Engine::Chromium,
            vec![driver],
            port,
            chromium::capabilities(&folder.path().join("profile")),
            folder,
        );
        let downloads = browser.downloaded("");
        browser.cdp(
            "Browser.setDownloadBehavior",
            json!({"behavior": "allow", "downloadPath": downloads, "eventsEnabled": false}),
        );
        // Leaves the start page of a new window and drops the log of its requests.
        browser.open("about:blank");
        for log in ["performance", "browser"] {
            browser.log(log);
        }
        browser
    }

    /// Starts WebKit.
    pub fn webkit() -> Self {
        let folder = tempfile::tempdir().unwrap();
        webkit::set_download_folder(folder.path());
        let (display, number) = webkit::start_display();
        let (driver, port) = webkit::start_driver(folder.path(), &number);
        Self::connect(Engine::WebKit, vec![driver, display], port, webkit::capabilities(), folder)
    }

    /// Creates a session of the driver, which starts the browser.
    fn connect(
        engine: Engine,
        processes: Vec<Child>,
        port: u16,
        capabilities: Value,
        folder: TempDir,
    ) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(120)))
            .build()
            .into();
        let session = format!("http://127.0.0.1:{port}");
        let mut browser = Self { engine, processes, agent, session, folder };
        let created = browser.post("/session", json!({"capabilities": {"alwaysMatch": capabilities}}));
        browser.session = format!("{}/session/{}", browser.session, created["sessionId"].as_str().unwrap());
        browser
    }

    #[track_caller]
    fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.session);
        let request = self.agent.post(&url).header("Content-Type", "application/json");
        value(request.send(body.to_string()), &format!("{path} {body}"))
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        value(self.agent.get(format!("{}{path}", self.session)).call(), path)
    }

    /// Runs a command of the Chrome DevTools Protocol and returns its result. Only for Chromium.
    #[track_caller]
    pub fn cdp(&self, command: &str, parameters: Value) -> Value {
        assert_eq!(self.engine, Engine::Chromium, "{command} is a command of Chromium");
        self.post("/goog/cdp/execute", json!({"cmd": command, "params": parameters}))
    }

    #[track_caller]
    pub fn open(&self, url: &str) {
        self.post("/url", json!({"url": url}));
        if self.engine == Engine::WebKit {
            self.run(webkit::RECORDER);
        }
    }

    /// Runs JavaScript in the page.
    #[track_caller]
    pub fn run(&self, script: &str) {
        self.post("/execute/sync", json!({"script": script, "args": []}));
    }

    /// The value of a JavaScript expression in the page.
    #[track_caller]
    pub fn value(&self, expression: &str) -> Value {
        self.post("/execute/sync", json!({"script": format!("return {expression};"), "args": []}))
    }

    #[track_caller]
    fn element(&self, selector: &str) -> String {
        let found = self.post("/element", json!({"using": "css selector", "value": selector}));
        format!("/element/{}", found[ELEMENT].as_str().unwrap())
    }

    #[track_caller]
    pub fn click(&self, selector: &str) {
        self.post(&format!("{}/click", self.element(selector)), json!({}));
    }

    /// Types into an element. A file field takes a path; with the attribute `multiple`, it takes several, one per line.
    #[track_caller]
    pub fn type_into(&self, selector: &str, text: &str) {
        self.post(&format!("{}/value", self.element(selector)), json!({"text": text}));
    }

    /// Presses a key while Ctrl is held.
    #[track_caller]
    pub fn press_with_ctrl(&self, key: &str) {
        const CTRL: &str = "\u{e009}";
        let strokes = [("keyDown", CTRL), ("keyDown", key), ("keyUp", key), ("keyUp", CTRL)];
        let actions = strokes.map(|(kind, value)| json!({"type": kind, "value": value}));
        self.post("/actions", json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}));
    }

    /// Presses keys one after another in the focused element.
    #[track_caller]
    pub fn press(&self, keys: &[Key]) {
        let actions: Vec<Value> = keys
            .iter()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.code()})))
            .collect();
        self.post("/actions", json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}));
    }

    /// Drags a file over a point of the window, and drops it there if `drop` is true. Only for Chromium.
    #[track_caller]
    pub fn drag(&self, file: &Path, (x, y): (u32, u32), drop: bool) {
        let data = json!({"items": [], "files": [file], "dragOperationsMask": 1});
        let steps: &[&str] = if drop { &["drop"] } else { &["dragEnter", "dragOver"] };
        for step in steps {
            self.cdp("Input.dispatchDragEvent", json!({"type": step, "x": x, "y": y, "data": data}));
        }
    }

    /// Sets the size of the window's content in CSS pixels. Only for WebKit; see `Page::window` for Chromium.
    #[track_caller]
    pub fn resize(&self, width: u32, height: u32) {
        let size =
            || -> [i64; 2] { serde_json::from_value(self.value("[innerWidth, innerHeight]")).unwrap() };
        let wanted = [i64::from(width), i64::from(height)];
        let mut outer = wanted;
        // The first call shows how much larger the window is than its content.
        for _ in 0..2 {
            self.post("/window/rect", json!({"x": 0, "y": 0, "width": outer[0], "height": outer[1]}));
            let inner = size();
            outer = [0, 1].map(|side| outer[side] + wanted[side] - inner[side]);
        }
        until("the window has its new size", || size() == wanted);
    }

    /// The path of a file that the browser saves under this name.
    pub fn downloaded(&self, name: &str) -> PathBuf {
        self.folder.path().join("downloads").join(name)
    }

    /// A screenshot of the window: WebP with this quality (only for Chromium), or PNG for `None`.
    pub fn screenshot(&self, webp_quality: Option<u8>) -> Vec<u8> {
        let data = match self.engine {
            Engine::Chromium => self.capture(webp_quality),
            Engine::WebKit => self.get("/screenshot"),
        };
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.decode(data.as_str().unwrap()).unwrap()
    }

    fn capture(&self, webp_quality: Option<u8>) -> Value {
        // In the background, Chromium sometimes draws no frame of an idle page, so the capture would wait.
        self.cdp("Page.bringToFront", json!({}));
        let wanted = match webp_quality {
            Some(quality) => json!({"format": "webp", "quality": quality}),
            None => json!({"format": "png"}),
        };
        self.cdp("Page.captureScreenshot", wanted)["data"].take()
    }

    /// The messages on the console since the last call. WebKit's driver has no log, so for WebKit these are the warnings
    /// and errors since the page was loaded with [`Browser::open`].
    #[track_caller]
    pub fn console(&self) -> Vec<String> {
        match self.engine {
            Engine::Chromium => {
                let entries = self.log("browser");
                entries.iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
            }
            Engine::WebKit => serde_json::from_value(self.value(webkit::RECORDED)).unwrap(),
        }
    }

    /// The URLs requested since the last call. For WebKit these are the requests of the current page, without the page
    /// itself.
    #[track_caller]
    pub fn requests(&self) -> Vec<String> {
        match self.engine {
            Engine::Chromium => {
                let entries = self.log("performance");
                entries.iter().filter_map(chromium::requested).collect()
            }
            Engine::WebKit => serde_json::from_value(self.value(webkit::REQUESTED)).unwrap(),
        }
    }

    /// The size of JavaScript's heap after garbage collection, in bytes, with the content of array buffers. Blobs and
    /// decoded pictures are elsewhere, see [`Browser::memory`]. Only for Chromium.
    #[track_caller]
    pub fn heap(&self) -> u64 {
        // The first collection may only queue finalizers of objects that the second one frees.
        for _ in 0..2 {
            self.cdp("HeapProfiler.collectGarbage", json!({}));
        }
        let usage = self.cdp("Runtime.getHeapUsage", json!({}));
        let bytes = |name: &str| usage[name].as_f64().unwrap_or(0.0) as u64;
        bytes("usedSize") + bytes("embedderHeapUsedSize") + bytes("backingStorageSize")
    }

    /// The memory of the browser's processes.
    pub fn memory(&self) -> processes::Memory {
        processes::memory(self.processes[0].id())
    }

    /// Log entries since the last call: `browser` is the console, `performance` the network. Only for Chromium.
    #[track_caller]
    pub fn log(&self, kind: &str) -> Vec<Value> {
        assert_eq!(self.engine, Engine::Chromium, "only Chromium's driver has logs");
        self.post("/se/log", json!({"type": kind})).as_array().unwrap().clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser, which would outlive the driver. Fails harmlessly if the browser has already ended.
        let _ = self.agent.delete(&self.session).call();
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The value in a response of the driver.
#[track_caller]
fn value(response: Result<Response<ureq::Body>, ureq::Error>, what: &str) -> Value {
    let answer = Answer::new(response.expect("a response of the driver"));
    let mut value = answer.json();
    assert_eq!(answer.status, 200, "{what}: {value}");
    value["value"].take()
}

/// A key, with WebDriver's code for it.
#[derive(Clone, Copy, Debug)]
pub enum Key {
    Tab,
    Enter,
    Space,
    Right,
}

impl Key {
    fn code(self) -> &'static str {
        match self {
            Self::Tab => "\u{e004}",
            Self::Enter => "\u{e007}",
            Self::Space => " ",
            Self::Right => "\u{e014}",
        }
    }
}

/// Finds the path of a program in PATH, because drivers do not search PATH.
pub fn program(name: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("there is no {name}; tests/run installs it")).display().to_string()
}

/// Starts a program whose output `read` searches for a value, for example its port. `None` if the program ends first.
fn start_and_read<T>(command: &mut Command, read: impl Fn(&str) -> Option<T>) -> Option<(Child, T)> {
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = started.unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs it"));
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let found = output.by_ref().lines().find_map(|line| read(&line.unwrap()));
    let Some(found) = found else {
        child.wait().unwrap();
        return None;
    };
    // Drains the pipe, which would otherwise fill.
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    Some((child, found))
}
