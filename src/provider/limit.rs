//! Concurrency limit: a bounded number of concurrent calls to a provider and a bounded queue. A call that finds the
//! queue full fails at once, so that the gateway can fall back to the next provider.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Call, FailureKind, Provider, ProviderError, ProviderInfo, ProviderResponse, Readiness};
use crate::queue::{Queue, QueueError};

/// The `Retry-After` when the queue is full.
const BUSY_RETRY: Duration = Duration::from_secs(2);

pub struct ConcurrencyLimit {
    inner: Arc<dyn Provider>,
    queue: Arc<Queue>,
}

impl ConcurrencyLimit {
    pub fn new(inner: Arc<dyn Provider>, queue: Arc<Queue>) -> Self {
        Self { inner, queue }
    }
}

#[async_trait]
impl Provider for ConcurrencyLimit {
    fn info(&self) -> &ProviderInfo {
        self.inner.info()
    }

    fn readiness(&self) -> Readiness {
        self.inner.readiness()
    }

    async fn colorize(&self, call: Call) -> Result<ProviderResponse, ProviderError> {
        let _place = self.queue.enter(1, call.deadline).await.map_err(|error| match error {
            QueueError::Full => {
                ProviderError::new(FailureKind::Busy, "too many calls are waiting for it already")
                    .retry_after(Some(BUSY_RETRY))
            }
            QueueError::Late => {
                ProviderError::new(FailureKind::Timeout, "the call was still in the queue at its deadline")
            }
        })?;
        self.inner.colorize(call).await
    }
}
