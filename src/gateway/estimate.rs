//! Estimates: what colouring a picture would probably cost with each provider.
//!
//! An estimate decodes nothing, calls no provider and reserves nothing. It comes from the cache, from the cost and
//! duration of past calls for photos of the same size class, and from prices. The client may send the picture,
//! its SHA-256, its size, or none of these.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::cache_codec;
use super::error::{Attempt, Error};
use super::ledger_view::{BudgetView, LEDGER_TIMEOUT};
use super::lookup::StoredKeys;
use super::plan::CacheSearch;
use super::request::{Client, Fingerprint, RenditionOptions};
use super::{Gateway, Snapshot};
use crate::credit::{BudgetStatus, CallHistory, Credits, Exhausted, Range, SizeClass, Worth};
use crate::photo::{self, InputFormat};
use crate::provider::{ProviderInfo, Readiness};

/// What the client says about the picture.
#[derive(Clone, Debug)]
pub struct EstimateRequest {
    pub size: Option<(u32, u32)>,
    pub fingerprint: Option<Fingerprint>,
    pub provider: Option<String>,
    /// The picture's file format, if its header was sent.
    pub input: Option<InputFormat>,
    pub options: RenditionOptions,
    pub client: Client,
    /// Whether a stored result may be used.
    pub lookup: bool,
}

/// The estimates of all providers.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// The provider that would colour the picture now; `None` if no provider could.
    pub first: Option<String>,
    /// All providers: first those on the route, in its order, then the others by name.
    pub providers: Vec<ProviderEstimate>,
}

/// The estimate of one provider.
#[derive(Clone, Debug)]
pub struct ProviderEstimate {
    pub provider: String,
    /// Position on the configured route, from 1; `None` if the provider is not on it.
    pub position: Option<usize>,
    pub leaves_machine: bool,
    pub readiness: Readiness,
    /// What the cache has; `None` if the fingerprint is unknown.
    pub cached: Option<CachedPart>,
    pub expected: ExpectedCost,
    /// The budget that would refuse the call.
    pub refusal: Option<Exhausted>,
    /// The budget with the least credit left for the call; `None` if no budget limits it.
    pub tightest: Option<BudgetStatus>,
}

/// Which part of a provider's result the cache has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachedPart {
    /// The rendition: no work is needed.
    Rendition,
    /// The colour: it only has to be merged and encoded.
    Color,
    /// Nothing: the provider must be called.
    Nothing,
}

/// The probable cost and duration of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedCost {
    /// One in ten calls costs less. Without past calls: the least that the price allows.
    pub low: Credits,
    /// The median of past calls. Without past calls: the price if it is fixed, else `None`.
    pub typical: Option<Credits>,
    /// One in ten calls costs more. Without past calls: the most that the price allows.
    pub high: Credits,
    /// The most that a call may cost: the amount that is reserved.
    pub most: Credits,
    /// The value of a credit in money, if configured.
    pub worth: Option<Worth>,
    /// Duration of a call; `None` without past calls.
    pub time: Option<Range<Duration>>,
    /// The number of past calls for photos of this size class.
    pub calls: u64,
}

impl ExpectedCost {
    /// The cost of a request that needs no call.
    pub const NOTHING: Self = Self {
        low: Credits::ZERO,
        typical: Some(Credits::ZERO),
        high: Credits::ZERO,
        most: Credits::ZERO,
        worth: None,
        time: None,
        calls: 0,
    };
}

impl ProviderEstimate {
    /// Whether the request would cost nothing because of a cache hit.
    pub fn is_hit(&self) -> bool {
        matches!(self.cached, Some(CachedPart::Rendition | CachedPart::Color))
    }

    fn is_available(&self) -> bool {
        self.is_hit() || (self.readiness == Readiness::Ready && self.refusal.is_none())
    }
}

type CallHistories = BTreeMap<(String, SizeClass), CallHistory>;

impl Gateway {
    /// Estimates the cost of colouring a picture now, for each provider.
    pub async fn estimate(
        &self,
        snapshot: Arc<Snapshot>,
        request: EstimateRequest,
    ) -> Result<Estimate, Error> {
        let EstimateRequest { size, fingerprint, provider, input, options, client, lookup } = request;
        options.check()?;
        let config = &snapshot.config;
        if let Some((width, height)) = size {
            photo::check_size(width, height, &config.limits.photo())?;
        }
        let pixels = size.map(|(width, height)| u64::from(width) * u64::from(height));
        let route = snapshot.route(provider.as_deref())?;
        let budgets = BudgetView::new(self, &snapshot, client.account(config.clients.ipv6_prefix));
        let experience = self.experience().await;
        let search = match fingerprint {
            Some(fingerprint) if lookup => {
                let search = CacheSearch::new(snapshot.clone(), fingerprint, None, &client, options)?;
                Some((CacheSearch { input, ..search }, self.stored_keys(fingerprint).await))
            }
            _ => None,
        };

        let mut providers = Vec::new();
        for (position, provider) in snapshot.in_order() {
            let about = provider.info();
            let cached = match &search {
                Some((search, stored)) => Some(self.cached_part(search, about, stored).await),
                None => fingerprint.map(|_| CachedPart::Nothing),
            };
            let obstacle = budgets.obstacle(provider.as_ref(), pixels).await;
            providers.push(ProviderEstimate {
                provider: about.name.clone(),
                position,
                leaves_machine: about.leaves_machine,
                readiness: match &obstacle {
                    Some(Attempt { budget: None, reason, retry_after, .. }) => {
                        Readiness::NotReady { why: reason.clone(), retry_after: *retry_after }
                    }
                    _ => Readiness::Ready,
                },
                cached,
                expected: expected(&snapshot, about, &experience, pixels),
                refusal: obstacle.and_then(|obstacle| obstacle.budget),
                tightest: budgets.tightest(about, pixels).await.cloned(),
            });
        }
        let by_name = |name: &str| providers.iter().find(|estimate| estimate.provider == name);
        let mut asked = route.iter().filter_map(|provider| by_name(&provider.info().name));
        let first = asked.find(|estimate| estimate.is_available()).map(|estimate| estimate.provider.clone());
        Ok(Estimate { first, providers })
    }

    /// Cost and duration of past calls; empty while the ledger cannot be read.
    pub async fn experience(&self) -> CallHistories {
        timeout(LEDGER_TIMEOUT, self.ledger.experience()).await.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// The probable cost and duration of a provider's call for a photo of this many pixels.
    pub(super) async fn expected(
        &self,
        snapshot: &Snapshot,
        about: &ProviderInfo,
        pixels: u64,
    ) -> ExpectedCost {
        expected(snapshot, about, &self.experience().await, Some(pixels))
    }

    async fn cached_part(
        &self,
        search: &CacheSearch,
        about: &ProviderInfo,
        stored: &StoredKeys,
    ) -> CachedPart {
        if self.lookup_by_provider(search, about).await.is_some() {
            return CachedPart::Rendition;
        }
        match self.known_color_key(search, about, stored).await {
            Some(key) if cache_codec::lookup_color(self.cache(), &key).await.is_some() => CachedPart::Color,
            _ => CachedPart::Nothing,
        }
    }

    /// The cache key of an upload's colour; `None` if the key is known only after decoding, or if the provider's
    /// results are not cached. The key of chroma follows from the facts of a stored rendition in any encoding. Facts
    /// of an older decoder revision are ignored, because the pixels may differ.
    async fn known_color_key(
        &self,
        search: &CacheSearch,
        about: &ProviderInfo,
        stored: &StoredKeys,
    ) -> Option<crate::cache::CacheKey> {
        for revision in search.revisions() {
            for facts in self.facts_in_any_encoding(search, about, revision, stored).await {
                let input = search.input.or(facts.input);
                if input.is_some_and(|input| input.decoder_revision() == revision) {
                    return search.color_key(about, Some(&facts.photo), revision);
                }
            }
        }
        // The key of a provider's own pixels needs no facts, only the upload's format.
        search.color_key(about, None, search.input?.decoder_revision())
    }
}

fn expected(
    snapshot: &Snapshot,
    about: &ProviderInfo,
    experience: &CallHistories,
    pixels: Option<u64>,
) -> ExpectedCost {
    let sent = pixels.unwrap_or(u64::MAX).min(about.send_max_pixels);
    let (least, most) = snapshot.cost_bounds(&about.name, sent);
    let learnt = pixels.and_then(|pixels| experience.get(&(about.name.clone(), SizeClass::of(pixels))));
    // Past calls may have had another price, so their costs are limited to what the current price allows.
    let credits =
        learnt.and_then(CallHistory::credits).map(|range| range.map(|credits| credits.max(least).min(most)));
    ExpectedCost {
        low: credits.map_or(least, |range| range.low),
        typical: credits.map(|range| range.typical).or_else(|| (least == most).then_some(most)),
        high: credits.map_or(most, |range| range.high),
        most,
        worth: snapshot.config.worth(&about.name),
        time: learnt.and_then(CallHistory::time),
        calls: learnt.map_or(0, |learnt| learnt.sums.calls),
    }
}
