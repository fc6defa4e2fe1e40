//! The format in which a leader publishes a rendition for other replicas: the length of the header (4 bytes,
//! little-endian), a JSON header with facts, provider and failed attempts, and the image.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::super::cache_codec::StoredFacts;
use super::super::error::Attempt;
use super::super::outcome::{Rendition, RenditionFacts, RenditionOrigin};
use super::super::plan::ColorizePlan;
use super::super::timeline::TimedStep;
use crate::provider::{Billed, FailureKind, ProviderError};

/// The largest image, in bytes, that is published in Redis. Other replicas look for a larger image in the shared cache,
/// and make it again if it is not stored there.
const MOST: usize = 8 << 20;

#[derive(Serialize, Deserialize)]
struct LandingHeader {
    facts: StoredFacts,
    provider: String,
    attempts: Vec<StoredAttempt>,
}

#[derive(Serialize, Deserialize)]
struct StoredAttempt {
    provider: String,
    kind: String,
    reason: String,
}

/// Serialises a rendition. Returns no bytes if its image is larger than `MOST`.
pub fn write(rendition: &Rendition, facts: &RenditionFacts) -> Bytes {
    if rendition.bytes.len() > MOST {
        return Bytes::new();
    }
    let attempt = |attempt: &Attempt| StoredAttempt {
        provider: attempt.provider.clone(),
        kind: attempt.kind.label().to_owned(),
        reason: attempt.reason.clone(),
    };
    let attempts = rendition.attempts.iter().map(attempt).collect();
    let head = LandingHeader { facts: facts.into(), provider: rendition.provider.clone(), attempts };
    let Ok(head) = serde_json::to_vec(&head) else { return Bytes::new() };
    let Ok(length) = u32::try_from(head.len()) else { return Bytes::new() };
    [&length.to_le_bytes(), &head[..], &rendition.bytes[..]].concat().into()
}

/// Reads a published rendition; `None` if it is empty or cannot be parsed, because another version wrote it.
pub fn read(plan: &ColorizePlan, landed: &Bytes) -> Option<(Rendition, RenditionFacts)> {
    let (length, rest) = landed.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let LandingHeader { facts, provider, attempts } = serde_json::from_slice(rest.get(..length)?).ok()?;
    let facts = facts.facts()?;
    // All requests of a flight have the same route.
    let about =
        plan.search.route.iter().map(|provider| provider.info()).find(|about| about.name == provider)?;
    let attempts = attempts.into_iter().map(|StoredAttempt { provider, kind, reason }| {
        let kind = FailureKind::ALL.into_iter().find(|known| known.label() == kind)?;
        let error = ProviderError::new(kind, reason).billed(Billed::No);
        Some(Attempt::new(&provider, error, Duration::ZERO))
    });
    let rendition = Rendition {
        bytes: landed.slice(size_of::<u32>() + length..),
        digest: facts.digest,
        format: plan.format,
        width: facts.width,
        height: facts.height,
        pages: facts.pages.or(Some(plan.head.pages)),
        provider: about.name.clone(),
        model: about.model.clone(),
        usage: facts.cost.usage,
        saved: None,
        origin: RenditionOrigin::Shared,
        in_color: facts.in_color,
        damage: facts.damage.clone(),
        attempts: attempts.collect::<Option<_>>()?,
        timings: vec![(TimedStep::Provider, facts.cost.time)],
        cache_key: plan.search.rendition_key(about, &plan.encoding(), plan.decoder_revision()),
    };
    Some((rendition, facts))
}
