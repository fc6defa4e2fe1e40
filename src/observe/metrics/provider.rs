//! Calls of providers: how they went, how long they took, and what nobody knows of their cost.

use std::time::Duration;

use prometheus::{CounterVec, GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec};

use super::make::{Make, float};
use super::{Metrics, Saving};
use crate::credit::SettleResult;
use crate::provider::FailureKind;

/// Seconds: from the built-in model to a host at its time-out.
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
                "Calls to providers by outcome: ok, or the kind of failure. Passed over: not_ready, budget (too little \
                 left), ledger (it cannot be used). Not begun: abandoned (its clients left).",
                &["provider", "outcome"],
            )?,
            seconds: make.histogram(
                "pixcolor_provider_call_duration_seconds",
                "Time that calls to providers took, with waiting for a place and being made again.",
                &["provider"],
                SECONDS,
            )?,
            retries: make.counter(
                "pixcolor_provider_retries_total",
                "Calls to providers that were made again after a failure that cost nothing.",
                &["provider"],
            )?,
            breaker: make.level(
                "pixcolor_provider_breaker_state",
                "The provider's circuit breaker: 0 closed, 1 half-open (one call tries it), 2 open.",
                &["provider"],
            )?,
            guard_refusals: make.counter(
                "pixcolor_guard_refusals_total",
                "Answers of providers that the output guard refused, by reason.",
                &["provider", "reason"],
            )?,
            unknown_costs: make.counter(
                "pixcolor_unknown_costs_total",
                "Calls of unknown cost, by provider; each is charged its reservation.",
                &["provider"],
            )?,
            overrun: make.sum(
                "pixcolor_overrun_credits_total",
                "Credits of calls above their reservations, by provider.",
                &["provider"],
            )?,
            balance: make.amount(
                "pixcolor_provider_balance",
                "The last known balance of a provider's account, in its own unit.",
                &["provider"],
            )?,
        })
    }
}

impl Metrics {
    /// There is such a provider, and it costs something. What alerts watch is 0 from now on: to Prometheus a
    /// counter that begins with 1 has never increased.
    pub fn paid_provider(&self, provider: &str) {
        let providers = &self.0.provider;
        providers.unknown_costs.with_label_values(&[provider]);
        providers.overrun.with_label_values(&[provider]);
        providers.calls.with_label_values(&[provider, FailureKind::Budget.label()]);
    }

    /// There is no such provider any more: what it has counted stays, how it is does not.
    pub fn forget_provider(&self, provider: &str) {
        // It may not be there, which is as good.
        drop(self.0.provider.breaker.remove_label_values(&[provider]));
        self.balance(provider, None);
    }

    /// A provider was called, or passed over; `failure` is of which kind, if it was one.
    pub fn provider_call(&self, provider: &str, failure: Option<FailureKind>, took: Duration) {
        let outcome = failure.map_or("ok", FailureKind::label);
        self.0.provider.calls.with_label_values(&[provider, outcome]).inc();
        if failure.is_none_or(FailureKind::was_called) {
            self.0.provider.seconds.with_label_values(&[provider]).observe(took.as_secs_f64());
        }
    }

    /// A provider is called once more for the same picture.
    pub fn provider_retry(&self, provider: &str) {
        self.0.provider.retries.with_label_values(&[provider]).inc();
    }

    /// A provider's circuit breaker is closed (0), half-open (1) or open (2).
    pub fn breaker_state(&self, provider: &str, state: i64) {
        self.0.provider.breaker.with_label_values(&[provider]).set(state);
    }

    /// The output guard refused an answer.
    pub fn guard_refusal(&self, provider: &str, reason: &'static str) {
        self.0.provider.guard_refusals.with_label_values(&[provider, reason]).inc();
    }

    /// What is left on a provider's account; none if it does not say.
    pub fn balance(&self, provider: &str, left: Option<f64>) {
        match left {
            Some(left) => self.0.provider.balance.with_label_values(&[provider]).set(left),
            // It may not be there, which is as good.
            None => drop(self.0.provider.balance.remove_label_values(&[provider])),
        }
    }

    /// A call was settled. What was charged, the ledger says itself.
    pub fn settled(&self, provider: &str, settled: &SettleResult) {
        let providers = &self.0.provider;
        if settled.unknown {
            providers.unknown_costs.with_label_values(&[provider]).inc();
        }
        if !settled.overrun.is_zero() {
            providers.overrun.with_label_values(&[provider]).inc_by(float(settled.overrun));
        }
        // Who is called now may be found later.
        self.saves(provider, Saving::Hit);
    }
}
