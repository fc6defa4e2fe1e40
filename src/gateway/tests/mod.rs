//! The path of a request with fake providers, which count their calls and can be slow or fail.

#![allow(clippy::float_cmp, reason = "counters are whole, or multiples of a half")]

mod codecs;
mod flights;
mod options;
mod reuse;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::*;
use crate::config::{Config, ConfigSource};
use crate::credit::{Budget, BudgetScope, Credits, Price, Usage, Window};
use crate::observe::LedgerSnapshot;
use crate::photo::{self, Chroma, EncodeOptions, Gray, OutputFormat, Photo};
use crate::provider::{
    Call, FailureKind, Provider, ProviderColor, ProviderError, ProviderInfo, ProviderResponse, Readiness,
    Trace,
};

/// A provider that returns one colour for the whole picture, for 1.5 credits a call.
struct FakeProvider {
    about: ProviderInfo,
    color: f32,
    calls: AtomicUsize,
    ready: AtomicBool,
    delay: Duration,
    then: Mutex<FakeOutcome>,
    dying: AtomicBool,
}

/// What the fake does when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FakeOutcome {
    Colors,
    /// Returns the grey picture that it received.
    Gray,
    Fails,
    /// Panics during the call.
    Panics,
    /// Returns colour, and then makes the flight's task panic.
    Dies,
    /// Like `Dies`, but only on the first call.
    DiesOnce,
}

impl FakeProvider {
    fn new(name: &str, color: f32) -> Self {
        Self {
            about: ProviderInfo {
                name: name.to_owned(),
                kind: "fake",
                model: format!("model of {name}"),
                version: "1".to_owned(),
                leaves_machine: true,
                send_max_pixels: 10_000,
                luma_lock: true,
                settings: String::new(),
            },
            color,
            calls: AtomicUsize::new(0),
            ready: AtomicBool::new(true),
            delay: Duration::ZERO,
            then: Mutex::new(FakeOutcome::Colors),
            dying: AtomicBool::new(false),
        }
    }

    fn slow(self) -> Self {
        Self { delay: Duration::from_millis(200), ..self }
    }

    fn then(self, then: FakeOutcome) -> Self {
        *self.then.lock().unwrap() = then;
        self
    }

    fn about(mut self, change: impl FnOnce(&mut ProviderInfo)) -> Self {
        change(&mut self.about);
        self
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// The received picture with one colour over it.
    fn picture(&self, gray: &Gray, color: f32) -> ProviderColor {
        let photo = Photo::from_gray(gray.clone());
        let chroma = Chroma::new(1, 1, vec![color], vec![color]).unwrap();
        let options = EncodeOptions::plain(OutputFormat::Png, 90);
        ProviderColor::Picture(photo::encode(&photo, &chroma, &options).unwrap().bytes.into())
    }
}

#[async_trait]
impl Provider for FakeProvider {
    fn info(&self) -> &ProviderInfo {
        assert!(!self.dying.swap(false, Ordering::SeqCst), "on purpose");
        &self.about
    }

    fn readiness(&self) -> Readiness {
        match self.ready.load(Ordering::SeqCst) {
            true => Readiness::Ready,
            false => Readiness::NotReady { why: "asleep".to_owned(), retry_after: None },
        }
    }

    async fn colorize(&self, call: Call) -> Result<ProviderResponse, ProviderError> {
        call.begun.set();
        self.calls.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.delay).await;
        let then = *self.then.lock().unwrap();
        let color = match then {
            FakeOutcome::Panics => panic!("on purpose"),
            FakeOutcome::Dies | FakeOutcome::DiesOnce => {
                self.dying.store(true, Ordering::SeqCst);
                if then == FakeOutcome::DiesOnce {
                    *self.then.lock().unwrap() = FakeOutcome::Colors;
                }
                self.picture(&call.gray, self.color)
            }
            FakeOutcome::Colors if self.about.luma_lock => {
                ProviderColor::Chroma(Chroma::new(1, 1, vec![self.color], vec![self.color]).unwrap())
            }
            FakeOutcome::Colors => self.picture(&call.gray, self.color),
            FakeOutcome::Gray => self.picture(&call.gray, 0.0),
            FakeOutcome::Fails => return Err(ProviderError::new(FailureKind::NotReady, "out of order")),
        };
        let usage = Usage { credits: Some(Credits::from_micro(1_500_000)), cpu: None };
        Ok(ProviderResponse { color, usage })
    }
}

/// A configuration with these providers as its route.
fn config(providers: &[Arc<FakeProvider>]) -> Config {
    let mut config = crate::config::load(&ConfigSource::default()).unwrap().config;
    config.route = providers.iter().map(|fake| fake.about.name.clone()).collect();
    let like = config.providers["local"].clone();
    config.providers = config.route.iter().map(|name| (name.clone(), like.clone())).collect();
    config
}

/// A gateway and its cache folder.
struct Setup {
    gateway: Arc<Gateway>,
    folder: tempfile::TempDir,
}

impl Setup {
    fn new(providers: &[Arc<FakeProvider>]) -> Self {
        Self::with(providers, |_| ())
    }

    fn with(providers: &[Arc<FakeProvider>], change: impl FnOnce(&mut Config)) -> Self {
        Self::at(tempfile::tempdir().unwrap(), providers, change)
    }

    fn at(
        folder: tempfile::TempDir,
        providers: &[Arc<FakeProvider>],
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = config(providers);
        config.cache.dir = Some(PathBuf::from(folder.path()));
        change(&mut config);
        let metrics = Metrics::new(prometheus::Registry::new()).unwrap();
        config.state_dir = folder.path().join("state");
        let stores = CacheStores::open(&config, &metrics).unwrap();
        let providers = providers.iter().map(|fake| fake.clone() as Arc<dyn Provider>);
        let gateway = Gateway::new(
            Snapshot::with(config, providers),
            stores,
            ProviderMemory::new(metrics.clone()),
            metrics,
            ReloadStatus::default(),
        );
        Self { gateway, folder }
    }

    /// A new gateway on the same folder, as after a restart, with these providers.
    fn again(self, providers: &[Arc<FakeProvider>]) -> Self {
        Self::at(self.folder, providers, |_| ())
    }

    async fn colorize(&self, request: ColorizeRequest) -> Result<Rendition, Error> {
        self.gateway.colorize(self.gateway.snapshot(), request).await
    }

    async fn color(&self, bytes: &[u8]) -> Rendition {
        self.colorize(request(bytes)).await.unwrap()
    }

    /// The number of entries in the disk tier.
    async fn stored(&self) -> u64 {
        self.gateway.cache().sweep().await.unwrap().iter().map(|stats| stats.entries).max().unwrap_or(0)
    }

    fn metric(&self, line: &str) -> f64 {
        let text = self.gateway.metrics().text(&LedgerSnapshot::default()).unwrap();
        let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }
}

fn request(bytes: &[u8]) -> ColorizeRequest {
    ColorizeRequest {
        upload: Upload::new(bytes.to_vec().into()),
        provider: None,
        options: RenditionOptions::default(),
        client: Client { address: None, key: None },
        reuse: Reuse::default(),
        received: Instant::now(),
        deadline: Instant::now() + Duration::from_secs(60),
        trace: Trace::default(),
        connection: None,
    }
}

/// The same request for a result in this format.
fn in_format(format: OutputFormat, request: ColorizeRequest) -> ColorizeRequest {
    let options = RenditionOptions { format: Some(format), ..request.options };
    ColorizeRequest { options, ..request }
}

/// Sets a provider's price to what a fake charges.
fn cost(config: &mut Config, provider: &str) {
    let minimum = Credits::from_micro(1_500_000);
    config.providers.get_mut(provider).unwrap().price = Price { minimum, ..Price::default() };
}

fn budget(scope: BudgetScope, micro: i64) -> Budget {
    Budget { name: "small".to_owned(), scope, window: Window::Total, limit: Credits::from_micro(micro) }
}

fn client_at(number: u8) -> Client {
    Client { address: Some([192, 0, 2, number].into()), key: None }
}

/// A grey picture as a file.
fn file(format: image::ImageFormat, seed: u8) -> Vec<u8> {
    let picture = image::GrayImage::from_fn(40, 30, |x, y| image::Luma([(x * 4 + y) as u8 ^ seed]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn png(seed: u8) -> Vec<u8> {
    file(image::ImageFormat::Png, seed)
}
