//! Providers: results, durations and unknown costs of calls, circuit breakers, and account balances.

use std::time::Duration;

use prometheus::{CounterVec, GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec};

use super::make::{Make, float};
use super::{Metrics, Saving};
use crate::credit::SettleResult;
use crate::provider::FailureKind;

/// Histogram bounds in seconds: from the built-in network to a remote provider's time-out.
const SECONDS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

pub(super) struct ProviderMetrics {
    calls: IntCounterVec,
    seconds: HistogramVec,
    retries: IntCounterVec,
    breaker: IntGaugeVec,
    guard_refusals: IntCounterVec,
    unknown_costs: IntCounterVec,
    overrun: CounterVec,
    balance: GaugeVec,
}

impl ProviderMetrics {
    pub(super) fn new(make: &Make<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            calls: make.counter(
                "pixcolor_provider_calls_total",
                "Calls to providers by outcome: ok, or the kind of failure. Outcomes without a call: not_ready, \
                 budget (too little left), ledger (it cannot be used), abandoned (all clients have left).",
                &["provider", "outcome"],
            )?,
            seconds: make.histogram(
                "pixcolor_provider_call_duration_seconds",
                "Duration of calls to providers, including retries and the wait for a free slot.",
                &["provider"],
                SECONDS,
            )?,
            retries: make.counter(
                "pixcolor_provider_retries_total",
                "Retries of calls to providers, each after a failure that cost nothing.",
                &["provider"],
            )?,
            breaker: make.level(
                "pixcolor_provider_breaker_state",
                "The provider's circuit breaker: 0 closed, 1 half-open (one call tests the provider), 2 open.",
                &["provider"],
            )?,
            guard_refusals: make.counter(
                "pixcolor_guard_refusals_total",
                "Results of providers that the output guard refused, by reason.",
                &["provider", "reason"],
            )?,
            unknown_costs: make.counter(
                "pixcolor_unknown_costs_total",
                "Calls of unknown cost, by provider; each is charged its reservation.",
                &["provider"],
            )?,
            overrun: make.sum(
                "pixcolor_overrun_credits_total",
                "Credits by which calls cost more than their reservations, by provider.",
                &["provider"],
            )?,
            balance: make.amount(
                "pixcolor_provider_balance",
                "The last known balance of a provider's account, in the provider's own unit.",
                &["provider"],
            )?,
        })
    }
}

impl Metrics {
    /// Creates a paid provider's metrics that alerts watch, at 0. To Prometheus, a counter that first appears at 1
    /// has not increased.
    pub fn paid_provider(&self, provider: &str) {
        let providers = &self.0.provider;
        providers.unknown_costs.with_label_values(&[provider]);
        providers.overrun.with_label_values(&[provider]);
        providers.calls.with_label_values(&[provider, FailureKind::Budget.label()]);
    }

    /// Removes a provider's gauges; its counters stay.
    pub fn forget_provider(&self, provider: &str) {
        // An error means that the series does not exist.
        drop(self.0.provider.breaker.remove_label_values(&[provider]));
        self.balance(provider, None);
    }

    /// Counts a call or a skipped provider; `failure` is the kind of failure, if any.
    pub fn provider_call(&self, provider: &str, failure: Option<FailureKind>, took: Duration) {
        let outcome = failure.map_or("ok", FailureKind::label);
        self.0.provider.calls.with_label_values(&[provider, outcome]).inc();
        if failure.is_none_or(FailureKind::was_called) {
            self.0.provider.seconds.with_label_values(&[provider]).observe(took.as_secs_f64());
        }
    }

    /// Counts a retry.
    pub fn provider_retry(&self, provider: &str) {
        self.0.provider.retries.with_label_values(&[provider]).inc();
    }

    /// Sets the state of a circuit breaker: closed (0), half-open (1) or open (2).
    pub fn breaker_state(&self, provider: &str, state: i64) {
        self.0.provider.breaker.with_label_values(&[provider]).set(state);
    }

    /// Counts a rejection by the output guard.
    pub fn guard_refusal(&self, provider: &str, reason: &'static str) {
        self.0.provider.guard_refusals.with_label_values(&[provider, reason]).inc();
    }

    /// Sets the balance of a provider's account; `None` removes it.
    pub fn balance(&self, provider: &str, left: Option<f64>) {
        match left {
            Some(left) => self.0.provider.balance.with_label_values(&[provider]).set(left),
            // An error means that the series does not exist.
            None => drop(self.0.provider.balance.remove_label_values(&[provider])),
        }
    }

    /// Counts unknown costs and overruns at the settlement of a call. The metrics of charged credits are read from the
    /// ledger.
    pub fn settled(&self, provider: &str, settled: &SettleResult) {
        let providers = &self.0.provider;
        if settled.unknown {
            providers.unknown_costs.with_label_values(&[provider]).inc();
        }
        if !settled.overrun.is_zero() {
            providers.overrun.with_label_values(&[provider]).inc_by(float(settled.overrun));
        }
        // Creates the series of savings, because a later cache hit may save this provider's credit.
        self.saves(provider, Saving::Hit);
    }
}
