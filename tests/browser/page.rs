//! A gateway with its page open in a browser, and the actions that tests perform on the page.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::driver::{Browser, Engine};
use crate::harness::wait::within;
use crate::harness::{Picture, Server, Setup};

/// Time-out for each event that a test waits for, long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The open page.
pub struct Page {
    pub browser: Browser,
    pub server: Server,
    /// The page's URL without the path.
    origin: String,
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
        let page = Self::start(setup, Browser::start());
        prepare(&page);
        page.visit();
        page
    }

    /// Like [`Page::of`], in WebKit.
    pub fn webkit(setup: Setup) -> Self {
        let page = Self::start(setup, Browser::webkit());
        page.visit();
        page
    }

    /// Like [`Page::of`], as `http://photos.example:PORT`. Browsers do not trust this origin as they trust HTTPS and
    /// 127.0.0.1: it is no secure context, so it has no `crypto.subtle`, service worker or clipboard.
    pub fn by_name(setup: Setup) -> Self {
        let setup = setup.env("PIXCOLOR_HOSTS", r#"["127.0.0.1", "photos.example"]"#);
        let mut page = Self::start(setup, Browser::start());
        page.origin = format!("http://photos.example:{}", page.server.address.port());
        page.visit();
        page
    }

    fn start(setup: Setup, browser: Browser) -> Self {
        let files = tempfile::tempdir().unwrap();
        let server = setup.start();
        let page = Self { browser, origin: server.url(""), server, files };
        page.window(1280, 900);
        page
    }

    /// Opens the page, or opens it again.
    #[track_caller]
    pub fn visit(&self) {
        self.browser.open(&format!("{}/", self.origin));
    }

    /// Sets the size of the window in CSS pixels. Below a width of 600 the browser emulates a phone with a pixel ratio
    /// of 2, in Chromium.
    #[track_caller]
    pub fn window(&self, width: u32, height: u32) {
        if self.browser.engine == Engine::WebKit {
            self.browser.resize(width, height);
            return;
        }
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

    /// Chooses several files at once. The field must have the attribute `multiple`.
    #[track_caller]
    pub fn choose_many(&self, paths: &[PathBuf]) {
        let paths: Vec<_> = paths.iter().map(|path| path.to_str().unwrap()).collect();
        self.browser.type_into("#file", &paths.join("\n"));
    }

    /// Chooses a picture of this name.
    #[track_caller]
    pub fn choose_picture(&self, name: &str, picture: &Picture) {
        self.choose(&self.file(name, &picture.bytes));
    }

    /// Disconnects the browser from the network, or connects it again. Only for Chromium.
    #[track_caller]
    pub fn offline(&self, offline: bool) {
        let network =
            json!({"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.browser.cdp("Network.enable", json!({}));
        self.browser.cdp("Network.emulateNetworkConditions", network);
        self.until(&format!("navigator.onLine === {}", !offline));
    }

    /// Stops the gateway, if it still runs, and starts it again at the same address with the same folder.
    #[track_caller]
    pub fn restart_server(&mut self) {
        self.server.restart();
    }

    /// The size of JavaScript's heap after garbage collection, see [`Browser::heap`]. Only for Chromium.
    #[track_caller]
    pub fn heap_bytes(&self) -> u64 {
        self.browser.heap()
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
        let mut paths = Vec::new();
        for url in self.browser.requests() {
            match url.strip_prefix(&self.origin) {
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
        for message in self.browser.console() {
            assert!(expected.iter().any(|part| message.contains(part)), "on the console: {message}");
        }
        self.requests();
    }
}
