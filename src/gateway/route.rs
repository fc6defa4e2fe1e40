//! The providers of a route, asked in order until one gives colour that passes the guard. Before each is
//! called, the colour that it gave for this photo before is looked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{Attempt, Error};
use super::guard::{self, Checked};
use super::plan::Plan;
use super::rendition::{Origin, Spent, Why};
use super::shelf;
use super::steps::Decoded;
use crate::cache::{Cache, Tier};
use crate::credit::Usage;
use crate::observe::Metrics;
use crate::photo::{Chroma, Rgb};
use crate::provider::{About, Billed, Call, FailureKind, Provider, ProviderError, Readiness};

/// Colour that passed the guard, and what led to it.
pub struct Coloured {
    /// Who gave it.
    pub provider: Arc<dyn Provider>,
    /// The colour.
    pub colour: Arc<Checked>,
    /// Whether it was made now or kept.
    pub origin: Origin,
    /// What it took to make it.
    pub spent: Spent,
    /// How long it took now.
    pub took: Duration,
    /// Who failed before, in order.
    pub attempts: Vec<Attempt>,
}

/// What all calls for one photo have in common.
pub struct Caller<'c> {
    /// The request.
    pub plan: &'c Plan,
    /// The photo.
    pub decoded: &'c Decoded,
    /// Where colour is kept.
    pub cache: &'c dyn Cache,
    /// Where calls are counted.
    pub metrics: &'c Metrics,
    /// Runs processor work.
    pub tasks: &'c super::Tasks,
}

impl Caller<'_> {
    /// Asks each provider in turn; the first usable colour counts.
    pub async fn first_colour(&self) -> Result<Coloured, Error> {
        let mut attempts = Vec::new();
        for provider in &self.plan.search.route {
            let start = Instant::now();
            if let Some((colour, spent, tier)) = self.kept(provider.as_ref()).await {
                let (provider, colour) = (provider.clone(), Arc::new(colour));
                let (origin, took) = (Origin::Merged(tier), start.elapsed());
                return Ok(Coloured { provider, colour, origin, spent, took, attempts });
            }
            let about = provider.about();
            let start = Instant::now();
            let outcome = self.ask(provider.as_ref()).await;
            let took = start.elapsed();
            let label = outcome.as_ref().map_or_else(|error| error.kind.label(), |_| "ok");
            self.metrics.provider_call(&about.name, label, took);
            match outcome {
                Ok((colour, usage)) => {
                    let (provider, colour) = (provider.clone(), Arc::new(colour));
                    let origin = Origin::Called(self.why(about));
                    let spent = Spent { usage, time: took };
                    return Ok(Coloured { provider, colour, origin, spent, took, attempts });
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

    /// The colour that a provider gave for this photo before, if the request allows it.
    async fn kept(&self, provider: &dyn Provider) -> Option<(Checked, Spent, Tier)> {
        let about = provider.about();
        let key = self.plan.colour_key(about, &self.decoded.key)?;
        if !self.plan.ask.reuse.find {
            return None;
        }
        let (bytes, spent, tier) = shelf::colour(self.cache, &key).await?;
        let luma_lock = about.luma_lock;
        let read = move || match luma_lock {
            true => Chroma::from_bytes(&bytes).map(Checked::Chroma),
            false => Rgb::from_bytes(&bytes).map(Checked::Own),
        };
        let colour = self.tasks.spawn_blocking(read).await.ok()?;
        colour.map(|colour| (colour, spent, tier)).ok()
    }

    fn why(&self, about: &About) -> Why {
        match (self.plan.search.keeps(about), self.plan.ask.reuse.find) {
            (false, _) => Why::Bypass,
            (true, false) => Why::Request,
            (true, true) => Why::Miss,
        }
    }

    async fn ask(&self, provider: &dyn Provider) -> Result<(Checked, Usage), ProviderError> {
        let about = provider.about();
        if let Readiness::NotReady(why) = provider.readiness() {
            return Err(not_ready(why));
        }
        let (photo, send_max_pixels) = (self.decoded.photo.clone(), about.send_max_pixels);
        let stopped = |_| unbilled(FailureKind::Failed, "the work stopped unexpectedly".into());
        let grey =
            self.tasks.spawn_blocking(move || photo.grey_for(send_max_pixels)).await.map_err(stopped)?;
        let grey = Arc::new(grey);
        let answer = provider.colorize(Call { grey: grey.clone(), deadline: self.plan.ask.deadline }).await?;

        let (limits, luma_lock) = (self.plan.config().limits.photo(), about.luma_lock);
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

/// That a provider could not be called.
pub fn not_ready(why: String) -> ProviderError {
    unbilled(FailureKind::NotReady, why)
}

fn unbilled(kind: FailureKind, message: String) -> ProviderError {
    ProviderError { kind, message, billed: Billed::No, retry_after: None }
}
