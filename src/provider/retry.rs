//! Retries a call that failed for a temporary reason and was not billed.
//!
//! The delay doubles with each retry and is jittered, so that concurrent calls do not retry together. A `Retry-After`
//! of the host is added to the delay. If it is longer than `LONGEST_WAIT`, or the deadline is too close, the call is
//! not retried: a fallback answers sooner.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};

use super::memory::ProviderState;
use super::{Call, Provider, ProviderError, ProviderInfo, ProviderResponse, Readiness};

/// The first delay; jitter at most doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest delay before jitter, and the longest accepted `Retry-After`.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// No retry starts with less time than this before the deadline.
const LEAST_CALL: Duration = Duration::from_secs(1);

pub struct Retry {
    inner: Arc<dyn Provider>,
    waits: ExponentialBuilder,
    remembered: Arc<ProviderState>,
}

impl Retry {
    pub fn new(inner: Arc<dyn Provider>, retries: u32, remembered: Arc<ProviderState>) -> Self {
        let waits = ExponentialBuilder::new()
            .with_min_delay(FIRST_WAIT)
            .with_max_delay(LONGEST_WAIT)
            .with_max_times(retries as usize)
            .with_jitter();
        Self { inner, waits, remembered }
    }
}

#[async_trait]
impl Provider for Retry {
    fn about(&self) -> &ProviderInfo {
        self.inner.about()
    }

    fn readiness(&self) -> Readiness {
        self.inner.readiness()
    }

    async fn colorize(&self, call: Call) -> Result<ProviderResponse, ProviderError> {
        let mut waits = self.waits.build();
        let mut tries = 1;
        loop {
            let mut error = match self.inner.colorize(call.clone()).await {
                Err(error) => error,
                answer => return answer,
            };
            let asked = error.retry_after.unwrap_or_default();
            let wait = waits.next().map(|wait| asked + wait);
            let in_time = |wait: &Duration| Instant::now() + *wait + LEAST_CALL <= call.deadline;
            let Some(wait) = wait.filter(|wait| error.again() && asked <= LONGEST_WAIT && in_time(wait))
            else {
                if tries > 1 {
                    error.message += &format!(" (tried {tries} times)");
                }
                return Err(error);
            };
            let name = &self.about().name;
            tracing::debug!(provider = %name, "provider {name}: retry in {wait:?}: {error}");
            tokio::time::sleep(wait).await;
            self.remembered.metrics.provider_retry(name);
            tries += 1;
        }
    }
}
