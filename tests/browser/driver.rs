//! A minimal client for WebDriver (W3C) and the extensions of Chromium's driver.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use crate::harness::Answer;

/// The key under which WebDriver returns an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A Chromium with one window and its own profile. Dropping it ends the process.
pub struct Browser {
    driver: Child,
    agent: Agent,
    /// The address of the session.
    session: String,
    /// The folder of the browser's profile and, in `downloads`, of downloaded files.
    pub folder: TempDir,
}

impl Browser {
    pub fn start() -> Self {
        // Chromedriver exits if its port is free for IPv4 but in use for IPv6, or the other way round.
        let started = (0..5).find_map(|_| start_driver());
        let (driver, port) = started.expect("chromedriver prints its port");

        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(120)))
            .build()
            .into();
        let folder = tempfile::tempdir().unwrap();
        let session = format!("http://127.0.0.1:{port}");
        let mut browser = Self { driver, agent, session, folder };
        let profile = browser.folder.path().join("profile");
        let options = json!({
            "binary": program("chromium"),
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-dev-shm-usage", "--force-color-profile=srgb", "--lang=en-GB",
                // Two host names resolve to this machine; all others do not resolve.
                "--host-resolver-rules=MAP photos.example 127.0.0.1, MAP evil.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                format!("--user-data-dir={}", profile.display()),
            ],
        });
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let id = browser.post("/session", wanted)["sessionId"].as_str().unwrap().to_owned();
        browser.session = format!("{}/session/{id}", browser.session);
        let downloads = browser.folder.path().join("downloads");
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

    #[track_caller]
    fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.session);
        let request = self.agent.post(&url).header("Content-Type", "application/json");
        let answer = Answer::new(request.send(body.to_string()).expect("a response of the driver"));
        let mut value = answer.json();
        assert_eq!(answer.status, 200, "{path} {body}: {value}");
        value["value"].take()
    }

    /// Runs a command of the Chrome DevTools Protocol and returns its result.
    #[track_caller]
    pub fn cdp(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", json!({"cmd": command, "params": parameters}))
    }

    #[track_caller]
    pub fn open(&self, url: &str) {
        self.post("/url", json!({"url": url}));
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

    /// Types into an element; a file field takes a path.
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

    /// Drags a file over a point of the window, and drops it there if `drop` is true.
    #[track_caller]
    pub fn drag(&self, file: &Path, (x, y): (u32, u32), drop: bool) {
        let data = json!({"items": [], "files": [file], "dragOperationsMask": 1});
        let steps: &[&str] = if drop { &["drop"] } else { &["dragEnter", "dragOver"] };
        for step in steps {
            self.cdp("Input.dispatchDragEvent", json!({"type": step, "x": x, "y": y, "data": data}));
        }
    }

    /// A screenshot of the window: WebP with this quality, or PNG for `None`.
    pub fn screenshot(&self, webp_quality: Option<u8>) -> Vec<u8> {
        use base64::Engine;
        // In the background, Chromium sometimes draws no frame of an idle page, so the capture would wait.
        self.cdp("Page.bringToFront", json!({}));
        let wanted = match webp_quality {
            Some(quality) => json!({"format": "webp", "quality": quality}),
            None => json!({"format": "png"}),
        };
        let shot = self.cdp("Page.captureScreenshot", wanted);
        base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }

    /// Log entries since the last call: `browser` is the console, `performance` the network.
    #[track_caller]
    pub fn log(&self, kind: &str) -> Vec<Value> {
        self.post("/se/log", json!({"type": kind})).as_array().unwrap().clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium, which would outlive the driver. Fails harmlessly if Chromium has already ended.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
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

/// Finds the path of a program in PATH, because the driver does not search PATH.
fn program(name: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("there is no {name}; tests/run installs it")).display().to_string()
}

/// Starts chromedriver and returns its process and port; `None` if it exits before it listens.
fn start_driver() -> Option<(Child, String)> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("chromedriver: {error}; tests/run installs it"));
    let mut said = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = said.by_ref().find_map(|line| {
        let line = line.unwrap();
        let (_, port) = line.split_once("successfully on port ")?;
        Some(port.trim_end_matches('.').to_owned())
    });
    let Some(port) = port else {
        driver.wait().unwrap();
        return None;
    };
    // Drains the pipe, which would otherwise fill.
    std::thread::spawn(move || said.for_each(drop));
    Some((driver, port))
}
