//! Renditions: their origins, the credit and time that was saved, and the time that our own work took.

use std::time::Duration;

use prometheus::{CounterVec, Histogram, IntCounterVec};

use super::Metrics;
use super::make::{Make, float};
use crate::credit::Credits;

/// Histogram bounds in seconds: from a thumbnail to the largest photo.
const SECONDS: &[f64] = &[0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Why credit was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saving {
    /// The rendition or its chroma was cached.
    Hit,
    /// Another request's flight was shared.
    Coalesced,
    /// A small image was sent to a provider that charges per megapixel.
    LumaLock,
    /// The upload was in colour already.
    AlreadyColor,
}

impl Saving {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Coalesced => "coalesced",
            Self::LumaLock => "luma_lock",
            Self::AlreadyColor => "already_colour",
        }
    }
}

pub(super) struct Renditions {
    answered: IntCounterVec,
    overhead: Histogram,
    saved_credits: CounterVec,
    saved_seconds: CounterVec,
}

impl Renditions {
    pub(super) fn new(make: &Make<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            answered: make.counter(
                "pixcolor_renditions_total",
                "Results by origin: memory, disk, store (the shared bucket), merged (from cached chroma), coalesced \
                 (from another request's call), passed (in colour already), or a call of a provider: miss, request \
                 (without a cache lookup), bypass (results are never cached).",
                &["origin"],
            )?,
            overhead: make.one_histogram(
                "pixcolor_overhead_seconds",
                "Time to make a rendition, without the provider's call: decoding, merging, encoding, and the queue \
                 before them.",
                SECONDS,
            )?,
            saved_credits: make.sum(
                "pixcolor_saved_credits_total",
                "Credits saved, as far as known, by provider and reason: hit, coalesced, luma_lock (a small image was sent at a price per megapixel), already_colour (the likely cost of a call).",
                &["provider", "reason"],
            )?,
            saved_seconds: make.sum(
                "pixcolor_saved_seconds_total",
                "Seconds of work saved, by reason: hit, coalesced, already_colour.",
                &["reason"],
            )?,
        })
    }
}

impl Metrics {
    /// Counts a rendition by its origin.
    pub fn rendition(&self, origin: &'static str) {
        self.0.rendition.answered.with_label_values(&[origin]).inc();
    }

    /// Records the time of our own work for a photo.
    pub fn overhead(&self, took: Duration) {
        self.0.rendition.overhead.observe(took.as_secs_f64());
    }

    /// Adds saved credit; unknown amounts are not counted.
    pub fn saved(&self, provider: &str, saving: Saving, credits: Option<Credits>) {
        let credits = credits.map_or(0.0, float);
        self.0.rendition.saved_credits.with_label_values(&[provider, saving.label()]).inc_by(credits);
    }

    /// Adds saved time.
    pub fn saved_time(&self, saving: Saving, time: Duration) {
        self.0.rendition.saved_seconds.with_label_values(&[saving.label()]).inc_by(time.as_secs_f64());
    }

    /// Creates the series of a possible saving at 0.
    pub(super) fn saves(&self, provider: &str, saving: Saving) {
        self.saved(provider, saving, None);
        self.saved_time(saving, Duration::ZERO);
    }
}
