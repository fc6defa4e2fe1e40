//! Metrics from the ledger: budgets, and cost and time of each provider. They are read at each scrape, so a restart
//! does not change them.
//!
//! Cost and time per megapixel are exported as sums (credits, seconds and pixels, by provider and size of the photo),
//! from which a dashboard computes them for any period.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::Registry;
use prometheus::proto::MetricFamily;

use super::make::{Make, float};
use crate::credit::{BudgetStatus, CallHistory, SizeClass};

/// The state of the ledger.
#[derive(Debug, Default)]
pub struct LedgerSnapshot {
    /// The status of all budgets, except those per client, for which only the cap could be exported.
    pub standings: Vec<BudgetStatus>,
    /// Cost and time of each provider's calls.
    pub experience: BTreeMap<(String, SizeClass), CallHistory>,
    /// Whether credit can be reserved.
    pub writable: bool,
}

impl LedgerSnapshot {
    pub(super) fn families(&self) -> Result<Vec<MetricFamily>, prometheus::Error> {
        let registry = Registry::new();
        let make = Make(&registry);
        make.one_level(
            "pixcolor_ledger_writable",
            "1 if credit can be reserved; 0 if it cannot, so that providers that cost something are off.",
        )?
        .set(self.writable.into());
        self.budgets(&make)?;
        self.providers(&make)?;
        Ok(registry.gather())
    }

    fn budgets(&self, make: &Make<'_>) -> Result<(), prometheus::Error> {
        let amount = |name, help| make.amount(name, help, &["budget"]);
        let limit = amount("pixcolor_budget_limit_credits", "The cap of a budget per window.")?;
        let spent = amount(
            "pixcolor_budget_spent_credits",
            "Credits charged in the current window; 0 at its start, and never decreasing within a window.",
        )?;
        let remaining = amount(
            "pixcolor_budget_remaining_credits",
            "Credits of the current window that are neither charged nor reserved.",
        )?;
        let reset = amount(
            "pixcolor_budget_reset_timestamp_seconds",
            "When the budget's next window begins; absent for an all-time budget.",
        )?;
        for standing in &self.standings {
            let name = [&standing.budget.name];
            limit.with_label_values(&name).set(float(standing.budget.limit));
            spent.with_label_values(&name).set(float(standing.spent));
            remaining.with_label_values(&name).set(float(standing.left()));
            if let Some(renews) = standing.renews {
                reset.with_label_values(&name).set(renews.unix_timestamp() as f64);
            }
        }
        Ok(())
    }

    fn providers(&self, make: &Make<'_>) -> Result<(), prometheus::Error> {
        let sum = |name, help| make.sum(name, help, &["provider", "size"]);
        let credits = sum(
            "pixcolor_spent_credits_total",
            "Credits charged since the ledger began, failed calls included, by provider and megapixels of the photo. A call of unknown cost is charged its reservation.",
        )?;
        let seconds =
            sum("pixcolor_coloured_seconds_total", "Seconds of successful calls since the ledger began.")?;
        let cpu = sum(
            "pixcolor_coloured_cpu_seconds_total",
            "Processor seconds on this machine for calls of providers since the ledger began.",
        )?;
        let pixels = sum(
            "pixcolor_coloured_pixels_total",
            "Pixels of the photos coloured since the ledger began. Credits or seconds divided by these pixels, times a \
             million, are the cost or time per megapixel.",
        )?;
        for ((provider, size), CallHistory { sums, .. }) in &self.experience {
            let labels = [provider.as_str(), size.label()];
            credits.with_label_values(&labels).inc_by(float(sums.credits));
            seconds.with_label_values(&labels).inc_by(Duration::from_millis(sums.took_ms).as_secs_f64());
            pixels.with_label_values(&labels).inc_by(sums.pixels as f64);
            if sums.cpu_us > 0 {
                cpu.with_label_values(&labels).inc_by(Duration::from_micros(sums.cpu_us).as_secs_f64());
            }
        }
        Ok(())
    }
}
