//! The providers of a route, asked in order until one gives colour that passes the guard.
//!
//! All of them together have the request's time: whoever has others behind it leaves a part to them, so
//! that a host which hangs does not take the built-in model's chance to answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{Attempt, Error};
use super::guard::{self, Checked};
use crate::credit::Usage;
use crate::observe::Metrics;
use crate::photo::{Limits, Photo};
use crate::provider::{Billed, Call, FailureKind, Memory, Provider, ProviderError, Readiness};

/// The most that is kept back for merging and encoding.
const FINISH: Duration = Duration::from_secs(2);

/// Colour that passed the guard, and what led to it.
pub struct Coloured {
    /// Who gave it.
    pub provider: Arc<dyn Provider>,
    /// The colour.
    pub colour: Checked,
    /// What the call consumed.
    pub usage: Usage,
    /// Who failed before, in order.
    pub attempts: Vec<Attempt>,
    /// How long the provider that answered took.
    pub took: Duration,
    /// How long all providers together took.
    pub waited: Duration,
}

/// What all calls for one photo have in common.
pub struct Caller<'c> {
    /// The photo.
    pub photo: &'c Arc<Photo>,
    /// The largest answer that is decoded.
    pub limits: Limits,
    /// When the answer is no longer wanted.
    pub deadline: Instant,
    /// Where calls are counted.
    pub metrics: &'c Metrics,
    /// What providers remember.
    pub memory: &'c Memory,
    /// Runs processor work.
    pub tasks: &'c super::Tasks,
}

impl Caller<'_> {
    /// Asks each provider in turn; the first usable colour counts.
    pub async fn first_colour(&self, route: &[Arc<dyn Provider>]) -> Result<Coloured, Error> {
        let mut attempts = Vec::new();
        let mut waited = Duration::ZERO;
        for (index, provider) in route.iter().enumerate() {
            let name = &provider.about().name;
            let others = route[index + 1..].iter().any(|other| other.readiness() == Readiness::Ready);
            let mut took = Duration::ZERO;
            let outcome = match provider.readiness() {
                Readiness::Ready => self.ask(provider.as_ref(), self.share(others), &mut took).await,
                Readiness::NotReady { why, retry_after } => {
                    Err(ProviderError::new(FailureKind::NotReady, why).retry_after(retry_after))
                }
            };
            waited += took;
            let label = outcome.as_ref().map_or_else(|error| error.kind.label(), |_| "ok");
            self.metrics.provider_call(name, label, took);
            match outcome {
                Ok((colour, usage)) => {
                    let provider = provider.clone();
                    return Ok(Coloured { provider, colour, usage, attempts, took, waited });
                }
                Err(error) => {
                    report(name, &error);
                    attempts.push(Attempt::new(name, error, took));
                }
            }
        }
        Err(Error::NoProvider { attempts })
    }

    /// Until when the next provider may take: three quarters of what is left if there are others.
    fn share(&self, others: bool) -> Instant {
        let now = Instant::now();
        let left = self.deadline.saturating_duration_since(now);
        let left = left - FINISH.min(left / 20);
        now + if others { left * 3 / 4 } else { left }
    }

    /// One call, and the guard's look at its answer. `took` becomes the time that the provider took.
    async fn ask(
        &self,
        provider: &dyn Provider,
        deadline: Instant,
        took: &mut Duration,
    ) -> Result<(Checked, Usage), ProviderError> {
        let about = provider.about();
        let (photo, send_max_pixels) = (self.photo.clone(), about.send_max_pixels);
        let stopped = |_| ProviderError::new(FailureKind::Failed, "our own work stopped unexpectedly");
        let grey = self.tasks.spawn_blocking(move || photo.grey_for(send_max_pixels));
        let grey = Arc::new(grey.await.map_err(stopped)?);

        let start = Instant::now();
        let answer = provider.colorize(Call { grey: grey.clone(), deadline }).await;
        *took = start.elapsed();
        let answer = answer?;

        let (limits, luma_lock) = (self.limits, about.luma_lock);
        let check = self.tasks.spawn_blocking(move || guard::check(&grey, answer.colour, luma_lock, &limits));
        let paid = |error: ProviderError| error.billed(Billed::Yes(answer.usage));
        let checked = check.await.map_err(|error| paid(stopped(error)))?;
        let colour = checked.map_err(|flaw| {
            self.metrics.guard_refusal(&about.name, flaw.label());
            self.memory.refused(&about.name);
            paid(ProviderError::new(FailureKind::BadAnswer, flaw.reason()))
        })?;
        Ok((colour, answer.usage))
    }
}

/// A provider that is not ready was passed over, which is not worth a line for every picture.
fn report(name: &str, error: &ProviderError) {
    let kind = error.kind.label();
    match error.kind {
        FailureKind::NotReady => {
            tracing::debug!(provider = %name, "provider {name} was passed over: {error}")
        }
        _ => tracing::warn!(provider = %name, kind, "provider {name} failed: {error}"),
    }
}
