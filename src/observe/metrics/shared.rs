//! The shared Redis: availability and failures. Without `shared.redis` these metrics are absent.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::Metrics;
use super::make::Make;
use crate::shared::{CommandPurpose, RedisObserver};

pub(super) struct RedisMetrics {
    up: IntGaugeVec,
    errors: IntCounterVec,
}

impl RedisMetrics {
    pub(super) fn new(make: &Make<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            up: make.level(
                "pixcolor_redis_up",
                "1 if Redis answered the last command and accepts writes, otherwise 0.",
                &[],
            )?,
            errors: make.counter(
                "pixcolor_redis_errors_total",
                "Failed commands to Redis, by purpose: quota, ledger, flight, ping. While Redis is unavailable only a few per second are tried.",
                &["purpose"],
            )?,
        })
    }
}

impl RedisObserver for Metrics {
    fn answers(&self, yes: bool) {
        self.0.shared.up.with_label_values::<&str>(&[]).set(yes.into());
    }

    fn failed(&self, purpose: CommandPurpose) {
        self.0.shared.errors.with_label_values(&[purpose.label()]).inc();
    }
}
