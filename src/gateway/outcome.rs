//! What the steps of a request return: the photo, the colour, the rendition and its facts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::error::{Attempt, Error};
use super::guard::CheckedColor;
use super::image_permits::ImagePermit;
use super::keys::PhotoKey;
use super::timeline::{TimedStep, Timeline};
use crate::cache::{CacheKey, Tier};
use crate::credit::{Credits, Usage};
use crate::hex::hex;
use crate::photo::{Damage, InputFormat, OutputFormat, Photo};
use crate::provider::{Billed, Provider, ProviderInfo};

/// A decoded upload.
pub struct DecodedPhoto {
    pub photo: Arc<Photo>,
    pub key: PhotoKey,
}

pub struct MergedImage {
    pub bytes: Bytes,
    pub digest: [u8; 32],
}

/// Colour that passed the guard, and how it was obtained.
pub struct RouteResult {
    pub provider: Arc<dyn Provider>,
    pub color: Arc<CheckedColor>,
    /// Whether the colour comes from a call or from the cache.
    pub origin: RenditionOrigin,
    /// What the call for this colour cost, also if an earlier request made that call.
    pub cost: Cost,
    /// The providers that failed or were skipped before this one, in order.
    pub attempts: Vec<Attempt>,
    /// Time that all calls of this request took together.
    pub waited: Duration,
    /// The memory permit of a provider's own pixels, held until they are encoded; `None` for chroma.
    pub(super) _permit: Option<ImagePermit>,
}

/// A finished colour image, with its provider, cost and timings.
#[derive(Clone, Debug)]
pub struct Rendition {
    pub bytes: Bytes,
    /// SHA-256 of `bytes`: the strong entity tag, and the ID in `/v1/results/ID`.
    pub digest: [u8; 32],
    pub format: OutputFormat,
    pub width: u32,
    pub height: u32,
    /// The upload's number of pages; `None` for cached results of older versions.
    pub pages: Option<u32>,
    /// The provider that coloured it. If the upload was already in colour and is returned: the provider that would have
    /// been called.
    pub provider: String,
    pub model: String,
    /// What the call for the colour consumed; zero if the colour was cached or shared.
    pub usage: Usage,
    /// What the request would have consumed without the cache or a shared flight; `None` if nothing was saved.
    pub saved: Option<SavedCost>,
    pub origin: RenditionOrigin,
    pub in_color: bool,
    /// Which part of the upload is missing, if it was damaged.
    pub damage: Option<Damage>,
    /// The providers that failed or were skipped before this one, in order.
    pub attempts: Vec<Attempt>,
    /// The duration of each step, in order.
    pub timings: Vec<(TimedStep, Duration)>,
    /// The key of the rendition's cache entry; `None` if it is not stored and so has no address under `/v1/results`.
    pub cache_key: Option<CacheKey>,
}

/// The description that is stored with a rendition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenditionFacts {
    /// SHA-256 of the encoded image.
    pub digest: [u8; 32],
    pub width: u32,
    pub height: u32,
    /// The upload's file format. `None` for entries of older versions, if it does not follow from `own_format`.
    pub input: Option<InputFormat>,
    /// The default output format for this upload.
    pub own_format: OutputFormat,
    /// The upload's number of pages; `None` for entries of older versions.
    pub pages: Option<u32>,
    pub cost: Cost,
    pub photo: PhotoKey,
    pub in_color: bool,
    /// Which part of the upload is missing, if it was damaged.
    pub damage: Option<Damage>,
}

/// How a rendition was obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenditionOrigin {
    /// A provider was called.
    Called(MissReason),
    /// The rendition was in the cache.
    Cached(Tier),
    /// The colour was in the cache; it was merged and encoded again.
    Merged(Tier),
    /// The request followed another request's flight.
    Shared,
    /// The upload was already in colour, and its own picture is the result.
    Passed,
}

/// Why a provider was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissReason {
    /// The cache had no entry.
    Miss,
    /// The request did not allow a cache lookup.
    Request,
    /// Results of this provider are never cached.
    Bypass,
}

impl RenditionOrigin {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Called(why) => why.label(),
            Self::Cached(tier) => tier.label(),
            Self::Merged(_) => "merged",
            Self::Shared => "coalesced",
            Self::Passed => "passed",
        }
    }
}

impl MissReason {
    /// The label in metrics, and the reason in `Cache-Status` (RFC 9211, section 2.2).
    pub const fn label(self) -> &'static str {
        match self {
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Bypass => "bypass",
        }
    }
}

/// What was saved because no new call was needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedCost {
    /// The credit that a new call would have cost; `None` if unknown.
    pub credits: Option<Credits>,
    pub time: Duration,
}

/// What a result consumed when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    pub usage: Usage,
    pub time: Duration,
}

impl Cost {
    /// What is saved when the result is not made again.
    pub const fn saved(self) -> SavedCost {
        SavedCost { credits: self.usage.credits, time: self.time }
    }

    /// What using the result again consumes: zero.
    pub fn again(self) -> Usage {
        Usage { credits: Some(Credits::ZERO), cpu: self.usage.cpu.map(|_| Duration::ZERO) }
    }
}

impl Rendition {
    /// A rendition from the cache.
    pub(super) fn from_cache(
        key: CacheKey,
        facts: &RenditionFacts,
        format: OutputFormat,
        (bytes, tier): (Bytes, Tier),
        about: &ProviderInfo,
    ) -> Self {
        Self {
            bytes,
            digest: facts.digest,
            format,
            width: facts.width,
            height: facts.height,
            pages: facts.pages,
            provider: about.name.clone(),
            model: about.model.clone(),
            usage: facts.cost.again(),
            saved: Some(facts.cost.saved()),
            origin: RenditionOrigin::Cached(tier),
            in_color: facts.in_color,
            damage: facts.damage.clone(),
            attempts: Vec::new(),
            timings: Vec::new(),
            cache_key: Some(key),
        }
    }

    /// This rendition for a follower, which waited and is not charged.
    pub(super) fn shared(self, timeline: &Timeline) -> Self {
        timeline.end(TimedStep::Flight);
        let cost = self.cost();
        let attempts = self.attempts.into_iter().map(|attempt| Attempt { billed: Billed::No, ..attempt });
        Self {
            usage: cost.again(),
            saved: Some(cost.saved()),
            // Returning an upload that is already in colour costs nothing, so sharing it saves nothing.
            origin: if self.origin == RenditionOrigin::Passed {
                RenditionOrigin::Passed
            } else {
                RenditionOrigin::Shared
            },
            attempts: attempts.collect(),
            timings: timeline.steps(),
            ..self
        }
    }

    /// The provider and its model; `None` if the upload was already in colour and is returned.
    pub fn colored_by(&self) -> Option<(&str, &str)> {
        (self.origin != RenditionOrigin::Passed).then_some((&self.provider, &self.model))
    }

    /// Whether a provider earlier on the route was skipped for lack of credit.
    pub fn degraded(&self) -> bool {
        self.attempts.iter().any(Attempt::is_credit_failure)
    }

    /// What this request consumed, including failed calls that were billed.
    pub fn spent(&self) -> Usage {
        self.attempts.iter().fold(self.usage, |sum, attempt| sum.plus(attempt.billed.usage()))
    }

    /// What making this rendition costs without the cache and without a shared flight.
    pub(super) fn cost(&self) -> Cost {
        let time = self.timings.iter().filter(|(step, _)| step.is_work()).map(|(_, took)| *took).sum();
        match self.saved {
            None => Cost { usage: self.usage, time },
            Some(saved) => {
                let usage = Usage { credits: saved.credits, cpu: self.usage.cpu };
                Cost { usage, time: time + saved.time }
            }
        }
    }

    pub fn id(&self) -> String {
        hex(&self.digest)
    }
}

/// Whether the result was affected by the leader's client budget. Such a result must not be shared: another client's
/// budget may still be sufficient.
pub fn affected_by_client_budget(result: &Result<Rendition, Error>) -> bool {
    match result {
        Ok(Rendition { attempts, .. }) | Err(Error::NoProvider { attempts }) => {
            attempts.iter().any(Attempt::is_over_client_budget)
        }
        Err(_) => false,
    }
}
