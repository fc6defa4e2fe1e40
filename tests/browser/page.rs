//! A gateway with its page open in a browser, and the actions that tests perform on the page.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::driver::Browser;
use crate::harness::wait::within;
use crate::harness::{Picture, Server, Setup};

/// Time-out for each event that a test waits for, long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The open page.
pub struct Page {
    pub browser: Browser,
    pub server: Server,
    files: tempfile::TempDir,
}

impl Page {
    /// Opens the page of a gateway with default settings, in a window of 1280 by 900.
    pub fn open() -> Self {
        Self::of(Setup::new())
    }

    /// Opens the page of a gateway with these settings.
    pub fn of(setup: Setup) -> Self {
        Self::prepared(setup, |_| ())
    }

    /// Like [`Page::of`]; calls `prepare` before the browser opens the page.
    pub fn prepared(setup: Setup, prepare: impl FnOnce(&Self)) -> Self {
        let files = tempfile::tempdir().unwrap();
        let page = Self { server: setup.start(), browser: Browser::start(), files };
        page.window(1280, 900);
        prepare(&page);
        page.browser.open(&page.server.url("/"));
        page
    }

    /// Sets the size of the window in CSS pixels. Below a width of 600 the browser emulates a phone with a pixel ratio
    /// of 2.
    pub fn window(&self, width: u32, height: u32) {
        let phone = width < 600;
        let metrics = json!({
            "width": width, "height": height, "mobile": phone, "deviceScaleFactor": if phone { 2 } else { 1 },
        });
        self.browser.cdp("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Sets a media feature, such as `prefers-color-scheme`.
    pub fn prefers(&self, feature: &str, value: &str) {
        let features = json!({"features": [{"name": feature, "value": value}]});
        self.browser.cdp("Emulation.setEmulatedMedia", features);
    }

    /// Creates a file with this content.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.files.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Chooses a file in the page's file field.
    #[track_caller]
    pub fn choose(&self, path: &Path) {
        self.browser.type_into("#file", path.to_str().unwrap());
    }

    /// Chooses a picture of this name.
    #[track_caller]
    pub fn choose_picture(&self, name: &str, picture: &Picture) {
        self.choose(&self.file(name, &picture.bytes));
    }

    /// Waits until a JavaScript expression is true.
    #[track_caller]
    pub fn until(&self, expression: &str) {
        // While the page loads, an element may not have its text yet.
        let whole = format!("document.readyState === 'complete' && !!({expression})");
        let failed = || {
            self.shot("failed");
            format!("{expression}; the page says {:?}", self.text("main"))
        };
        within(PATIENCE, failed, || self.browser.value(&whole) == true);
    }

    /// Waits until the photograph is coloured and both pictures are shown.
    #[track_caller]
    pub fn until_done(&self) {
        self.until("['done', 'failed'].includes(lab.dataset.phase)");
        assert_eq!(self.phase(), "done", "{}", self.text("main"));
        self.until("result.complete && result.naturalWidth > 0");
    }

    /// Waits until the page shows a problem, and returns its text.
    #[track_caller]
    pub fn until_failed(&self) -> String {
        self.until("['done', 'failed'].includes(lab.dataset.phase)");
        assert_eq!(self.phase(), "failed", "{}", self.text("main"));
        self.text("#problem")
    }

    /// Waits until the page shows the price, and returns its text.
    #[track_caller]
    pub fn until_offered(&self) -> String {
        self.until("['offered', 'done', 'failed'].includes(lab.dataset.phase)");
        assert_eq!(self.phase(), "offered", "{}", self.text("main"));
        self.text("#offer")
    }

    pub fn phase(&self) -> String {
        self.string("lab.dataset.phase")
    }

    /// The visible text of an element.
    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        self.string(&format!("document.querySelector({}).innerText", json!(selector)))
    }

    /// Whether an element is visible.
    #[track_caller]
    pub fn is_seen(&self, selector: &str) -> bool {
        let expression = format!("document.querySelector({}).checkVisibility()", json!(selector));
        self.browser.value(&expression) == true
    }

    #[track_caller]
    pub fn string(&self, expression: &str) -> String {
        self.browser
            .value(expression)
            .as_str()
            .unwrap_or_else(|| panic!("{expression} is not a string"))
            .to_owned()
    }

    #[track_caller]
    pub fn number(&self, expression: &str) -> f64 {
        self.browser.value(expression).as_f64().unwrap_or_else(|| panic!("{expression} is not a number"))
    }

    /// How colourful an image of the page is: mean distance between the largest and the smallest channel,
    /// in 8-bit levels.
    #[track_caller]
    pub fn colorfulness(&self, image: &str) -> f64 {
        self.number(&format!(
            "(() => {{
                const canvas = new OffscreenCanvas(64, 64).getContext('2d');
                canvas.drawImage({image}, 0, 0, 64, 64);
                const {{ data }} = canvas.getImageData(0, 0, 64, 64);
                let sum = 0;
                for (let i = 0; i < data.length; i += 4) {{
                    const pixel = data.slice(i, i + 3);
                    sum += Math.max(...pixel) - Math.min(...pixel);
                }}
                return sum / (64 * 64);
            }})()"
        ))
    }

    /// The position of an element in the window: left, top, right, bottom.
    #[track_caller]
    pub fn place(&self, selector: &str) -> [f64; 4] {
        let of = format!("document.querySelector({}).getBoundingClientRect()", json!(selector));
        ["left", "top", "right", "bottom"].map(|side| self.number(&format!("{of}.{side}")))
    }

    /// Waits until all finite animations have ended.
    #[track_caller]
    pub fn until_still(&self) {
        self.until("document.getAnimations().every((a) => a.effect.getTiming().iterations === Infinity || a.playState !== 'running')");
    }

    /// Saves a screenshot if `PIXCOLOR_TEST_OUTPUT` is set.
    pub fn shot(&self, name: &str) {
        let Some(folder) = std::env::var_os("PIXCOLOR_TEST_OUTPUT") else { return };
        self.until_still();
        std::fs::create_dir_all(&folder).unwrap();
        let file = Path::new(&folder).join(format!("page-{name}.png"));
        std::fs::write(file, self.browser.screenshot(None)).unwrap();
    }

    /// The paths requested since the last call. Panics if a request went to another server.
    #[track_caller]
    pub fn requests(&self) -> Vec<String> {
        let origin = self.server.url("");
        let mut paths = Vec::new();
        for entry in self.browser.log("performance") {
            let event: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            if event["message"]["method"] != "Network.requestWillBeSent" {
                continue;
            }
            let url = event["message"]["params"]["request"]["url"].as_str().unwrap();
            match url.strip_prefix(&origin) {
                Some(path) => paths.push(path.to_owned()),
                None => assert!(url.starts_with("data:") || url.starts_with("blob:"), "requested {url}"),
            }
        }
        paths
    }

    /// Checks the console and the requests at the end of a test: each console message must contain one of `expected`,
    /// and every request must have gone to the gateway.
    #[track_caller]
    pub fn finish(self, expected: &[&str]) {
        for entry in self.browser.log("browser") {
            let message = entry["message"].as_str().unwrap();
            assert!(expected.iter().any(|part| message.contains(part)), "on the console: {message}");
        }
        self.requests();
    }
}
