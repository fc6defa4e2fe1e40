//! A validated request, and the route, format and keys that follow from it before any work is done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ask::{Client, ColorizeRequest, Fingerprint};
use super::error::{Attempt, Error};
use super::keys::{self, CacheScope, DecodedBy, PhotoKey};
use super::rendition::Rendition;
use super::snapshot::Snapshot;
use crate::cache::CacheKey;
use crate::config::Config;
use crate::credit;
use crate::photo::{self, ImageHeader, InputFormat, OutputFormat};
use crate::provider::{Provider, ProviderInfo};

pub struct ColorizePlan {
    pub ask: ColorizeRequest,
    pub head: ImageHeader,
    pub format: OutputFormat,
    pub search: CacheSearch,
    pub flight: [u8; 32],
    /// The request's time, rounded up to whole seconds.
    limit: Duration,
}

/// What a cache lookup needs. The upload itself need not be present: its fingerprint is enough.
pub struct CacheSearch {
    pub snapshot: Arc<Snapshot>,
    pub fingerprint: Fingerprint,
    /// The providers whose renditions are acceptable, best first.
    pub route: Vec<Arc<dyn Provider>>,
    pub scope: CacheScope,
    /// The client that would be charged for a call; `None` for the command line.
    pub account: Option<String>,
    /// The upload's file format; `None` if only its fingerprint is known.
    pub input: Option<InputFormat>,
    /// The photo's number of pixels; `None` if only its fingerprint is known.
    pub pixels: Option<u64>,
}

impl ColorizePlan {
    /// Reads the upload's header, but does not decode it.
    pub fn new(snapshot: Arc<Snapshot>, ask: ColorizeRequest) -> Result<Self, Error> {
        let head = photo::read_head(&ask.upload.bytes, &snapshot.config.limits.photo())?;
        let format = ask.format.unwrap_or_else(|| head.format.output());
        let search =
            CacheSearch::new(snapshot, ask.upload.fingerprint, ask.provider.as_deref(), &ask.client)?;
        let search = CacheSearch { input: Some(head.format), pixels: Some(head.pixels()), ..search };
        let flight = keys::flight(&ask, &search, search.source(head.format.decoder_revision()), format);
        let left = ask.deadline.saturating_duration_since(Instant::now());
        let limit = Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0));
        Ok(Self { ask, head, format, search, flight, limit })
    }

    pub fn config(&self) -> &Config {
        &self.search.snapshot.config
    }

    /// Whether the result was affected by the leader's client budget. Such a result must not be shared: another
    /// client's budget may still be sufficient.
    pub fn was_for_a_clients_budget(result: &Result<Rendition, Error>) -> bool {
        let attempts = match result {
            Ok(Rendition { attempts, .. }) | Err(Error::NoProvider { attempts }) => attempts,
            Err(_) => return false,
        };
        Self::met_a_clients_budget(attempts)
    }

    /// Whether a budget with scope `client` refused one of these attempts.
    pub fn met_a_clients_budget(attempts: &[Attempt]) -> bool {
        let mut budgets = attempts.iter().filter_map(|attempt| attempt.budget.as_ref());
        budgets.any(|budget| budget.scope == credit::BudgetScope::Client)
    }

    /// The flight that only requests of this client share.
    pub fn own_flight(&self) -> [u8; 32] {
        keys::own_flight(self.flight, self.search.account.as_deref())
    }

    /// The error for a missed deadline.
    pub fn late(&self) -> Error {
        Error::Deadline { limit: self.limit }
    }

    /// The cache key of a provider's colour for this photo; `None` if the provider's results are not cached.
    pub fn color_key(&self, about: &ProviderInfo, photo: &PhotoKey) -> Option<CacheKey> {
        self.search.color_key(about, photo, self.head.format.decoder_revision())
    }

    /// The cache key of a provider's rendition; `None` if the provider's results are not cached.
    pub fn rendition_key(&self, about: &ProviderInfo) -> Option<CacheKey> {
        self.search.rendition_key(about, self.format, self.head.format.decoder_revision())
    }
}

impl CacheSearch {
    pub fn new(
        snapshot: Arc<Snapshot>,
        fingerprint: Fingerprint,
        provider: Option<&str>,
        client: &Client,
    ) -> Result<Self, Error> {
        let route = snapshot.route(provider)?;
        let scope = CacheScope::of(client, &snapshot.config);
        let account = client.account(snapshot.config.clients.ipv6_prefix);
        Ok(Self { snapshot, fingerprint, route, scope, account, input: None, pixels: None })
    }

    /// Whether results of a provider are cached.
    pub fn keeps(&self, about: &ProviderInfo) -> bool {
        let config = &self.snapshot.config;
        config.cache.enabled
            && config.providers.get(&about.name).is_some_and(|provider| provider.common.cache)
    }

    /// The decoder revisions to look up: the format's current one, or all if the format is unknown.
    pub fn revisions(&self) -> Vec<u8> {
        match self.input {
            Some(input) => vec![input.decoder_revision()],
            None => InputFormat::decoder_revisions().collect(),
        }
    }

    pub const fn source(&self, revision: u8) -> DecodedBy {
        DecodedBy { fingerprint: self.fingerprint, revision }
    }

    /// The cache key of a provider's colour for this photo; `None` if the provider's results are not cached.
    pub fn color_key(&self, about: &ProviderInfo, photo: &PhotoKey, revision: u8) -> Option<CacheKey> {
        self.keeps(about).then(|| match about.luma_lock {
            true => keys::chroma(photo, about.identity(), self.scope),
            false => keys::own(self.source(revision), about.identity(), self.scope),
        })
    }

    /// The cache key of a provider's rendition in a format; `None` if the provider's results are not cached.
    pub fn rendition_key(
        &self,
        about: &ProviderInfo,
        format: OutputFormat,
        revision: u8,
    ) -> Option<CacheKey> {
        let options = keys::encode_options(&self.snapshot.config.output, format, about);
        self.keeps(about)
            .then(|| keys::rendition(self.source(revision), about.identity(), &options, self.scope))
    }
}
