//! Limits each attempt to the provider's `timeout` plus time for the transfer, even if the request has more time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{Billed, Call, FailureKind, Provider, ProviderError, ProviderInfo, ProviderResponse, Readiness};

/// How long after its deadline a call may still end by itself, because its own error is more precise.
const GRACE: Duration = Duration::from_millis(500);

pub struct Timed {
    inner: Arc<dyn Provider>,
    timeout: Duration,
}

impl Timed {
    /// Each call has at most `timeout`, and is cancelled `GRACE` after that.
    pub fn new(inner: Arc<dyn Provider>, timeout: Duration) -> Self {
        Self { inner, timeout }
    }
}

#[async_trait]
impl Provider for Timed {
    fn info(&self) -> &ProviderInfo {
        self.inner.info()
    }

    fn readiness(&self) -> Readiness {
        self.inner.readiness()
    }

    async fn colorize(&self, call: Call) -> Result<ProviderResponse, ProviderError> {
        let start = Instant::now();
        let deadline = call.deadline.min(start + self.timeout);
        let work = self.inner.colorize(Call { deadline, ..call });
        tokio::time::timeout_at((deadline + GRACE).into(), work).await.unwrap_or_else(|_| {
            let seconds = start.elapsed().as_secs_f64();
            // A remote host may finish the call and charge for it.
            let billed = if self.info().leaves_machine { Billed::Unknown } else { Billed::No };
            Err(ProviderError::new(FailureKind::Timeout, format!("no answer after {seconds:.1} s"))
                .billed(billed))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::Gray;
    use crate::provider::Trace;

    /// Never responds and ignores deadlines.
    struct Hanging(ProviderInfo);

    #[async_trait]
    impl Provider for Hanging {
        fn info(&self) -> &ProviderInfo {
            &self.0
        }

        fn readiness(&self) -> Readiness {
            Readiness::Ready
        }

        async fn colorize(&self, _: Call) -> Result<ProviderResponse, ProviderError> {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn a_hanging_call_is_cancelled_and_may_have_been_billed_only_if_the_provider_is_remote() {
        for (leaves_machine, billed) in [(true, Billed::Unknown), (false, Billed::No)] {
            let info = ProviderInfo {
                name: "hanging".into(),
                kind: "test",
                model: "none".into(),
                version: "1".into(),
                leaves_machine,
                send_max_pixels: 1,
                luma_lock: true,
                settings: String::new(),
            };
            for (timeout, deadline) in [(50, 60_000), (60_000, 50)] {
                let timed = Timed::new(Arc::new(Hanging(info.clone())), Duration::from_millis(timeout));
                let gray = Arc::new(Gray { width: 1, height: 1, luma: vec![0] });
                let call = Call {
                    gray,
                    deadline: Instant::now() + Duration::from_millis(deadline),
                    trace: Trace::default(),
                    audience: None,
                    begun: crate::credit::CallBegun::default(),
                };
                let error = timed.colorize(call).await.unwrap_err();
                assert_eq!((error.kind, error.billed), (FailureKind::Timeout, billed), "{error}");
            }
        }
    }
}
