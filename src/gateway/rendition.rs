//! Renditions: the finished result of a request, and how it was obtained.

use std::time::Duration;

use bytes::Bytes;

use super::cache_codec::RenditionFacts;
use super::error::Attempt;
use super::plan::ColorizePlan;
use super::route::RouteResult;
use super::steps::{DecodedPhoto, MergedImage};
use crate::cache::{CacheKey, Tier};
use crate::credit::{Credits, Usage};
use crate::hex::hex;
use crate::photo::{Damage, OutputFormat};
use crate::provider::{Billed, ProviderInfo};

/// A finished colour image, with its provider, cost and timings.
#[derive(Clone, Debug)]
pub struct Rendition {
    pub bytes: Bytes,
    /// SHA-256 of `bytes`: the strong entity tag, and the ID in `/v1/results/ID`.
    pub digest: [u8; 32],
    pub format: OutputFormat,
    pub width: u32,
    pub height: u32,
    /// The provider that coloured it. For an upload that was returned uncoloured: the provider that would have been
    /// called.
    pub provider: String,
    pub model: String,
    /// What the call for the colour consumed; zero if the colour was cached or shared.
    pub usage: Usage,
    /// What the request would have consumed without the cache or a shared flight.
    pub saved: Option<SavedCost>,
    pub origin: RenditionOrigin,
    pub in_color: bool,
    /// Which part of the upload is missing, if it was damaged.
    pub damage: Option<Damage>,
    /// The providers that failed or were skipped before, in order.
    pub attempts: Vec<Attempt>,
    /// The name and duration of each step, in order.
    pub timings: Vec<(&'static str, Duration)>,
    /// The key of its cache entry; `None` if it is not stored and so has no address under `/v1/results`.
    pub kept_under: Option<CacheKey>,
}

/// How a rendition was obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenditionOrigin {
    /// A provider was called.
    Called(MissReason),
    /// The rendition was in the cache.
    Kept(Tier),
    /// The colour was in the cache; it was merged and encoded again.
    Merged(Tier),
    /// The request followed another request's flight.
    Shared,
    /// The upload was already in colour and is returned as it looks.
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
            Self::Kept(tier) => tier.label(),
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

/// What was saved because an earlier or a shared call was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedCost {
    /// The credit that the call cost; `None` if unknown.
    pub credits: Option<Credits>,
    pub time: Duration,
}

/// What making a result consumed.
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
    /// A rendition that was encoded now; its colour may come from the cache.
    pub(super) fn new(
        plan: &ColorizePlan,
        decoded: &DecodedPhoto,
        colored: RouteResult,
        merged: MergedImage,
    ) -> Self {
        let about = colored.provider.info();
        let (step, usage, saved) = match colored.origin {
            RenditionOrigin::Called(_) => ("provider", colored.cost.usage, None),
            _ => ("cache", colored.cost.again(), Some(colored.cost.saved())),
        };
        Self {
            bytes: merged.bytes,
            digest: merged.digest,
            format: plan.format,
            width: decoded.photo.width(),
            height: decoded.photo.height(),
            provider: about.name.clone(),
            model: about.model.clone(),
            usage,
            saved,
            origin: colored.origin,
            in_color: decoded.photo.is_colored(),
            damage: decoded.photo.damage.clone(),
            timings: vec![
                ("decode", decoded.took),
                (step, colored.took),
                ("merge", merged.merge),
                ("encode", merged.encode),
            ],
            kept_under: plan.rendition_key(about).filter(|_| plan.ask.reuse.keep),
            attempts: colored.attempts,
        }
    }

    /// A rendition from the cache.
    pub(super) fn kept(
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
            provider: about.name.clone(),
            model: about.model.clone(),
            usage: facts.cost.again(),
            saved: Some(facts.cost.saved()),
            origin: RenditionOrigin::Kept(tier),
            in_color: facts.in_color,
            damage: facts.damage.clone(),
            attempts: Vec::new(),
            timings: Vec::new(),
            kept_under: Some(key),
        }
    }

    /// This rendition for a follower, who waited and is not charged.
    pub(super) fn shared(self, waited: Duration) -> Self {
        let cost = self.cost();
        let attempts = self.attempts.into_iter().map(|attempt| Attempt { billed: Billed::No, ..attempt });
        Self {
            usage: cost.again(),
            saved: Some(cost.saved()),
            // Returning an upload uncoloured costs nothing, so sharing it saves nothing.
            origin: if self.origin == RenditionOrigin::Passed {
                RenditionOrigin::Passed
            } else {
                RenditionOrigin::Shared
            },
            attempts: attempts.collect(),
            timings: vec![("flight", waited)],
            ..self
        }
    }

    /// The provider and its model; `None` if the upload was returned uncoloured.
    pub fn colored_by(&self) -> Option<(&str, &str)> {
        (self.origin != RenditionOrigin::Passed).then_some((&self.provider, &self.model))
    }

    /// Whether a provider higher on the route was skipped for lack of credit.
    pub fn degraded(&self) -> bool {
        self.attempts.iter().any(Attempt::for_money)
    }

    /// What this request consumed, including failed calls that were billed.
    pub fn spent(&self) -> Usage {
        self.attempts.iter().fold(self.usage, |sum, attempt| sum.plus(attempt.billed.usage()))
    }

    /// What making this rendition without a cache costs.
    pub(super) fn cost(&self) -> Cost {
        let time = self.timings.iter().map(|(_, took)| *took).sum();
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
