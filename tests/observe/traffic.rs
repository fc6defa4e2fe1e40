//! A gateway with three providers, and requests that cause every kind of event.

use std::path::Path;
use std::time::Duration;

use crate::fakes::KEY;
use crate::fakes::algorithmia::{Algorithmia, Behavior, File};
use crate::harness::{Picture, Server, Setup};

/// A gateway and the fake hosts of its two paid providers.
pub struct Setting {
    pub server: Server,
    pub first: Algorithmia,
    pub second: Algorithmia,
}

/// The first provider of the route charges by second and by megapixel and has a budget; the second charges by second.
const MAIN: &str = r#"
route = ["algorithmia", "spare", "local"]
trusted_proxies = ["127.0.0.1"]
deny = ["198.51.100.0/24"]
[quota]
client_upload_memory = "20 MiB"
[quota.limits.requests]
burst = 300
[budgets.day]
scope = "provider:algorithmia"
window = "day"
credits = 60
[budgets.month]
scope = "all"
window = "month"
credits = 5000
"#;
const PRICE: &str = "price.terms = [{ per = \"second\", rate = 1, pointer = \"/metadata/duration\", round = \"up\" }, { per = \"megapixel\", rate = 1 }]\n";

impl Setting {
    pub fn start() -> Self {
        Self::of(Setup::new())
    }

    /// A gateway with a very small memory cache and a disk cache in this folder.
    pub fn with_cache(folder: &Path) -> Self {
        let folder = format!("\"{}\"", folder.display());
        Self::of(Setup::new().env("PIXCOLOR_CACHE__DIR", folder).env("PIXCOLOR_CACHE__MEMORY", "\"200 KiB\""))
    }

    fn of(setup: Setup) -> Self {
        let (first, second) = (Algorithmia::start(), Algorithmia::start());
        // 0 turns a circuit breaker off.
        let provider = |url: String, failures: u32| {
            let breaker = format!("breaker = {{ failures = {failures} }}");
            format!("kind = \"algorithmia\"\nbase_url = \"{url}\"\ntimeout = 5\n{breaker}\n")
        };
        let server = setup
            .file("config/pixcolor.toml", MAIN)
            .file("config/providers/algorithmia.toml", provider(first.url(), 0) + PRICE)
            .file("config/providers/spare.toml", provider(second.url(), 32))
            .env("ALGORITHMIA_API_KEY", KEY)
            .env("MY_TOKEN", "let-me-in")
            .env("PIXCOLOR_ADMIN__TOKEN", "{ env = \"MY_TOKEN\" }")
            .env("RUST_LOG", "error,rocket=off,_=off")
            .start();
        Self { server, first, second }
    }

    /// Colours a new picture of this size and returns the provider's name.
    pub fn color(&self, width: u32, height: u32, seed: u32) -> String {
        let answer = self.server.colorize(&Picture::jpeg(width, height, seed));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.header("x-pixcolor-provider").to_owned()
    }

    /// Pictures of every size class, repeats, other file formats, several kinds of failure, and a spent budget.
    pub fn every_sort_of_picture(&self) {
        let Self { server, first, second } = self;
        let picture = Picture::png(1600, 1200, 1);
        for _ in 0..3 {
            assert_eq!(server.colorize(&picture).status, 200);
        }
        assert_eq!(server.post("/v1/colorize?format=webp", &[], &picture.bytes).status, 200);
        self.color(3000, 2000, 2);
        self.color(3000, 2800, 3);
        for (provider, seed) in [("spare", 4), ("local", 5)] {
            let path = format!("/v1/colorize?provider={provider}");
            for (width, height) in [(64, 48), (1600, 1200)] {
                let picture = Picture::png(width, height, seed);
                assert_eq!(server.post(&path, &[("Cache-Control", "no-cache")], &picture.bytes).status, 200);
            }
        }
        self.failures(100);
        second.always(Behavior::Color);
        // Simultaneous identical uploads are coloured once.
        first.always(Behavior::Slow(Duration::from_millis(300)));
        let same = Picture::png(64, 48, 6);
        std::thread::scope(|scope| {
            (0..3).for_each(|_| drop(scope.spawn(|| assert_eq!(server.colorize(&same).status, 200))));
        });
        first.always(Behavior::Color);
        first.takes(4.2);
        let mut seed = 200;
        while self.color(64, 48, seed) == "algorithmia" {
            seed += 1;
        }
        assert_eq!(
            server.post("/v1/colorize?provider=algorithmia", &[], &Picture::png(64, 48, 7).bytes).status,
            402
        );
        self.limits();
        for rubbish in [&b"rubbish"[..], b"\x89PNG\r\n\x1a\n"] {
            assert!(server.post("/v1/colorize", &[], rubbish).status >= 400);
        }
    }

    /// Clients that are forbidden, that exceed their rate limit, or that send too much at once.
    fn limits(&self) {
        let Self { server, .. } = self;
        let from = |client| server.post("/v1/colorize", &[("X-Forwarded-For", client)], b"rubbish").status;
        assert_eq!(from("198.51.100.9"), 403);
        assert!((0..1000).any(|_| from("203.0.113.77") == 429));
        let head = "POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 19000000\r\n\r\n";
        // Each upload lacks its last byte; together they exceed one client's share of memory.
        let begun = [head.as_bytes(), &vec![0; 18_999_999]].concat();
        let _uploads = [(); 2].map(|()| server.raw(&begun));
        let crowded = "pixcolor_concurrency_refusals_total{bound=\"client_upload_memory\"}";
        server.until("one of two uploads is refused", |server| server.metric(crowded) > 0.9);
    }

    /// Several failures of a provider's host, once each. The built-in network colours the pictures instead.
    pub fn failures(&self, seed: u32) {
        self.second.always(Behavior::Status(503, "down", None));
        for (seed, behavior) in (seed..).zip([
            Behavior::Envelope("not a cat", Some("InputError")),
            Behavior::File(File::Gray),
            Behavior::File(File::OtherPicture),
            Behavior::PlainText(502),
            Behavior::HangUp,
        ]) {
            self.first.next([behavior]);
            assert_eq!(self.color(64, 48, seed), "local");
        }
        self.second.always(Behavior::Color);
    }
}
