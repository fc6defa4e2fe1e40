//! Metrics, by Prometheus' conventions: base units, `_total`, no label whose values a client can choose.
//!
//! The registry is handed in, never global, so that tests and several gateways in one process do not
//! share counts.

mod quota;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    CounterVec, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use crate::cache::{Event, Observer, Tier, TierStats};
use crate::credit::{Credits, Settled, Standing};
use crate::provider::FailureKind;

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
    provider_retries: IntCounterVec,
    breaker_state: IntGaugeVec,
    overhead_seconds: Histogram,
    guard_refusals: IntCounterVec,
    quota: quota::Quotas,
    shared: shared::Shared,
    renditions: IntCounterVec,
    credits_saved: CounterVec,
    seconds_saved: CounterVec,
    cache_lookups: IntCounterVec,
    cache_evictions: IntCounterVec,
    cache_errors: IntCounterVec,
    cache_entries: IntGaugeVec,
    cache_bytes: IntGaugeVec,
    credits_spent: CounterVec,
    unknown_costs: IntCounterVec,
    credits_overrun: CounterVec,
    budget_limit: GaugeVec,
    budget_spent: GaugeVec,
    budget_remaining: GaugeVec,
    budget_reset: GaugeVec,
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
        let sum = |name: &str, help: &str| {
            register(&registry, CounterVec::new(Opts::new(name, help), &["reason"])?)
        };
        let gauge =
            |name: &str, help: &str| register(&registry, IntGaugeVec::new(Opts::new(name, help), &["tier"])?);
        let credits = |name: &str, help: &str| {
            register(&registry, CounterVec::new(Opts::new(name, help), &["provider"])?)
        };
        let budget =
            |name: &str, help: &str| register(&registry, GaugeVec::new(Opts::new(name, help), &["budget"])?);
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
                "Calls to providers by outcome: ok, or the kind of failure. Passed over: not_ready, budget (too little \
                 left), ledger (it cannot be used).",
                &["provider", "outcome"],
            )?,
            provider_seconds: seconds(
                "pixcolor_provider_call_duration_seconds",
                "Time that calls to providers took, with waiting for a place and being made again.",
                &["provider"],
            )?,
            provider_retries: counter(
                "pixcolor_provider_retries_total",
                "Calls to providers that were made again after a failure that cost nothing.",
                &["provider"],
            )?,
            breaker_state: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new(
                        "pixcolor_provider_breaker_state",
                        "The provider's circuit breaker: 0 closed, 1 half-open (one call tries it), 2 open.",
                    ),
                    &["provider"],
                )?,
            )?,
            overhead_seconds: register(
                &registry,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "pixcolor_overhead_seconds",
                        "Time of a colouring that was not spent waiting for a provider: decoding, merging, \
                         encoding, and the queue before them.",
                    )
                    .buckets(SECONDS.to_vec()),
                )?,
            )?,
            guard_refusals: counter(
                "pixcolor_guard_refusals_total",
                "Answers of providers that the output guard refused, by reason.",
                &["provider", "reason"],
            )?,
            quota: quota::Quotas::new(&counter)?,
            shared: shared::Shared::new(&registry)?,
            renditions: counter(
                "pixcolor_renditions_total",
                "Pictures that were answered, by where they came from: memory, disk, merged (only the colour was \
                 kept), coalesced (another request was having it made), or a call for a miss, by request, or to \
                 bypass the cache.",
                &["origin"],
            )?,
            credits_saved: sum(
                "pixcolor_saved_credits_total",
                "Credits that calls had cost which were not made, as far as known, by reason: hit, coalesced.",
            )?,
            seconds_saved: sum(
                "pixcolor_saved_seconds_total",
                "Seconds that work had taken which was not done, by reason: hit, coalesced.",
            )?,
            cache_lookups: counter(
                "pixcolor_cache_lookups_total",
                "Values looked up, by tier and result: hit, miss. A rendition is two values.",
                &["tier", "result"],
            )?,
            cache_evictions: counter(
                "pixcolor_cache_evictions_total",
                "Values that had to go to make room, by tier.",
                &["tier"],
            )?,
            cache_errors: counter(
                "pixcolor_cache_errors_total",
                "What went wrong, by tier: values found damaged, reads and writes that failed.",
                &["tier", "error"],
            )?,
            cache_entries: gauge("pixcolor_cache_entries", "Values that are kept now, by tier.")?,
            cache_bytes: gauge("pixcolor_cache_bytes", "Bytes that are kept now, by tier.")?,
            credits_spent: credits(
                "pixcolor_spent_credits_total",
                "Credits charged for calls by provider; a call of unknown cost is charged what was reserved for it.",
            )?,
            unknown_costs: counter(
                "pixcolor_unknown_costs_total",
                "Calls whose cost nobody knows, by provider.",
                &["provider"],
            )?,
            credits_overrun: credits(
                "pixcolor_overrun_credits_total",
                "Credits that calls have cost beyond what was reserved for them, by provider.",
            )?,
            budget_limit: budget("pixcolor_budget_limit_credits", "What a budget allows in one period.")?,
            budget_spent: budget("pixcolor_budget_spent_credits", "What was charged in this period.")?,
            budget_remaining: budget(
                "pixcolor_budget_remaining_credits",
                "What may still be reserved in this period: neither charged nor set aside for calls under way.",
            )?,
            budget_reset: budget(
                "pixcolor_budget_reset_timestamp_seconds",
                "When the budget's next period begins; not there for a total.",
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

    /// A provider was called, or passed over; `failure` is of which kind, if it was one.
    pub fn provider_call(&self, provider: &str, failure: Option<FailureKind>, took: Duration) {
        let outcome = failure.map_or("ok", FailureKind::label);
        self.0.provider_calls.with_label_values(&[provider, outcome]).inc();
        if failure.is_none_or(FailureKind::was_asked) {
            self.0.provider_seconds.with_label_values(&[provider]).observe(took.as_secs_f64());
        }
    }

    /// A provider is called once more for the same picture.
    pub fn provider_retry(&self, provider: &str) {
        self.0.provider_retries.with_label_values(&[provider]).inc();
    }

    /// A provider's circuit breaker is closed (0), half-open (1) or open (2).
    pub fn breaker_state(&self, provider: &str, state: i64) {
        self.0.breaker_state.with_label_values(&[provider]).set(state);
    }

    /// A picture was coloured; this much of its time was our own.
    pub fn overhead(&self, took: Duration) {
        self.0.overhead_seconds.observe(took.as_secs_f64());
    }

    /// The output guard refused an answer.
    pub fn guard_refusal(&self, provider: &str, reason: &'static str) {
        self.0.guard_refusals.with_label_values(&[provider, reason]).inc();
    }

    /// A call was settled.
    pub fn spent(&self, provider: &str, settled: &Settled) {
        let provider = [provider];
        self.0.credits_spent.with_label_values(&provider).inc_by(float(settled.charged));
        self.0.unknown_costs.with_label_values(&provider).inc_by(settled.unknown.into());
        self.0.credits_overrun.with_label_values(&provider).inc_by(float(settled.overrun));
    }

    /// How all budgets stand now. Of budgets for each client only the limit could be said, so that they
    /// are not among these.
    pub fn budgets(&self, standings: &[Standing]) {
        let Inner { budget_limit, budget_spent, budget_remaining, budget_reset, .. } = &*self.0;
        for gauge in [budget_limit, budget_spent, budget_remaining, budget_reset] {
            gauge.reset();
        }
        for standing in standings {
            let name = [&standing.budget.name];
            budget_limit.with_label_values(&name).set(float(standing.budget.limit));
            budget_spent.with_label_values(&name).set(float(standing.spent));
            budget_remaining.with_label_values(&name).set(float(standing.left()));
            if let Some(renews) = standing.renews {
                budget_reset.with_label_values(&name).set(renews.unix_timestamp() as f64);
            }
        }
    }

    /// A picture was answered; `origin` says where it came from.
    pub fn rendition(&self, origin: &'static str) {
        self.0.renditions.with_label_values(&[origin]).inc();
    }

    /// A call was not made; unknown credit is not counted.
    pub fn saved(&self, reason: &'static str, credits: Option<Credits>, time: Duration) {
        let credits = credits.map_or(0.0, float);
        self.0.credits_saved.with_label_values(&[reason]).inc_by(credits);
        self.0.seconds_saved.with_label_values(&[reason]).inc_by(time.as_secs_f64());
    }
}

impl Observer for Metrics {
    fn event(&self, tier: Tier, event: Event) {
        let labels = [tier.label(), event.label()];
        match event {
            Event::Hit | Event::Miss => self.0.cache_lookups.with_label_values(&labels).inc(),
            Event::Evicted => self.0.cache_evictions.with_label_values(&labels[..1]).inc(),
            Event::Damaged | Event::ReadError | Event::WriteError => {
                self.0.cache_errors.with_label_values(&labels).inc();
            }
        }
    }

    fn keeps(&self, stats: TierStats) {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let tier = [stats.tier.label()];
        self.0.cache_entries.with_label_values(&tier).set(count(stats.entries));
        self.0.cache_bytes.with_label_values(&tier).set(count(stats.bytes));
    }
}

/// Prometheus knows floats only; counters cannot go down.
fn float(credits: Credits) -> f64 {
    credits.micro().max(0) as f64 / 1e6
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
