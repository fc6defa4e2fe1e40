//! The providers of a route, asked in order until one gives colour that passes the guard.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{Attempt, Error};
use super::guard::{self, Checked};
use crate::credit::Usage;
use crate::observe::Metrics;
use crate::photo::{Limits, Photo};
use crate::provider::{Billed, Call, FailureKind, Provider, ProviderError, Readiness};

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
    /// Runs processor work.
    pub tasks: &'c super::Tasks,
}

impl Caller<'_> {
    /// Asks each provider in turn; the first usable colour counts.
    pub async fn first_colour(&self, route: &[Arc<dyn Provider>]) -> Result<Coloured, Error> {
        let mut attempts = Vec::new();
        for provider in route {
            let about = provider.about();
            let start = Instant::now();
            let outcome = self.ask(provider.as_ref()).await;
            let took = start.elapsed();
            let label = outcome.as_ref().map_or_else(|error| error.kind.label(), |_| "ok");
            self.metrics.provider_call(&about.name, label, took);
            match outcome {
                Ok((colour, usage)) => {
                    return Ok(Coloured { provider: provider.clone(), colour, usage, attempts, took });
                }
                Err(error) => {
                    let kind = error.kind.label();
                    tracing::warn!(provider = %about.name, kind, "provider {} failed: {error}", about.name);
                    attempts.push(Attempt::new(&about.name, error));
                }
            }
        }
        Err(Error::NoProvider { attempts })
    }

    async fn ask(&self, provider: &dyn Provider) -> Result<(Checked, Usage), ProviderError> {
        let about = provider.about();
        if let Readiness::NotReady(why) = provider.readiness() {
            return Err(unbilled(FailureKind::NotReady, why));
        }
        let (photo, send_max_pixels) = (self.photo.clone(), about.send_max_pixels);
        let stopped = |_| unbilled(FailureKind::Failed, "the work stopped unexpectedly".into());
        let grey =
            self.tasks.spawn_blocking(move || photo.grey_for(send_max_pixels)).await.map_err(stopped)?;
        let grey = Arc::new(grey);
        let answer = provider.colorize(Call { grey: grey.clone(), deadline: self.deadline }).await?;

        let (limits, luma_lock) = (self.limits, about.luma_lock);
        let check = move || guard::check(&grey, answer.colour, luma_lock, &limits);
        let checked = self.tasks.spawn_blocking(check).await.map_err(stopped)?;
        let colour = checked.map_err(|flaw| {
            self.metrics.guard_refusal(&about.name, flaw.label());
            ProviderError {
                kind: FailureKind::BadAnswer,
                message: flaw.reason().to_owned(),
                billed: Billed::Yes,
                retry_after: None,
            }
        })?;
        Ok((colour, answer.usage))
    }
}

fn unbilled(kind: FailureKind, message: String) -> ProviderError {
    ProviderError { kind, message, billed: Billed::No, retry_after: None }
}
