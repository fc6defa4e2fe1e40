//! What a request is answered with, and how it came about.

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

/// An encoded result: bytes, media type, who made it, what it cost.
#[derive(Clone, Debug)]
pub struct Rendition {
    /// The encoded picture.
    pub bytes: Bytes,
    /// SHA-256 of `bytes`: its strong entity tag, and its address among the results.
    pub digest: [u8; 32],
    /// Its format.
    pub format: OutputFormat,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The provider that coloured it; of one that was passed, the one that would have been asked.
    pub provider: String,
    /// Its model.
    pub model: String,
    /// What the call that gave the colour consumed; nothing when it was there already.
    pub usage: Usage,
    /// What it would have consumed otherwise.
    pub saved: Option<SavedCost>,
    /// How it came about.
    pub origin: RenditionOrigin,
    /// Whether the upload was in colour already.
    pub in_color: bool,
    /// What is missing of the upload, if it was damaged.
    pub damage: Option<Damage>,
    /// Who failed before.
    pub attempts: Vec<Attempt>,
    /// How long each step took, in order, by name.
    pub timings: Vec<(&'static str, Duration)>,
    /// Under what it is kept, if it is: then it can be asked for by its address.
    pub kept_under: Option<CacheKey>,
}

/// How a rendition came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenditionOrigin {
    /// A provider was called.
    Called(MissReason),
    /// It was kept as it is.
    Kept(Tier),
    /// Its colour was kept, and laid on the photo anew.
    Merged(Tier),
    /// Another request was having it made already.
    Shared,
    /// It is the upload as it was: in colour already.
    Passed,
}

/// Why a provider was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissReason {
    /// Nothing was kept of this picture.
    Miss,
    /// The request wanted a fresh result.
    Request,
    /// Nothing is ever kept of this provider.
    Bypass,
}

impl RenditionOrigin {
    /// The label in metrics.
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

/// What was not spent, because it had been before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedCost {
    /// The credit that the call had cost; `None` when that was unknown.
    pub credits: Option<Credits>,
    /// The time that it had taken.
    pub time: Duration,
}

/// What it took to make something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// What the provider consumed.
    pub usage: Usage,
    /// How long it took.
    pub time: Duration,
}

impl Cost {
    /// What is saved by not making it again.
    pub const fn saved(self) -> SavedCost {
        SavedCost { credits: self.usage.credits, time: self.time }
    }

    /// What using it again consumes: nothing.
    pub fn again(self) -> Usage {
        Usage { credits: Some(Credits::ZERO), cpu: self.usage.cpu.map(|_| Duration::ZERO) }
    }
}

impl Rendition {
    /// One that was made now, with colour that may have been kept.
    pub(super) fn new(
        plan: &ColorizePlan,
        decoded: &DecodedPhoto,
        colored: RouteResult,
        merged: MergedImage,
    ) -> Self {
        let about = colored.provider.about();
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

    /// One that was made before.
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

    /// The same for one who waited while another had it made, and paid.
    pub(super) fn shared(self, waited: Duration) -> Self {
        let cost = self.cost();
        let attempts = self.attempts.into_iter().map(|attempt| Attempt { billed: Billed::No, ..attempt });
        Self {
            usage: cost.again(),
            saved: Some(cost.saved()),
            // What costs nobody anything is not shared.
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

    /// Who coloured it, and with which model; nobody, if it was passed.
    pub fn colored_by(&self) -> Option<(&str, &str)> {
        (self.origin != RenditionOrigin::Passed).then_some((&self.provider, &self.model))
    }

    /// Whether a provider higher on the route was passed over for want of money.
    pub fn degraded(&self) -> bool {
        self.attempts.iter().any(Attempt::for_money)
    }

    /// What this request consumed: calls that failed may have been paid for, too.
    pub fn spent(&self) -> Usage {
        self.attempts.iter().fold(self.usage, |sum, attempt| sum.plus(attempt.billed.usage()))
    }

    /// What it takes to make it from nothing.
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

    /// Its digest in hexadecimal.
    pub fn id(&self) -> String {
        hex(&self.digest)
    }
}
