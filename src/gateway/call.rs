//! One call of a provider: reserves the most that the call may cost, sends a small grey image, runs the output guard on
//! the result, and settles the reservation, also after a failure.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;

use super::error::Attempt;
use super::flight::Waiters;
use super::guard::{self, CheckedColor, GuardFailure};
use super::image_permits::{ImagePermit, NoImagePermit};
use super::outcome::DecodedPhoto;
use super::plan::ColorizePlan;
use super::timeline::TimedStep;
use super::{Gateway, codec};
use crate::config::OnDisconnect;
use crate::credit::{Credits, Reservation, ReserveRequest, Settlement, Usage};
use crate::observe::Saving;
use crate::photo::Gray;
use crate::provider::{
    Audience, Billed, Call, FailureKind, Provider, ProviderError, ProviderInfo, ProviderResponse, Step,
    within,
};

/// Colour that a call returned and that passed the guard.
pub struct CallResult {
    pub color: CheckedColor,
    pub usage: Usage,
    /// How long the provider took.
    pub took: Duration,
    /// The memory permit of a provider's own pixels, held until they are encoded; `None` for chroma.
    pub permit: Option<ImagePermit>,
}

impl Gateway {
    /// Reserves credit, calls the provider, checks the result and settles the reservation.
    pub(super) async fn call_provider(
        &self,
        plan: &ColorizePlan,
        waiters: &Waiters,
        decoded: &DecodedPhoto,
        provider: &dyn Provider,
        deadline: Instant,
    ) -> Result<CallResult, Attempt> {
        let about = provider.info();
        let failed = |error: ProviderError, took: Duration| Attempt::new(&about.name, error, took);
        let audience = audience(plan, waiters, about);
        if let Some(audience) = &audience
            && !audience.waits().await
        {
            return Err(failed(ProviderError::abandoned(), Duration::ZERO));
        }
        let (photo, send_max_pixels) = (decoded.photo.clone(), about.send_max_pixels);
        let gray = self.tasks.spawn_blocking(move || photo.gray_for(send_max_pixels)).await;
        let gray = Arc::new(gray.map_err(|_| failed(stopped(), Duration::ZERO))?);
        plan.timeline.end(TimedStep::Reduce);
        // If this future is dropped or panics from here on, and the call has begun, the reservation is charged in full.
        let sent_pixels = u64::from(gray.width) * u64::from(gray.height);
        let mut reservation = self.reserve(plan, about, sent_pixels).await?;
        let (begun, trace) = (reservation.connect(), plan.request.trace.clone());
        let call = Call { gray: gray.clone(), deadline, trace, audience, begun };
        let (response, took) = self.send(provider, call).await;
        plan.timeline.end(TimedStep::Provider);
        let result = match response {
            Ok(response) => self.check(plan, about, gray, response, took).await,
            Err(error) => Err(error),
        };
        plan.timeline.end(TimedStep::Guard);
        if let Err(error) = &result
            && error.kind == FailureKind::Abandoned
        {
            reservation.release();
            return Err(failed(error.clone(), took));
        }
        let charged = self.settle(about, reservation, &result, took).await;
        plan.timeline.end(TimedStep::Provider);
        plan.request.trace.report(Step::Cost, || {
            format!("{charged} credits are charged, the call took {:.3} s", took.as_secs_f64())
        });
        if let Ok(CallResult { usage: Usage { credits: Some(credits), .. }, .. }) = &result {
            self.count_luma_lock(plan, about, sent_pixels, *credits);
        }
        result.map_err(|error| failed(error, took))
    }

    /// Reserves the most that a call may cost.
    async fn reserve(
        &self,
        plan: &ColorizePlan,
        about: &ProviderInfo,
        sent_pixels: u64,
    ) -> Result<Reservation, Attempt> {
        let snapshot = &plan.search.snapshot;
        let client = plan.search.account.clone();
        let request = ReserveRequest {
            provider: about.name.clone(),
            most: snapshot.max_cost(&about.name, sent_pixels),
            pixels: plan.head.pixels(),
            sent_pixels,
            budgets: snapshot.config.budgets_of(client.as_deref()).clone(),
            client,
        };
        plan.request
            .trace
            .report(Step::Cost, || format!("at most {} credits, which must be reserved first", request.most));
        self.ledger.reserve(request).await.map_err(|error| Attempt::not_reserved(&about.name, error))
    }

    /// Calls the provider. Returns the result and how long the provider took.
    async fn send(
        &self,
        provider: &dyn Provider,
        call: Call,
    ) -> (Result<ProviderResponse, ProviderError>, Duration) {
        let (about, start, parent) = (provider.info(), Instant::now(), call.trace.parent());
        let call = within(parent, provider.colorize(call));
        // A panic in one provider must not prevent the fallback to the next. After a panic the
        // cost of the call is unknown.
        let response = AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| {
            self.memory.record_refused_output(&about.name);
            Err(stopped().billed(Billed::Unknown))
        });
        (response, start.elapsed())
    }

    /// Runs the output guard on a response.
    async fn check(
        &self,
        plan: &ColorizePlan,
        about: &ProviderInfo,
        gray: Arc<Gray>,
        ProviderResponse { color, usage }: ProviderResponse,
        took: Duration,
    ) -> Result<CallResult, ProviderError> {
        let paid = |error: ProviderError| error.billed(Billed::Yes(usage));
        let (limits, luma_lock) = (plan.config().limits.photo(), about.luma_lock);
        let full = if luma_lock { 0 } else { plan.head.pixels() };
        let permit = self.image_permits.for_result(&gray, &color, full, limits, plan.request.deadline).await;
        let (checked, permit) = match permit {
            Ok(permit) => {
                let limits = permit.limits;
                let check = move || guard::check(&gray, color, luma_lock, &limits);
                let checked =
                    codec::run(&self.tasks, &self.metrics, check).await.map_err(|_| paid(stopped()))?;
                (checked.unwrap_or(Err(GuardFailure::NotAPicture)), Some(permit))
            }
            Err(NoImagePermit::Refused(failure)) => (Err(failure), None),
            Err(NoImagePermit::Late) => {
                let late = "its answer could not be decoded in time: too many other images are being decoded";
                return Err(paid(ProviderError::new(FailureKind::Timeout, late)));
            }
        };
        plan.request.trace.report(Step::Result, || match &checked {
            Ok(_) => "the result shows the picture sent, in colour, and is used".to_owned(),
            Err(failure) => format!("refused: {}", failure.reason()),
        });
        let color = checked.map_err(|failure| {
            self.metrics.guard_refusal(&about.name, failure.label());
            self.memory.record_refused_output(&about.name);
            paid(ProviderError::new(FailureKind::BadAnswer, failure.reason()))
        })?;
        let permit = permit.filter(|_| matches!(color, CheckedColor::Own(_)));
        Ok(CallResult { color, usage, took, permit })
    }

    /// Settles a reservation and returns the charge. An unknown cost is charged as the full reservation.
    async fn settle(
        &self,
        about: &ProviderInfo,
        reservation: Reservation,
        result: &Result<CallResult, ProviderError>,
        took: Duration,
    ) -> Credits {
        let usage = match result {
            Ok(result) => result.usage,
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
    fn count_luma_lock(&self, plan: &ColorizePlan, about: &ProviderInfo, sent_pixels: u64, credits: Credits) {
        let price = plan.config().providers.get(&about.name).map(|provider| &provider.price);
        let saved = price
            .filter(|_| about.luma_lock)
            .map(|price| price.saved_by_size(credits, sent_pixels, plan.head.pixels()));
        if let Some(saved) = saved.filter(|saved| !saved.is_zero()) {
            self.metrics.saved(&about.name, Saving::LumaLock, Some(saved));
        }
    }
}

/// The waiting clients: the call is made only if one of them still waits. `None` if the call is made in any case, so
/// that the cache gets the result.
fn audience(plan: &ColorizePlan, waiters: &Waiters, about: &ProviderInfo) -> Option<Arc<dyn Audience>> {
    let on_disconnect = plan.config().providers.get(&about.name)?.on_disconnect;
    (on_disconnect == OnDisconnect::Drop).then(|| Arc::new(waiters.clone()) as Arc<dyn Audience>)
}

fn stopped() -> ProviderError {
    ProviderError::new(FailureKind::Failed, "the gateway's own work stopped unexpectedly")
}
