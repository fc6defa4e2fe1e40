//! Retries a call that failed for a temporary reason and was not billed.
//!
//! The delay doubles with each retry and is jittered, so that concurrent calls do not retry together. A `Retry-After`
//! of the host is added to the delay. If the `Retry-After` is longer than `MAX_DELAY`, or the deadline is too close,
//! the call is not retried, because a fallback answers sooner.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};

use super::memory::ProviderState;
use super::{Call, Provider, ProviderError, ProviderInfo, ProviderResponse, Readiness};

/// The first delay; jitter at most doubles it.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// The longest delay before jitter, and the longest accepted `Retry-After`.
const MAX_DELAY: Duration = Duration::from_secs(10);

/// No retry starts with less time than this before the deadline.
const MIN_CALL: Duration = Duration::from_secs(1);

pub struct Retry {
    inner: Arc<dyn Provider>,
    waits: ExponentialBuilder,
    state: Arc<ProviderState>,
}

impl Retry {
    pub fn new(inner: Arc<dyn Provider>, retries: u32, state: Arc<ProviderState>) -> Self {
        let waits = ExponentialBuilder::new()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(MAX_DELAY)
            .with_max_times(retries as usize)
            .with_jitter();
        Self { inner, waits, state }
    }
}

#[async_trait]
impl Provider for Retry {
    fn info(&self) -> &ProviderInfo {
        self.inner.info()
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
            let in_time = |wait: &Duration| Instant::now() + *wait + MIN_CALL <= call.deadline;
            let Some(wait) = wait.filter(|wait| error.is_retryable() && asked <= MAX_DELAY && in_time(wait))
            else {
                if tries > 1 {
                    error.message += &format!(" (tried {tries} times)");
                }
                return Err(error);
            };
            let name = &self.info().name;
            tracing::debug!(provider = %name, "provider {name}: retry in {wait:?}: {error}");
            tokio::time::sleep(wait).await;
            self.state.metrics.provider_retry(name);
            tries += 1;
        }
    }
}
