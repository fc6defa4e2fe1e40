//! Clients: decisions of rate limits, rejections by bounds on concurrent use, and rejected clients.

use prometheus::IntCounterVec;

use super::Metrics;
use super::make::Make;
use crate::quota::{Charge, RateLimited};

pub(super) struct QuotaMetrics {
    checks: IntCounterVec,
    crowded: IntCounterVec,
    denied: IntCounterVec,
}

impl QuotaMetrics {
    pub(super) fn new(make: &Make<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            checks: make.counter(
                "pixcolor_quota_checks_total",
                "Requests by the decision of each rate limit: allowed or refused (429). A request that one limit refuses is not counted as allowed by the others.",
                &["limit", "outcome"],
            )?,
            crowded: make.counter(
                "pixcolor_concurrency_refusals_total",
                "Requests rejected with 503, by the bound on concurrent use that rejected them.",
                &["bound"],
            )?,
            denied: make.counter(
                "pixcolor_denied_requests_total",
                "Requests refused, by reason: address (403), key (401).",
                &["reason"],
            )?,
        })
    }
}

impl Metrics {
    /// Counts the decisions for these charges.
    pub fn quota_check(&self, charges: &[Charge], outcome: &Result<(), RateLimited>) {
        let count = |limit, outcome| self.0.quota.checks.with_label_values(&[limit, outcome]).inc();
        match outcome {
            Ok(()) => charges.iter().for_each(|charge| count(charge.limit.name(), "allowed")),
            Err(refusal) => refusal.levels.iter().for_each(|level| count(level.limit.name(), "refused")),
        }
    }

    /// Counts a rejection by a bound on concurrent use.
    pub fn crowded(&self, bound: &'static str) {
        self.0.quota.crowded.with_label_values(&[bound]).inc();
    }

    /// Counts a request that was rejected for its `address` or its `key`.
    pub fn denied(&self, reason: &'static str) {
        self.0.quota.denied.with_label_values(&[reason]).inc();
    }
}
