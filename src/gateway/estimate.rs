//! What it would cost to have a picture coloured, by each provider, before anything is sent or spent.
//!
//! Nothing is decoded and nobody is called: the answer comes from what is kept, from what calls for
//! photographs of that size have cost and taken so far, and from prices. Whoever asks may know the picture
//! itself, its SHA-256, its size, or nothing of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::account::{BudgetView, PATIENCE};
use super::ask::{Client, Fingerprint};
use super::cache_codec;
use super::error::{Attempt, Error};
use super::keys;
use super::plan::CacheSearch;
use super::recall::FORMATS;
use super::{Gateway, Snapshot};
use crate::credit::{CallHistory, Credits, Exhausted, Range, SizeClass, Worth};
use crate::photo::{self, InputFormat, OutputFormat};
use crate::provider::{ProviderInfo, Readiness};

/// What is known of a picture that may be sent.
#[derive(Clone, Debug)]
pub struct EstimateRequest {
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
    /// SHA-256 of its file.
    pub fingerprint: Option<Fingerprint>,
    /// Only this provider, instead of the configured route.
    pub provider: Option<String>,
    /// The picture's own file format, where its header is here.
    pub input: Option<InputFormat>,
    /// The format that will be asked for.
    pub format: Option<OutputFormat>,
    /// Who asks.
    pub client: Client,
    /// Whether an earlier result would do.
    pub find: bool,
}

/// What it would cost.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// Who would answer now; none when nobody could.
    pub first: Option<String>,
    /// Every provider: those on the route in its order, then the others by name.
    pub offers: Vec<ProviderEstimate>,
}

/// What it would cost by one provider.
#[derive(Clone, Debug)]
pub struct ProviderEstimate {
    /// The provider's name.
    pub provider: String,
    /// Its place on the configured route, from 1.
    pub place: Option<usize>,
    /// Whether pictures leave this machine.
    pub leaves_machine: bool,
    /// Whether it could be called now.
    pub readiness: Readiness,
    /// What is kept of it; none when the picture is not known well enough to tell.
    pub kept: Option<CachedPart>,
    /// What a call costs and takes.
    pub expected: ExpectedCost,
    /// The budget that would refuse it.
    pub refusal: Option<Exhausted>,
}

/// What is kept of a picture by a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachedPart {
    /// The rendition: there is nothing to do.
    Rendition,
    /// The colour: only the rendition must be made.
    Color,
    /// Nothing: it must be called.
    Nothing,
}

/// What a call costs and takes, most likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedCost {
    /// Few calls cost less: one of ten, or, while nothing is learnt, none.
    pub low: Credits,
    /// As many cost less as more; while nothing is learnt only known where the price leaves no choice.
    pub typical: Option<Credits>,
    /// Few calls cost more: one of ten, or, while nothing is learnt, none.
    pub high: Credits,
    /// The most that a call may cost: so much is set aside for it.
    pub most: Credits,
    /// What a credit is worth.
    pub worth: Option<Worth>,
    /// How long the provider takes; none while nothing is learnt.
    pub time: Option<Range<Duration>>,
    /// From how many calls for photographs of this size this is learnt.
    pub calls: u64,
}

impl ExpectedCost {
    /// What a request costs that needs no call.
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
    /// Whether a request would cost nothing, because what it needs is kept.
    pub fn is_hit(&self) -> bool {
        matches!(self.kept, Some(CachedPart::Rendition | CachedPart::Color))
    }

    fn could_answer(&self) -> bool {
        self.is_hit() || (self.readiness == Readiness::Ready && self.refusal.is_none())
    }
}

type CallHistories = BTreeMap<(String, SizeClass), CallHistory>;

impl Gateway {
    /// What it would cost to have a picture coloured now.
    pub async fn estimate(
        &self,
        snapshot: Arc<Snapshot>,
        inquiry: EstimateRequest,
    ) -> Result<Estimate, Error> {
        let EstimateRequest { size, fingerprint, provider, input, format, client, find } = inquiry;
        let config = &snapshot.config;
        if let Some((width, height)) = size {
            photo::check_size(width, height, &config.limits.photo())?;
        }
        let pixels = size.map(|(width, height)| u64::from(width) * u64::from(height));
        let route = snapshot.route(provider.as_deref())?;
        let purse = BudgetView::new(self, &snapshot, client.account(config.clients.ipv6_prefix));
        let experience = self.experience().await;
        let search = match fingerprint {
            Some(fingerprint) => {
                Some(CacheSearch { input, ..CacheSearch::new(snapshot.clone(), fingerprint, None, &client)? })
            }
            None => None,
        };

        let mut offers = Vec::new();
        for (place, provider) in snapshot.in_order() {
            let about = provider.about();
            let kept = match &search {
                Some(search) if find => Some(self.kept_of(search, about, format).await),
                Some(_) => Some(CachedPart::Nothing),
                None => None,
            };
            let obstacle = purse.obstacle(provider.as_ref(), pixels).await;
            offers.push(ProviderEstimate {
                provider: about.name.clone(),
                place,
                leaves_machine: about.leaves_machine,
                readiness: match &obstacle {
                    Some(Attempt { budget: None, reason, retry_after, .. }) => {
                        Readiness::NotReady { why: reason.clone(), retry_after: *retry_after }
                    }
                    _ => Readiness::Ready,
                },
                kept,
                expected: expected(&snapshot, about, &experience, pixels),
                refusal: obstacle.and_then(|obstacle| obstacle.budget),
            });
        }
        let by_name = |name: &str| offers.iter().find(|offer| offer.provider == name);
        let mut asked = route.iter().filter_map(|provider| by_name(&provider.about().name));
        let first = asked.find(|offer| offer.could_answer()).map(|offer| offer.provider.clone());
        Ok(Estimate { first, offers })
    }

    /// What calls have cost and taken so far; nothing while the ledger cannot be read.
    pub async fn experience(&self) -> CallHistories {
        timeout(PATIENCE, self.ledger.experience()).await.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// What a provider's call for a photograph of so many pixels costs and takes.
    pub(super) async fn expected(
        &self,
        snapshot: &Snapshot,
        about: &ProviderInfo,
        pixels: u64,
    ) -> ExpectedCost {
        expected(snapshot, about, &self.experience().await, Some(pixels))
    }

    /// What is kept of an upload by a provider.
    async fn kept_of(
        &self,
        search: &CacheSearch,
        about: &ProviderInfo,
        format: Option<OutputFormat>,
    ) -> CachedPart {
        if self.recall_from(search, about, format).await.is_some() {
            return CachedPart::Rendition;
        }
        match self.color_key_of(search, about).await {
            Some(key) if cache_codec::color(self.cache(), &key).await.is_some() => CachedPart::Color,
            _ => CachedPart::Nothing,
        }
    }

    /// Under what the colour of an upload is kept, as far as that is known without decoding it: from the
    /// facts of a rendition in any format. Colour of an upload that its decoder reads anew since is not promised.
    async fn color_key_of(
        &self,
        search: &CacheSearch,
        about: &ProviderInfo,
    ) -> Option<crate::cache::CacheKey> {
        for format in FORMATS {
            if let Some((_, facts)) = self.facts_of(search, about, format).await {
                let input = search.input.or(facts.input)?;
                return search.color_key(about, &facts.photo, input.decoder_revision());
            }
        }
        // A provider's own pixels need no facts, only the format.
        let source = search.source(search.input?.decoder_revision());
        (search.keeps(about) && !about.luma_lock).then(|| keys::own(source, about.identity(), search.scope))
    }
}

fn expected(
    snapshot: &Snapshot,
    about: &ProviderInfo,
    experience: &CallHistories,
    pixels: Option<u64>,
) -> ExpectedCost {
    let sent = pixels.unwrap_or(u64::MAX).min(about.send_max_pixels);
    let (least, most) = snapshot.bounds(&about.name, sent);
    let learnt = pixels.and_then(|pixels| experience.get(&(about.name.clone(), SizeClass::of(pixels))));
    // Prices change; what is learnt at an old one must not contradict the new one.
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
