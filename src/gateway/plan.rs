//! A validated request, and the route, format and keys that follow from it before any work is done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::Error;
use super::keys::{self, CacheScope, DecodedBy, Encoding, PhotoKey};
use super::request::{Client, ColorizeRequest, Fingerprint, RenditionOptions};
use super::snapshot::Snapshot;
use super::timeline::{TimedStep, Timeline};
use crate::cache::CacheKey;
use crate::config::Config;
use crate::photo::{self, ImageHeader, InputFormat, OutputFormat};
use crate::provider::{Provider, ProviderInfo};

pub struct ColorizePlan {
    pub request: ColorizeRequest,
    pub head: ImageHeader,
    pub format: OutputFormat,
    pub search: CacheSearch,
    pub flight: [u8; 32],
    /// How long the request has taken so far.
    pub timeline: Timeline,
    /// How long the request may take, rounded up to whole seconds.
    limit: Duration,
}

/// What a cache lookup needs. The upload itself need not be present: its fingerprint is enough.
pub struct CacheSearch {
    pub snapshot: Arc<Snapshot>,
    pub fingerprint: Fingerprint,
    /// The providers whose renditions are acceptable, best first.
    pub route: Vec<Arc<dyn Provider>>,
    pub scope: CacheScope,
    pub options: RenditionOptions,
    /// The client that would be charged for a call; `None` for the command line.
    pub account: Option<String>,
    /// The upload's file format; `None` if only its fingerprint is known.
    pub input: Option<InputFormat>,
    /// The photo's number of pixels; `None` if only its fingerprint is known.
    pub pixels: Option<u64>,
    /// The upload's number of pages; `None` if only its fingerprint is known.
    pub pages: Option<u32>,
}

impl ColorizePlan {
    /// Reads the upload's header, but does not decode the upload.
    pub fn new(snapshot: Arc<Snapshot>, request: ColorizeRequest) -> Result<Self, Error> {
        let (options, limits) = (request.options, snapshot.config.limits.photo());
        let head = photo::read_head_of(&request.upload.bytes, &options.decode, &limits)?;
        let format = options.format_for(head.format)?;
        let search = CacheSearch::new(
            snapshot,
            request.upload.fingerprint,
            request.provider.as_deref(),
            &request.client,
            RenditionOptions { format: Some(format), ..options },
        )?;
        let search = CacheSearch {
            input: Some(head.format),
            pixels: Some(head.pixels()),
            pages: Some(head.pages),
            ..search
        };
        let flight =
            keys::flight(&request, &search, head.format.decoder_revision(), &search.encoding(format));
        let left = request.deadline.saturating_duration_since(Instant::now());
        let limit = Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0));
        let timeline = Timeline::since(request.received);
        timeline.end(TimedStep::Receive);
        Ok(Self { request, head, format, search, flight, timeline, limit })
    }

    pub fn config(&self) -> &Config {
        &self.search.snapshot.config
    }

    /// How the rendition is encoded.
    pub fn encoding(&self) -> Encoding {
        self.search.encoding(self.format)
    }

    /// The flight that only requests of this client share.
    pub fn client_flight(&self) -> [u8; 32] {
        keys::client_flight(self.flight, self.search.account.as_deref())
    }

    /// The error for a missed deadline.
    pub fn late(&self) -> Error {
        Error::Deadline { limit: self.limit }
    }

    /// The revision of the decoder that reads the upload.
    pub const fn decoder_revision(&self) -> u8 {
        self.head.format.decoder_revision()
    }
}

impl CacheSearch {
    pub fn new(
        snapshot: Arc<Snapshot>,
        fingerprint: Fingerprint,
        provider: Option<&str>,
        client: &Client,
        options: RenditionOptions,
    ) -> Result<Self, Error> {
        let route = snapshot.route(provider)?;
        let scope = CacheScope::of(client, &snapshot.config);
        let account = client.account(snapshot.config.clients.ipv6_prefix);
        Ok(Self {
            snapshot,
            fingerprint,
            route,
            scope,
            options,
            account,
            input: None,
            pixels: None,
            pages: None,
        })
    }

    /// Whether results of a provider are cached.
    pub fn is_cached(&self, about: &ProviderInfo) -> bool {
        let config = &self.snapshot.config;
        config.cache.enabled
            && config.providers.get(&about.name).is_some_and(|provider| provider.common.cache)
    }

    /// The decoder revisions to look up: the one of the upload's format, or all if that format is unknown.
    pub fn revisions(&self) -> Vec<u8> {
        match self.input {
            Some(input) => vec![input.decoder_revision()],
            None => InputFormat::decoder_revisions().collect(),
        }
    }

    /// How a rendition in this format would be encoded.
    pub fn encoding(&self, format: OutputFormat) -> Encoding {
        Encoding::new(&self.snapshot.config.output, format, &self.options)
    }

    pub const fn source(&self, revision: u8) -> DecodedBy {
        DecodedBy { fingerprint: self.fingerprint, revision }
    }

    /// The cache key of a provider's colour. `None` if the provider's results are not cached, or if the key needs the
    /// photo's key and that is unknown.
    pub fn color_key(
        &self,
        about: &ProviderInfo,
        photo: Option<&PhotoKey>,
        revision: u8,
    ) -> Option<CacheKey> {
        let (identity, scope) = (about.identity(), self.scope);
        match about.luma_lock {
            _ if !self.is_cached(about) => None,
            true => photo.map(|photo| keys::chroma(photo, identity, scope)),
            false => {
                let source = self.source(revision);
                Some(keys::own_pixels(source, &self.options.decode, identity, scope))
            }
        }
    }

    /// The cache key of a provider's rendition; `None` if the provider's results are not cached.
    pub fn rendition_key(&self, about: &ProviderInfo, encoding: &Encoding, revision: u8) -> Option<CacheKey> {
        self.is_cached(about).then(|| keys::rendition(self.source(revision), about, encoding, self.scope))
    }
}
