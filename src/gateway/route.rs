//! Tries the providers of a route in order, until one returns colour that passes the output guard. A provider's colour
//! for this photo is looked up in the cache before the provider is called.
//!
//! All providers share the request's time. If other ready providers follow, a provider gets only a part of the
//! remaining time, so that a host that hangs leaves enough time for the others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::call::CallResult;
use super::error::{Attempt, Error};
use super::flight::Waiters;
use super::guard::CheckedColor;
use super::image_permits::ImagePermit;
use super::outcome::{Cost, DecodedPhoto, MissReason, RenditionOrigin, RouteResult};
use super::plan::ColorizePlan;
use super::timeline::TimedStep;
use super::{Gateway, cache_codec, codec};
use crate::cache::{CacheKey, Tier};
use crate::photo::{Chroma, Limits, Rgb};
use crate::provider::{FailureKind, ProviderInfo, Readiness};

/// The most time that is set aside for merging and encoding.
const FINISH: Duration = Duration::from_secs(2);

struct CachedColor {
    color: CheckedColor,
    cost: Cost,
    tier: Tier,
    permit: Option<ImagePermit>,
}

impl Gateway {
    /// Fails if no provider of the route can be called now, so that the upload of a request that must fail is not
    /// decoded. A result for the same file in the cache shows that its colour may be there, too.
    pub(super) async fn require_provider(&self, plan: &ColorizePlan) -> Result<(), Error> {
        let (search, mut attempts, mut stored) = (&plan.search, Vec::new(), None);
        for provider in &search.route {
            let Readiness::NotReady { why, retry_after } = provider.readiness() else { return Ok(()) };
            let about = provider.info();
            if plan.request.reuse.lookup {
                let stored = match &stored {
                    Some(stored) => stored,
                    None => stored.insert(self.stored_keys(search.fingerprint).await),
                };
                let facts = self.facts_in_any_encoding(search, about, plan.decoder_revision(), stored).await;
                if !facts.is_empty() {
                    return Ok(());
                }
            }
            attempts.push(Attempt::not_ready(&about.name, why, retry_after));
        }
        for attempt in &attempts {
            self.metrics.provider_call(&attempt.provider, Some(attempt.kind), attempt.took);
            log(attempt);
        }
        Err(Error::NoProvider { attempts })
    }

    /// Tries each provider in turn and returns the first usable colour.
    pub(super) async fn first_color(
        &self,
        plan: &ColorizePlan,
        waiters: &Waiters,
        decoded: &DecodedPhoto,
    ) -> Result<RouteResult, Error> {
        let route = &plan.search.route;
        let mut attempts = Vec::new();
        let mut waited = Duration::ZERO;
        for (index, provider) in route.iter().enumerate() {
            let about = provider.info();
            if let Some(CachedColor { color, cost, tier, permit }) =
                self.cached_color(plan, decoded, about).await
            {
                plan.timeline.end(TimedStep::Cache);
                let (provider, color) = (provider.clone(), Arc::new(color));
                let origin = RenditionOrigin::Merged(tier);
                return Ok(RouteResult { provider, color, origin, cost, attempts, waited, _permit: permit });
            }
            plan.timeline.end(TimedStep::Queue);
            let outcome = match provider.readiness() {
                Readiness::Ready => {
                    let others = route[index + 1..].iter().any(|other| other.readiness() == Readiness::Ready);
                    let deadline = provider_deadline(plan.request.deadline, others);
                    self.call_provider(plan, waiters, decoded, provider.as_ref(), deadline).await
                }
                Readiness::NotReady { why, retry_after } => {
                    Err(Attempt::not_ready(&about.name, why, retry_after))
                }
            };
            let (took, failure) = match &outcome {
                Ok(result) => (result.took, None),
                Err(attempt) => (attempt.took, Some(attempt.kind)),
            };
            waited += took;
            self.metrics.provider_call(&about.name, failure, took);
            match outcome {
                Ok(CallResult { color, usage, took, permit }) => {
                    let (provider, color) = (provider.clone(), Arc::new(color));
                    let origin = RenditionOrigin::Called(miss_reason(plan, about));
                    let cost = Cost { usage, time: took };
                    return Ok(RouteResult {
                        provider,
                        color,
                        origin,
                        cost,
                        attempts,
                        waited,
                        _permit: permit,
                    });
                }
                Err(attempt) => {
                    log(&attempt);
                    if attempt.kind == FailureKind::Abandoned {
                        return Err(Error::Abandoned { provider: attempt.provider });
                    }
                    attempts.push(attempt);
                }
            }
        }
        Err(Error::NoProvider { attempts })
    }

    /// A provider's cached colour for this photo, if the request allows a lookup.
    async fn cached_color(
        &self,
        plan: &ColorizePlan,
        decoded: &DecodedPhoto,
        about: &ProviderInfo,
    ) -> Option<CachedColor> {
        let key = plan.search.color_key(about, Some(&decoded.key), plan.decoder_revision());
        let key = key.filter(|_| plan.request.reuse.lookup)?;
        let (bytes, cost, tier) = match cache_codec::lookup_color(self.cache(), &key).await {
            Some(hit) => hit,
            None => self.cached_by_older_decoder(plan, decoded, about, &key).await?,
        };
        let luma_lock = about.luma_lock;
        let permit = match luma_lock {
            true => None,
            false => {
                let deadline = plan.request.deadline;
                Some(self.image_permits.for_file(&bytes, Limits::NONE, deadline).await.ok()?)
            }
        };
        let read = move || match luma_lock {
            true => Chroma::from_bytes(&bytes).map(CheckedColor::Chroma),
            false => Rgb::from_bytes(&bytes).map(CheckedColor::Own),
        };
        let color = codec::run(&self.tasks, &self.metrics, read).await.ok()?.ok()?;
        Some(CachedColor { color, cost, tier, permit })
    }

    /// A provider's own pixels that are cached under an older decoder revision. They are still correct if the older
    /// decoder read the same photo, so they are copied to the current key instead of being paid for again. Chroma is
    /// not affected, because its key depends on the photo's pixels and not on a decoder revision.
    async fn cached_by_older_decoder(
        &self,
        plan: &ColorizePlan,
        decoded: &DecodedPhoto,
        about: &ProviderInfo,
        key: &CacheKey,
    ) -> Option<(Bytes, Cost, Tier)> {
        if about.luma_lock {
            return None;
        }
        let (cache, search) = (self.cache(), &plan.search);
        let stored = self.stored_keys(search.fingerprint).await;
        for revision in (0..plan.decoder_revision()).rev() {
            let facts = self.facts_in_any_encoding(search, about, revision, &stored).await;
            if facts.iter().any(|facts| facts.photo == decoded.key) {
                let old = search.color_key(about, Some(&decoded.key), revision)?;
                let (bytes, cost, tier) = cache_codec::lookup_color(cache, &old).await?;
                if plan.request.reuse.store {
                    cache_codec::store_color(cache, key, &bytes, cost).await;
                }
                return Some((bytes, cost, tier));
            }
        }
        None
    }
}

fn miss_reason(plan: &ColorizePlan, about: &ProviderInfo) -> MissReason {
    match (plan.search.is_cached(about), plan.request.reuse.lookup) {
        (false, _) => MissReason::Bypass,
        (true, false) => MissReason::Request,
        (true, true) => MissReason::Miss,
    }
}

/// The deadline of a provider: after all of the remaining time, or after three quarters if other ready providers
/// follow. The time for merging and encoding is subtracted first.
fn provider_deadline(request: Instant, others: bool) -> Instant {
    let now = Instant::now();
    let left = request.saturating_duration_since(now);
    let left = left - FINISH.min(left / 20);
    now + if others { left * 3 / 4 } else { left }
}

/// Logs a failure as a warning. A provider that was skipped is logged at debug level only: it may be skipped for every
/// picture.
fn log(Attempt { provider, kind, reason, .. }: &Attempt) {
    if kind.was_called() {
        let kind = kind.label();
        tracing::warn!(%provider, kind, "provider {provider} failed: {reason}");
    } else {
        tracing::debug!(%provider, "provider {provider} was skipped: {reason}");
    }
}
