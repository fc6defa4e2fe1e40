//! Tries the providers of a route in order, until one returns colour that passes the output guard. For each provider:
//! look up its colour for this photo in the cache; if there is none, reserve the most that the call may cost, call the
//! provider, check the result and settle the reservation, also after a failure.
//!
//! All providers share the request's time. A provider with others behind it gets only a part of what is left, so that a
//! host that hangs leaves enough time for the built-in model.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;

use super::answers::{ImagePermit, ImagePermits, NoImagePermit};
use super::cache_codec;
use super::codec;
use super::error::{Attempt, Error};
use super::flight::Waiters;
use super::guard::{self, CheckedColor, GuardFailure};
use super::plan::ColorizePlan;
use super::recall::FORMATS;
use super::rendition::{Cost, MissReason, RenditionOrigin};
use super::steps::DecodedPhoto;
use crate::cache::{Cache, CacheKey, Tier};
use crate::config::OnDisconnect;
use crate::credit::{Credits, Ledger, Reservation, ReserveRequest, Settlement, Usage};
use crate::observe::{Metrics, Saving};
use crate::photo::{Chroma, Limits, Rgb};
use crate::provider::{
    Audience, Billed, Call, FailureKind, Provider, ProviderError, ProviderInfo, ProviderMemory,
    ProviderResponse, Readiness, Step, within,
};

/// The most time that is set aside for merging and encoding.
const FINISH: Duration = Duration::from_secs(2);

/// Colour that passed the guard, and how it was obtained.
pub struct RouteResult {
    pub provider: Arc<dyn Provider>,
    pub color: Arc<CheckedColor>,
    /// Whether the colour comes from a call or from the cache.
    pub origin: RenditionOrigin,
    /// What the call cost, also when it was an earlier one.
    pub cost: Cost,
    /// The providers that failed or were skipped before, in order.
    pub attempts: Vec<Attempt>,
    /// Time for the call or the cache lookup.
    pub took: Duration,
    /// Time that all calls of this request took together.
    pub waited: Duration,
    /// A provider's own pixels stay in memory until they are encoded.
    _room: Option<ImagePermit>,
}

/// The context of all calls for one photo.
pub struct CallContext<'c> {
    pub plan: &'c ColorizePlan,
    /// The requests that wait for this flight.
    pub waiters: &'c Waiters,
    pub decoded: &'c DecodedPhoto,
    pub cache: &'c dyn Cache,
    pub ledger: &'c dyn Ledger,
    pub metrics: &'c Metrics,
    pub memory: &'c ProviderMemory,
    pub tasks: &'c crate::tasks::Tasks,
    pub answers: &'c ImagePermits,
}

impl CallContext<'_> {
    /// Tries each provider in turn and returns the first usable colour.
    pub async fn first_color(&self) -> Result<RouteResult, Error> {
        let route = &self.plan.search.route;
        let mut attempts = Vec::new();
        let mut waited = Duration::ZERO;
        for (index, provider) in route.iter().enumerate() {
            let start = Instant::now();
            if let Some((color, cost, tier, room)) = self.kept(provider.info()).await {
                let (provider, color, origin) =
                    (provider.clone(), Arc::new(color), RenditionOrigin::Merged(tier));
                let took = start.elapsed();
                return Ok(RouteResult {
                    provider,
                    color,
                    origin,
                    cost,
                    attempts,
                    took,
                    waited,
                    _room: room,
                });
            }
            let name = &provider.info().name;
            let others = route[index + 1..].iter().any(|other| other.readiness() == Readiness::Ready);
            let mut took = Duration::ZERO;
            let outcome = match provider.readiness() {
                Readiness::Ready => self.ask(provider.as_ref(), self.share(others), &mut took).await,
                Readiness::NotReady { why, retry_after } => {
                    Err(Attempt::new(name, not_ready(why, retry_after), took))
                }
            };
            waited += took;
            let kind = outcome.as_ref().err().map(|attempt| attempt.kind);
            self.metrics.provider_call(name, kind, took);
            match outcome {
                Ok((GuardedColor { color, room }, usage)) => {
                    let origin = RenditionOrigin::Called(self.why(provider.info()));
                    let (provider, color) = (provider.clone(), Arc::new(color));
                    let cost = Cost { usage, time: took };
                    return Ok(RouteResult {
                        provider,
                        color,
                        origin,
                        cost,
                        attempts,
                        took,
                        waited,
                        _room: room,
                    });
                }
                Err(attempt) => {
                    report(&attempt);
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
    async fn kept(&self, about: &ProviderInfo) -> Option<(CheckedColor, Cost, Tier, Option<ImagePermit>)> {
        let key = self.plan.color_key(about, &self.decoded.key).filter(|_| self.plan.ask.reuse.find)?;
        let (bytes, cost, tier) = match cache_codec::color(self.cache, &key).await {
            Some(found) => found,
            None => self.kept_by_an_older_decoder(about, &key).await?,
        };
        let luma_lock = about.luma_lock;
        let room = match luma_lock {
            true => None,
            false => Some(self.answers.of(&bytes, Limits::NONE, self.plan.ask.deadline).await.ok()?),
        };
        let read = move || match luma_lock {
            true => Chroma::from_bytes(&bytes).map(CheckedColor::Chroma),
            false => Rgb::from_bytes(&bytes).map(CheckedColor::Own),
        };
        let color = codec::run(self.tasks, self.metrics, read).await.ok()?;
        color.map(|color| (color, cost, tier, room)).ok()
    }

    /// A provider's own pixels that are cached under an older decoder revision. They are still correct if the older
    /// decoder read the same photo, so they are copied to the current key instead of being paid for again. Chroma needs
    /// none of this: its key is the photo's pixels.
    async fn kept_by_an_older_decoder(
        &self,
        about: &ProviderInfo,
        key: &CacheKey,
    ) -> Option<(Bytes, Cost, Tier)> {
        if about.luma_lock {
            return None;
        }
        let ColorizePlan { head, search, ask, .. } = self.plan;
        for revision in (0..head.format.decoder_revision()).rev() {
            for format in FORMATS {
                let facts =
                    cache_codec::facts(self.cache, &search.rendition_key(about, format, revision)?).await;
                if facts.is_some_and(|facts| facts.photo == self.decoded.key) {
                    let old = search.color_key(about, &self.decoded.key, revision)?;
                    let (bytes, cost, tier) = cache_codec::color(self.cache, &old).await?;
                    if ask.reuse.keep {
                        cache_codec::keep_color(self.cache, key, &bytes, cost).await;
                    }
                    return Some((bytes, cost, tier));
                }
            }
        }
        None
    }

    fn why(&self, about: &ProviderInfo) -> MissReason {
        match (self.plan.search.keeps(about), self.plan.ask.reuse.find) {
            (false, _) => MissReason::Bypass,
            (true, false) => MissReason::Request,
            (true, true) => MissReason::Miss,
        }
    }

    /// The deadline of the next provider: three quarters of the remaining time if other providers follow.
    fn share(&self, others: bool) -> Instant {
        let now = Instant::now();
        let left = self.plan.ask.deadline.saturating_duration_since(now);
        let left = left - FINISH.min(left / 20);
        now + if others { left * 3 / 4 } else { left }
    }

    /// Reserves, calls and settles. `took` becomes the provider's time.
    async fn ask(
        &self,
        provider: &dyn Provider,
        deadline: Instant,
        took: &mut Duration,
    ) -> Result<(GuardedColor, Usage), Attempt> {
        let about = provider.info();
        let audience = self.audience(about);
        if let Some(audience) = &audience
            && !audience.waits().await
        {
            return Err(Attempt::new(&about.name, ProviderError::abandoned(), *took));
        }
        let (photo, send_max_pixels) = (self.decoded.photo.clone(), about.send_max_pixels);
        let gray = self.tasks.spawn_blocking(move || photo.gray_for(send_max_pixels)).await;
        let gray = Arc::new(gray.map_err(|_| Attempt::new(&about.name, stopped(), *took))?);
        // If this future is dropped or panics from here on, the reservation is charged in full if the call has begun.
        let sent_pixels = u64::from(gray.width) * u64::from(gray.height);
        let mut reservation = self.reserve(about, sent_pixels).await?;
        let begun = reservation.connect();
        let call = Call { gray, deadline, trace: self.plan.ask.trace.clone(), audience, begun };
        let result = self.call(provider, call, took).await;
        if let Err(error) = &result
            && error.kind == FailureKind::Abandoned
        {
            reservation.release();
            return Err(Attempt::new(&about.name, error.clone(), *took));
        }
        let charged = self.settle(about, reservation, &result, *took).await;
        self.plan.ask.trace.report(Step::Cost, || {
            format!("{charged} credits are charged, {:.3} s were taken", took.as_secs_f64())
        });
        if let Ok((_, Usage { credits: Some(credits), .. })) = &result {
            self.count_luma_lock(about, sent_pixels, *credits);
        }
        result.map_err(|error| Attempt::new(&about.name, error, *took))
    }

    /// The clients of which one must still wait when the call begins; `None` if the call is made in any case, for the
    /// cache.
    fn audience(&self, about: &ProviderInfo) -> Option<Arc<dyn Audience>> {
        let on_disconnect = self.plan.config().providers.get(&about.name)?.on_disconnect;
        (on_disconnect == OnDisconnect::Drop).then(|| Arc::new(self.waiters.clone()) as Arc<dyn Audience>)
    }

    /// Reserves the most that a call may cost.
    async fn reserve(&self, about: &ProviderInfo, sent_pixels: u64) -> Result<Reservation, Attempt> {
        let ColorizePlan { ask, search, .. } = self.plan;
        let config = &search.snapshot.config;
        let client = ask.client.account(config.clients.ipv6_prefix);
        let wish = ReserveRequest {
            provider: about.name.clone(),
            most: search.snapshot.most(&about.name, sent_pixels),
            pixels: self.plan.head.pixels(),
            sent_pixels,
            budgets: config.budgets_of(client.as_deref()).clone(),
            client,
        };
        ask.trace.report(Step::Cost, || format!("at most {} credits, which are set aside", wish.most));
        self.ledger.reserve(wish).await.map_err(|error| Attempt::unpaid(&about.name, error))
    }

    /// Settles a reservation and returns the charge. An unknown cost is charged as the full reservation.
    async fn settle(
        &self,
        about: &ProviderInfo,
        reservation: Reservation,
        result: &Result<(GuardedColor, Usage), ProviderError>,
        took: Duration,
    ) -> Credits {
        let usage = match result {
            Ok((_, usage)) => *usage,
            Err(error) => error.usage(),
        };
        let settlement = Settlement {
            credits: usage.credits,
            colored: result.is_ok(),
            took,
            cpu: usage.cpu.unwrap_or_default(),
        };
        let settled = self.ledger.settle(reservation, settlement).await;
        self.metrics.settled(&about.name, &settled);
        settled.charged
    }

    /// Counts the credit saved because only a small picture was sent.
    fn count_luma_lock(&self, about: &ProviderInfo, sent_pixels: u64, credits: Credits) {
        let price = self.plan.config().providers.get(&about.name).map(|provider| &provider.price);
        let saved = price
            .filter(|_| about.luma_lock)
            .map(|price| price.saved_by_size(credits, sent_pixels, self.plan.head.pixels()));
        if let Some(saved) = saved.filter(|saved| !saved.is_zero()) {
            self.metrics.saved(&about.name, Saving::LumaLock, Some(saved));
        }
    }

    /// Calls the provider and runs the output guard. `took` becomes the provider's time.
    async fn call(
        &self,
        provider: &dyn Provider,
        call: Call,
        took: &mut Duration,
    ) -> Result<(GuardedColor, Usage), ProviderError> {
        let about = provider.info();
        let start = Instant::now();
        let (gray, parent) = (call.gray.clone(), call.trace.parent());
        let call = within(parent, provider.colorize(call));
        // A panic in one provider must not prevent the fallback to the next. Its cost is unknown.
        let answer = AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| {
            self.memory.record_refused_output(&about.name);
            Err(stopped().billed(Billed::Unknown))
        });
        *took = start.elapsed();
        let ProviderResponse { color, usage } = answer?;

        let paid = |error: ProviderError| error.billed(Billed::Yes(usage));
        let (limits, luma_lock) = (self.plan.config().limits.photo(), about.luma_lock);
        let full = if luma_lock { 0 } else { self.plan.head.pixels() };
        let room = self.answers.room(&gray, &color, full, limits, self.plan.ask.deadline).await;
        let (checked, room) = match room {
            Ok(room) => {
                let limits = room.limits;
                let check = move || guard::check(&gray, color, luma_lock, &limits);
                let checked =
                    codec::run(self.tasks, self.metrics, check).await.map_err(|_| paid(stopped()))?;
                (checked.unwrap_or(Err(GuardFailure::NotAPicture)), Some(room))
            }
            Err(NoImagePermit::Refused(flaw)) => (Err(flaw), None),
            Err(NoImagePermit::Late) => {
                let late = "its answer could not be decoded in time: too many other images are being decoded";
                return Err(paid(ProviderError::new(FailureKind::Timeout, late)));
            }
        };
        self.plan.ask.trace.report(Step::Result, || match &checked {
            Ok(_) => "the picture sent, in colour: it is used".to_owned(),
            Err(flaw) => format!("refused: {}", flaw.reason()),
        });
        let color = checked.map_err(|flaw| {
            self.metrics.guard_refusal(&about.name, flaw.label());
            self.memory.record_refused_output(&about.name);
            paid(ProviderError::new(FailureKind::BadAnswer, flaw.reason()))
        })?;
        let room = room.filter(|_| matches!(color, CheckedColor::Own(_)));
        Ok((GuardedColor { color, room }, usage))
    }
}

/// Colour that passed the guard, and the permit for its memory.
struct GuardedColor {
    color: CheckedColor,
    room: Option<ImagePermit>,
}

fn stopped() -> ProviderError {
    ProviderError::new(FailureKind::Failed, "the gateway's own work stopped unexpectedly")
}

pub fn not_ready(why: String, retry_after: Option<Duration>) -> ProviderError {
    ProviderError::new(FailureKind::NotReady, why).retry_after(retry_after)
}

/// Logs a failure as a warning. A provider that was skipped is logged at debug level only: it may be skipped for every
/// picture.
fn report(Attempt { provider, kind, reason, .. }: &Attempt) {
    if kind.was_called() {
        let kind = kind.label();
        tracing::warn!(%provider, kind, "provider {provider} failed: {reason}");
    } else {
        tracing::debug!(%provider, "provider {provider} was passed over: {reason}");
    }
}
