//! Metrics, by Prometheus' conventions: base units, `_total`, no label whose values a client can choose.
//!
//! The registry is handed in, never global, so that tests and several gateways in one process do not
//! share counts.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::quota::Refusal;

/// Seconds: from a cache hit to a provider at its time-out.
const SECONDS: &[f64] = &[0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// Everything that is counted. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    in_flight: IntGauge,
    upload_bytes: HistogramVec,
    provider_calls: IntCounterVec,
    provider_seconds: HistogramVec,
    guard_refusals: IntCounterVec,
    quota_refusals: IntCounterVec,
    crowded: IntCounterVec,
    denied: IntCounterVec,
}

impl Metrics {
    /// Registers all metrics; an error means that the registry has others of the same name.
    pub fn new(registry: Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let seconds = |name: &str, help: &str, labels: &[&str]| {
            let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
            register(&registry, HistogramVec::new(options, labels)?)
        };
        let bytes = HistogramOpts::new("pixcolor_upload_bytes", "Size of the pictures that were uploaded.")
            .buckets(prometheus::exponential_buckets(16_384.0, 4.0, 7)?);
        let inner = Inner {
            requests: counter(
                "pixcolor_http_requests_total",
                "HTTP requests by route and status.",
                &["route", "status"],
            )?,
            request_seconds: seconds(
                "pixcolor_http_request_duration_seconds",
                "Time from a request's head to its answer's head, by route.",
                &["route"],
            )?,
            in_flight: register(
                &registry,
                IntGauge::new("pixcolor_http_requests_in_flight", "HTTP requests being answered now.")?,
            )?,
            upload_bytes: register(&registry, HistogramVec::new(bytes, &[])?)?,
            provider_calls: counter(
                "pixcolor_provider_calls_total",
                "Calls to providers by outcome: ok, or the kind of failure.",
                &["provider", "outcome"],
            )?,
            provider_seconds: seconds(
                "pixcolor_provider_call_duration_seconds",
                "Time that calls to providers took, the guard's check included.",
                &["provider"],
            )?,
            guard_refusals: counter(
                "pixcolor_guard_refusals_total",
                "Answers of providers that the output guard refused, by reason.",
                &["provider", "reason"],
            )?,
            quota_refusals: counter(
                "pixcolor_quota_refusals_total",
                "Requests refused (429) by the limit on a rate that refused them.",
                &["limit"],
            )?,
            crowded: counter(
                "pixcolor_concurrency_refusals_total",
                "Requests refused (503) by the bound on what is had at once that refused them.",
                &["bound"],
            )?,
            denied: counter(
                "pixcolor_denied_requests_total",
                "Requests turned away: address (403), key (401).",
                &["reason"],
            )?,
            registry,
        };
        let build = IntGaugeVec::new(
            Opts::new("pixcolor_build_info", "Always 1; its labels say which build this is."),
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        inner.registry.register(Box::new(build))?;
        let process = prometheus::process_collector::ProcessCollector::for_self();
        inner.registry.register(Box::new(process))?;
        Ok(Self(Arc::new(inner)))
    }

    /// All metrics in Prometheus' text format.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.0.registry.gather())
    }

    /// A request has begun.
    pub fn request_began(&self) {
        self.0.in_flight.inc();
    }

    /// A request was answered. `route` is a pattern, never a client's path.
    pub fn request_ended(&self, route: &str, status: u16, took: Duration) {
        self.0.in_flight.dec();
        self.0.requests.with_label_values(&[route, &status.to_string()]).inc();
        self.0.request_seconds.with_label_values(&[route]).observe(took.as_secs_f64());
    }

    /// A picture was uploaded.
    pub fn uploaded(&self, bytes: usize) {
        self.0.upload_bytes.with_label_values::<&str>(&[]).observe(bytes as f64);
    }

    /// A provider was called; `outcome` is `ok` or the kind of failure.
    pub fn provider_call(&self, provider: &str, outcome: &'static str, took: Duration) {
        self.0.provider_calls.with_label_values(&[provider, outcome]).inc();
        self.0.provider_seconds.with_label_values(&[provider]).observe(took.as_secs_f64());
    }

    /// Limits on rates refused a request.
    pub fn refused(&self, refusal: &Refusal) {
        for level in &refusal.levels {
            self.0.quota_refusals.with_label_values(&[level.limit.name()]).inc();
        }
    }

    /// A bound on what is had at once refused a request.
    pub fn crowded(&self, bound: &'static str) {
        self.0.crowded.with_label_values(&[bound]).inc();
    }

    /// A request was turned away for its `address` or its `key`.
    pub fn denied(&self, reason: &'static str) {
        self.0.denied.with_label_values(&[reason]).inc();
    }

    /// The output guard refused an answer.
    pub fn guard_refusal(&self, provider: &str, reason: &'static str) {
        self.0.guard_refusals.with_label_values(&[provider, reason]).inc();
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
