//! Total time-out: no call takes longer than its provider's `timeout`, whatever time the request has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{About, Answer, Billed, Call, FailureKind, Provider, ProviderError, Readiness};

/// How long after its time a call may end by itself, with words better than ours.
const GRACE: Duration = Duration::from_millis(200);

/// A provider whose calls end.
pub struct Timed {
    inner: Arc<dyn Provider>,
    most: Duration,
}

impl Timed {
    /// Ends every call after `most`.
    pub fn new(inner: Arc<dyn Provider>, most: Duration) -> Self {
        Self { inner, most }
    }
}

#[async_trait]
impl Provider for Timed {
    fn about(&self) -> &About {
        self.inner.about()
    }

    fn readiness(&self) -> Readiness {
        self.inner.readiness()
    }

    async fn colorize(&self, call: Call) -> Result<Answer, ProviderError> {
        let start = Instant::now();
        let deadline = call.deadline.min(start + self.most);
        let work = self.inner.colorize(Call { deadline, ..call });
        tokio::time::timeout_at((deadline + GRACE).into(), work).await.unwrap_or_else(|_| {
            let seconds = start.elapsed().as_secs_f64();
            // What happens elsewhere goes on without us.
            let billed = if self.about().leaves_machine { Billed::Unknown } else { Billed::No };
            Err(ProviderError::new(FailureKind::Timeout, format!("no answer after {seconds:.1} s"))
                .billed(billed))
        })
    }
}
