//! Reloads of the configuration, and the result of the last one.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{Gauge, IntCounterVec, IntGauge};

use super::Metrics;
use super::make::Make;

pub(super) struct ReloadMetrics {
    total: IntCounterVec,
    successful: IntGauge,
    succeeded_at: Gauge,
}

impl ReloadMetrics {
    pub(super) fn new(make: &Make<'_>) -> Result<Self, prometheus::Error> {
        let reloads = Self {
            total: make.counter(
                "pixcolor_config_reloads_total",
                "Reloads of the configuration, by outcome: ok, or failed (the old one stays in effect).",
                &["outcome"],
            )?,
            successful: make.one_level(
                "pixcolor_config_last_reload_successful",
                "0 if the last reload failed, so that the configuration before it stays in effect; otherwise 1.",
            )?,
            succeeded_at: make.one_amount(
                "pixcolor_config_last_reload_success_timestamp_seconds",
                "When the configuration in effect was read.",
            )?,
        };
        // An alert watches for the first event, so the counter must exist at 0.
        for outcome in ["ok", "failed"] {
            reloads.total.with_label_values(&[outcome]);
        }
        reloads.succeeded();
        Ok(reloads)
    }

    fn succeeded(&self) {
        self.successful.set(1);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.succeeded_at.set(now.as_secs_f64());
    }
}

impl Metrics {
    /// Counts a reload, which took effect or failed.
    pub fn config_reload(&self, worked: bool) {
        let reloads = &self.0.reload;
        reloads.total.with_label_values(&[if worked { "ok" } else { "failed" }]).inc();
        if worked {
            reloads.succeeded();
        } else {
            reloads.successful.set(0);
        }
    }
}
