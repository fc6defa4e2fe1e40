//! One request, with everything that follows from it before any work is done.

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

/// A request to colour.
pub struct ColorizePlan {
    /// What is asked for.
    pub ask: ColorizeRequest,
    /// What the upload's header says.
    pub head: ImageHeader,
    /// The rendition's format.
    pub format: OutputFormat,
    /// What may be found, and by whom.
    pub search: CacheSearch,
    /// The flight that this request may share.
    pub flight: [u8; 32],
    /// The time it has, in whole seconds.
    limit: Duration,
}

/// A search for a rendition of an upload that need not be here.
pub struct CacheSearch {
    /// The configuration.
    pub snapshot: Arc<Snapshot>,
    /// The upload.
    pub fingerprint: Fingerprint,
    /// The providers whose renditions will do, the best first.
    pub route: Vec<Arc<dyn Provider>>,
    /// Whose results are looked at.
    pub scope: CacheScope,
    /// Whose spending a call would be; none is nobody's client.
    pub account: Option<String>,
    /// The upload's file format; none where only its fingerprint is known.
    pub input: Option<InputFormat>,
    /// The photograph's pixels, where its header is here.
    pub pixels: Option<u64>,
}

impl ColorizePlan {
    /// Follows from a request and the configuration. Reads the upload's header.
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

    /// The configuration that counts for this request.
    pub fn config(&self) -> &Config {
        &self.search.snapshot.config
    }

    /// Whether a flight ended as it did for want of a budget that each client has for itself: another
    /// client's may be enough, and one client's must not decide what another gets.
    pub fn was_for_a_clients_budget(result: &Result<Rendition, Error>) -> bool {
        let attempts = match result {
            Ok(Rendition { attempts, .. }) | Err(Error::NoProvider { attempts }) => attempts,
            Err(_) => return false,
        };
        Self::met_a_clients_budget(attempts)
    }

    /// Whether a client's own budget has turned somebody away here.
    pub fn met_a_clients_budget(attempts: &[Attempt]) -> bool {
        let mut budgets = attempts.iter().filter_map(|attempt| attempt.budget.as_ref());
        budgets.any(|budget| budget.scope == credit::BudgetScope::Client)
    }

    /// The flight that only this client's requests may share.
    pub fn own_flight(&self) -> [u8; 32] {
        keys::own_flight(self.flight, self.search.account.as_deref())
    }

    /// That the deadline came first.
    pub fn late(&self) -> Error {
        Error::Deadline { limit: self.limit }
    }

    /// Under what a provider's colour for this photo is kept, if it is.
    pub fn color_key(&self, about: &ProviderInfo, photo: &PhotoKey) -> Option<CacheKey> {
        self.search.color_key(about, photo, self.head.format.decoder_revision())
    }

    /// Under what a provider's rendition is kept, if it is.
    pub fn rendition_key(&self, about: &ProviderInfo) -> Option<CacheKey> {
        self.search.rendition_key(about, self.format, self.head.format.decoder_revision())
    }
}

impl CacheSearch {
    /// Follows from a request and the configuration.
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

    /// Whether anything is kept of a provider.
    pub fn keeps(&self, about: &ProviderInfo) -> bool {
        let config = &self.snapshot.config;
        config.cache.enabled
            && config.providers.get(&about.name).is_some_and(|provider| provider.common.cache)
    }

    /// The decoder revisions under which results may be: the format's own, or all where the format is unknown.
    pub fn revisions(&self) -> Vec<u8> {
        match self.input {
            Some(input) => vec![input.decoder_revision()],
            None => InputFormat::decoder_revisions().collect(),
        }
    }

    /// The upload as a decoder of this revision reads it.
    pub const fn source(&self, revision: u8) -> DecodedBy {
        DecodedBy { fingerprint: self.fingerprint, revision }
    }

    /// Under what a provider's colour for this photo is kept, if it is.
    pub fn color_key(&self, about: &ProviderInfo, photo: &PhotoKey, revision: u8) -> Option<CacheKey> {
        self.keeps(about).then(|| match about.luma_lock {
            true => keys::chroma(photo, about.identity(), self.scope),
            false => keys::own(self.source(revision), about.identity(), self.scope),
        })
    }

    /// Under what a provider's rendition in a format is kept, if it is.
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
