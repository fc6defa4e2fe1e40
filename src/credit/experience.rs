//! Cost and time of past calls, by provider and size of the photo: the basis of estimates.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::amount::Credits;

/// How many recent calls of a provider and size class are stored individually.
pub(super) const RECENT: usize = 64;

/// A size class of photos.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SizeClass {
    /// At most half a megapixel.
    #[serde(rename = "<=0.5")]
    Half,
    /// At most 2 megapixels.
    #[serde(rename = "<=2")]
    Two,
    /// At most 8 megapixels.
    #[serde(rename = "<=8")]
    Eight,
    /// More than 8 megapixels.
    #[serde(rename = ">8")]
    More,
}

impl SizeClass {
    /// Every class, the smallest first.
    pub const ALL: [Self; 4] = [Self::Half, Self::Two, Self::Eight, Self::More];

    /// The class of a photo with this many pixels.
    pub const fn of(pixels: u64) -> Self {
        match pixels {
            0..=500_000 => Self::Half,
            500_001..=2_000_000 => Self::Two,
            2_000_001..=8_000_000 => Self::Eight,
            _ => Self::More,
        }
    }

    /// The label in megapixels, for metrics and JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Half => "<=0.5",
            Self::Two => "<=2",
            Self::Eight => "<=8",
            Self::More => ">8",
        }
    }
}

/// A successful call of known cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSample {
    pub credits: Credits,
    /// Time that the provider took, in milliseconds.
    pub took_ms: u64,
}

/// Totals of all calls of a provider for one size class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTotals {
    /// Successful calls.
    pub calls: u64,
    /// Pixels of the photos of successful calls.
    pub pixels: u64,
    /// Time of the successful calls, in milliseconds.
    pub took_ms: u64,
    /// Credits charged for all calls, failed ones included.
    pub credits: Credits,
    /// Processor time that all calls took on the machines of the gateways, in microseconds. Absent in the earliest
    /// ledgers.
    #[serde(default)]
    pub cpu_us: u64,
}

/// A call that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishedCall {
    pub charged: Credits,
    /// Whether the cost is known. Otherwise, the whole reservation was charged.
    pub known: bool,
    /// Whether the call succeeded.
    pub colored: bool,
    /// Pixels of the photo.
    pub pixels: u64,
    /// Time that the provider took, in milliseconds.
    pub took_ms: u64,
    /// Processor time on this machine, in microseconds.
    pub cpu_us: u64,
}

/// Cost and time of a provider's calls for one size class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallHistory {
    /// Totals since the ledger began.
    pub sums: CallTotals,
    /// The latest successful calls of known cost, the oldest first; at most `RECENT`.
    pub recent: VecDeque<CallSample>,
}

/// A range of values that contains about eight of ten calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range<T> {
    /// The 10th percentile.
    pub low: T,
    /// The median.
    pub typical: T,
    /// The 90th percentile.
    pub high: T,
}

impl<T> Range<T> {
    /// Converts each value.
    pub fn map<U>(self, change: impl Fn(T) -> U) -> Range<U> {
        Range { low: change(self.low), typical: change(self.typical), high: change(self.high) }
    }
}

impl CallHistory {
    /// Adds a call to the totals, and also to the recent calls if it succeeded and its cost is known.
    pub fn count(&mut self, call: FinishedCall) {
        let FinishedCall { charged, known, colored, pixels, took_ms, cpu_us } = call;
        let sums = &mut self.sums;
        sums.credits = sums.credits.plus(charged);
        sums.cpu_us = sums.cpu_us.saturating_add(cpu_us);
        if colored {
            sums.calls = sums.calls.saturating_add(1);
            sums.pixels = sums.pixels.saturating_add(pixels);
            sums.took_ms = sums.took_ms.saturating_add(took_ms);
            if known {
                self.remember(CallSample { credits: charged, took_ms });
            }
        }
    }

    /// Adds a call to the recent calls, and removes the oldest of them if there are already `RECENT`.
    pub fn remember(&mut self, sample: CallSample) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(sample);
    }

    /// Credits per coloured megapixel, including the cost of failed calls, rounded up; `None` before the first coloured
    /// photo.
    pub fn credits_per_megapixel(&self) -> Option<Credits> {
        let micro = u128::try_from(self.sums.credits.micro()).ok()? * 1_000_000;
        let each =
            micro.checked_add(u128::from(self.sums.pixels).checked_sub(1)?)? / u128::from(self.sums.pixels);
        Some(Credits::from_micro(i64::try_from(each).unwrap_or(i64::MAX)))
    }

    /// Time per coloured megapixel; `None` before the first coloured photo.
    pub fn time_per_megapixel(&self) -> Option<Duration> {
        self.per_megapixel(u128::from(self.sums.took_ms) * 1_000_000)
    }

    /// Processor time per coloured megapixel; `None` before the first coloured photo.
    pub fn cpu_per_megapixel(&self) -> Option<Duration> {
        self.per_megapixel(u128::from(self.sums.cpu_us) * 1000)
    }

    fn per_megapixel(&self, nanos: u128) -> Option<Duration> {
        let each = nanos.checked_mul(1_000_000)?.checked_div(self.sums.pixels.into())?;
        Some(Duration::from_nanos(u64::try_from(each).unwrap_or(u64::MAX)))
    }

    /// The range of the costs of recent calls; `None` before the first successful call of known cost.
    pub fn credits(&self) -> Option<Range<Credits>> {
        self.range(|sample| sample.credits)
    }

    /// The range of the durations of recent calls; `None` before the first successful call of known cost.
    pub fn time(&self) -> Option<Range<Duration>> {
        self.range(|sample| Duration::from_millis(sample.took_ms))
    }

    fn range<T: Ord + Copy>(&self, of: impl Fn(&CallSample) -> T) -> Option<Range<T>> {
        let mut values: Vec<T> = self.recent.iter().map(of).collect();
        values.sort_unstable();
        // Percentiles by the nearest-rank method.
        let at = |tenths: usize| values.get((values.len() * tenths).div_ceil(10).saturating_sub(1)).copied();
        Some(Range { low: at(1)?, typical: at(5)?, high: at(9)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photograph_belongs_to_the_class_it_fits_into() {
        for (pixels, label) in [
            (0, "<=0.5"),
            (500_000, "<=0.5"),
            (500_001, "<=2"),
            (2_000_000, "<=2"),
            (8_000_000, "<=8"),
            (8_000_001, ">8"),
            (u64::MAX, ">8"),
        ] {
            assert_eq!(SizeClass::of(pixels).label(), label);
        }
    }

    #[test]
    fn failed_calls_raise_the_cost_of_a_megapixel() {
        let mut experience = CallHistory::default();
        assert_eq!(experience.credits_per_megapixel(), None);
        let colored = FinishedCall {
            charged: Credits::from_micro(1_000_000),
            known: true,
            colored: true,
            pixels: 3_000_000,
            took_ms: 4500,
            cpu_us: 300,
        };
        experience.count(FinishedCall { charged: Credits::from_micro(2_000_000), colored: false, ..colored });
        assert_eq!((experience.credits_per_megapixel(), experience.time_per_megapixel()), (None, None));
        assert_eq!((experience.credits(), experience.cpu_per_megapixel()), (None, None));
        experience.count(colored);
        assert_eq!(experience.credits_per_megapixel(), Some(Credits::from_micro(1_000_000)));
        assert_eq!(experience.time_per_megapixel(), Some(Duration::from_millis(1500)));
        assert_eq!(experience.cpu_per_megapixel(), Some(Duration::from_micros(200)));
    }

    #[test]
    fn totals_of_early_ledgers_without_processor_time_are_read() {
        let old = r#"{"calls":1,"pixels":2,"took_ms":3,"credits":4}"#;
        let sums: CallTotals = serde_json::from_str(old).unwrap();
        assert_eq!((sums.took_ms, sums.cpu_us), (3, 0));
    }

    #[test]
    fn a_range_leaves_out_the_lowest_and_the_highest_tenth_of_the_latest_calls() {
        let mut experience = CallHistory::default();
        for n in 0..1000_u64 {
            experience.count(FinishedCall {
                charged: Credits::from_micro(n as i64),
                known: n % 2 == 0,
                colored: true,
                pixels: 1,
                took_ms: n,
                cpu_us: 0,
            });
        }
        // The latest 64 with a known cost: 872, 874, ... 998.
        let range = experience.credits().unwrap();
        assert_eq!((range.low.micro(), range.typical.micro(), range.high.micro()), (884, 934, 986));
        assert_eq!(experience.time().unwrap().typical, Duration::from_millis(934));

        let mut one = CallHistory::default();
        one.remember(CallSample { credits: Credits::from_micro(7), took_ms: 1 });
        let seven = Credits::from_micro(7);
        assert_eq!(one.credits(), Some(Range { low: seven, typical: seven, high: seven }));
    }
}
