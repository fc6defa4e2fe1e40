//! Circuit breaker of a provider: while a provider keeps failing, requests go to the next provider at once instead of
//! waiting for each failure, and the host can recover.
//!
//! Only failures of the provider itself count as failures. A provider that rejects a picture or is busy works, so this
//! counts as a success.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{Billed, Call, FailureKind, Provider, ProviderError, ProviderInfo, ProviderResponse, Readiness};
use crate::circuit::{Circuit, CircuitPhase, CircuitPolicy};
use crate::config::BreakerConfig;
use crate::observe::Metrics;

/// The `Retry-After` of a call that is refused because a probe is under way.
const PROBE_WAIT: Duration = Duration::from_secs(1);

pub struct CircuitBreaker {
    inner: Arc<dyn Provider>,
    config: BreakerConfig,
    circuit: Arc<ProviderCircuit>,
}

impl CircuitBreaker {
    pub fn new(inner: Arc<dyn Provider>, config: BreakerConfig, circuit: Arc<ProviderCircuit>) -> Self {
        // A provider that is not configured completely is never called, so its gauge would mean nothing.
        circuit.gauge.enabled.store(inner.readiness() == Readiness::Ready, Ordering::Relaxed);
        Self { inner, config, circuit }
    }

    fn message(&self, left: Duration) -> String {
        let (failures, calls) = (self.config.failures, self.config.window());
        let seconds = left.as_secs_f64().ceil();
        format!("paused for {seconds} s, because {failures} of its last {calls} calls failed")
    }
}

#[async_trait]
impl Provider for CircuitBreaker {
    fn info(&self) -> &ProviderInfo {
        self.inner.info()
    }

    fn readiness(&self) -> Readiness {
        match self.circuit.refuses_for(Instant::now()) {
            Some(left) => Readiness::NotReady { why: self.message(left), retry_after: Some(left) },
            None => self.inner.readiness(),
        }
    }

    async fn colorize(&self, call: Call) -> Result<ProviderResponse, ProviderError> {
        let pass = self.circuit.circuit.enter(Instant::now()).map_err(|open| {
            let left = or_probe_wait(open.left);
            ProviderError::new(FailureKind::NotReady, self.message(left)).retry_after(Some(left))
        })?;
        let result = self.inner.colorize(call).await;
        match result.as_ref().map_or_else(verdict, |_| Some(Ok(()))) {
            Some(verdict) => pass.end(verdict, Instant::now()),
            None => drop(pass),
        }
        result
    }
}

/// Whether a failed call shows that the provider works (`Ok`), that it fails (`Err`), or neither (`None`).
fn verdict(error: &ProviderError) -> Option<Result<(), ()>> {
    match error.kind {
        FailureKind::Busy | FailureKind::Rejected => Some(Ok(())),
        FailureKind::NotReady | FailureKind::Budget | FailureKind::Ledger | FailureKind::Abandoned => None,
        // Nothing was sent, because the deadline had passed or was too close.
        FailureKind::Timeout if error.billed == Billed::No => None,
        FailureKind::Unreachable
        | FailureKind::Unavailable
        | FailureKind::Timeout
        | FailureKind::Denied
        | FailureKind::Failed
        | FailureKind::BadAnswer => Some(Err(())),
    }
}

fn or_probe_wait(left: Duration) -> Duration {
    if left.is_zero() { PROBE_WAIT } else { left }
}

/// The circuit of one provider, its gauge and its log messages.
pub struct ProviderCircuit {
    circuit: Circuit<()>,
    gauge: Arc<Gauge>,
}

struct Gauge {
    name: String,
    metrics: Metrics,
    enabled: AtomicBool,
    /// Whether this is the provider's current circuit. Calls through an earlier one may still be under way.
    current: AtomicBool,
}

impl ProviderCircuit {
    pub fn new(name: &str, metrics: Metrics, config: BreakerConfig) -> Self {
        let gauge = Arc::new(Gauge {
            name: name.to_owned(),
            metrics,
            enabled: AtomicBool::new(false),
            current: AtomicBool::new(false),
        });
        let policy = CircuitPolicy {
            failures: config.failures,
            window: config.window(),
            first_pause: config.pause,
            longest_pause: config.pause,
        };
        let observer = gauge.clone();
        let circuit = Circuit::new(policy, move |from, to| observer.changed(from, to, &config));
        Self { circuit, gauge }
    }

    /// Sets whether the gauge shows this circuit from now on.
    pub fn show(&self, current: bool) {
        self.gauge.current.store(current, Ordering::Relaxed);
        // With `true`, this sets the gauge. With `false`, it waits for a change that is under way, so that this circuit
        // does not change the gauge after `show` returns.
        self.circuit.notify();
    }

    fn refuses_for(&self, now: Instant) -> Option<Duration> {
        self.circuit.refuses_for(now).map(or_probe_wait)
    }

    /// Records a failure that showed only after the call, such as an image that the output guard refused.
    pub fn record_refused_output(&self) {
        self.circuit.record_failure(());
    }
}

impl Gauge {
    fn changed(&self, from: CircuitPhase, to: CircuitPhase, config: &BreakerConfig) {
        let name = &self.name;
        match (from, to) {
            (CircuitPhase::Closed, CircuitPhase::Open) => tracing::warn!(
                provider = %name,
                "provider {name} is paused for {} s: {} of its last {} calls failed",
                config.pause.as_secs_f64(),
                config.failures,
                config.window(),
            ),
            (CircuitPhase::HalfOpen, CircuitPhase::Closed) => {
                tracing::info!(provider = %name, "provider {name} works again");
            }
            _ => {}
        }
        if self.enabled.load(Ordering::Relaxed) && self.current.load(Ordering::Relaxed) {
            let level = match to {
                CircuitPhase::Closed => 0,
                CircuitPhase::HalfOpen => 1,
                CircuitPhase::Open => 2,
            };
            self.metrics.breaker_state(name, level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outdated_circuit_is_not_shown_even_if_its_calls_end_later() {
        let config = BreakerConfig { failures: 3, pause: Duration::from_secs(30) };
        let metrics = Metrics::new(prometheus::Registry::new()).unwrap();
        let circuit = ProviderCircuit::new("it", metrics.clone(), config);
        let shown =
            || metrics.text(&crate::observe::LedgerSnapshot::default()).unwrap().contains("breaker_state{");
        let now = Instant::now();
        circuit.gauge.enabled.store(true, Ordering::Relaxed);
        for _ in 0..3 {
            circuit.circuit.enter(now).ok().unwrap().end(Err(()), now);
        }
        assert!(!shown());
        circuit.show(true);
        assert!(shown());
        circuit.show(false);
        metrics.forget_provider("it");
        let later = now + config.pause;
        circuit.circuit.enter(later).ok().unwrap().end(Ok(()), later);
        assert!(!shown());
    }
}
