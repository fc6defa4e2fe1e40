//! Concurrency limit: so many calls to a provider at once, a bounded queue before it, and a quick
//! refusal beyond that, so that the next provider can answer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{About, Answer, Call, FailureKind, Provider, ProviderError, Readiness};
use crate::queue::{Queue, QueueError};

/// When it makes sense to come back to a full queue.
const BUSY_RETRY: Duration = Duration::from_secs(2);

/// A provider behind a queue.
pub struct Limit {
    inner: Arc<dyn Provider>,
    queue: Arc<Queue>,
}

impl Limit {
    /// Lets a call through when the queue does.
    pub fn new(inner: Arc<dyn Provider>, queue: Arc<Queue>) -> Self {
        Self { inner, queue }
    }
}

#[async_trait]
impl Provider for Limit {
    fn about(&self) -> &About {
        self.inner.about()
    }

    fn readiness(&self) -> Readiness {
        self.inner.readiness()
    }

    async fn colorize(&self, call: Call) -> Result<Answer, ProviderError> {
        let _place = self.queue.enter(1, call.deadline).await.map_err(|error| match error {
            QueueError::Full => {
                ProviderError::new(FailureKind::Busy, "too many calls are waiting for it already")
                    .retry_after(Some(BUSY_RETRY))
            }
            QueueError::Late => ProviderError::new(FailureKind::Timeout, "its turn did not come in time"),
        })?;
        self.inner.colorize(call).await
    }
}
