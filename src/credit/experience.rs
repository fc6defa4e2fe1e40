//! What calls have cost and taken so far, by provider and size of the photograph: what the next one will,
//! most likely.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::amount::Credits;

/// How many of the latest calls are remembered one by one.
pub(super) const RECENT: usize = 64;

/// Photographs of about one size.
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
    /// More.
    #[serde(rename = ">8")]
    More,
}

impl SizeClass {
    /// Every class, the smallest first.
    pub const ALL: [Self; 4] = [Self::Half, Self::Two, Self::Eight, Self::More];

    /// The class of a photograph.
    pub const fn of(pixels: u64) -> Self {
        match pixels {
            0..=500_000 => Self::Half,
            500_001..=2_000_000 => Self::Two,
            2_000_001..=8_000_000 => Self::Eight,
            _ => Self::More,
        }
    }

    /// In megapixels, for metrics and JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Half => "<=0.5",
            Self::Two => "<=2",
            Self::Eight => "<=8",
            Self::More => ">8",
        }
    }
}

/// One call that gave colour and whose cost is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSample {
    /// What it cost.
    pub credits: Credits,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Sums over all calls of one provider for photographs of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTotals {
    /// Calls that gave colour.
    pub calls: u64,
    /// Pixels of their photographs.
    pub pixels: u64,
    /// How long they took, in milliseconds.
    pub took_ms: u64,
    /// What was charged for all calls, those that gave no colour included.
    pub credits: Credits,
    /// Processor time of all calls on this machine, in microseconds. Not in ledgers of the first days.
    #[serde(default)]
    pub cpu_us: u64,
}

/// One call that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishedCall {
    /// What was charged for it.
    pub charged: Credits,
    /// Whether that is known to be what it cost.
    pub known: bool,
    /// Whether it gave colour.
    pub colored: bool,
    /// Pixels of the photograph.
    pub pixels: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Processor time on this machine, in microseconds.
    pub cpu_us: u64,
}

/// What calls of one provider for photographs of one size have cost and taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallHistory {
    /// Since the ledger began.
    pub sums: CallTotals,
    /// The latest, the oldest first.
    pub recent: VecDeque<CallSample>,
}

/// What most calls lie within: eight of ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range<T> {
    /// One of ten is below.
    pub low: T,
    /// As many are below as above.
    pub typical: T,
    /// One of ten is above.
    pub high: T,
}

impl<T> Range<T> {
    /// The same range of something else.
    pub fn map<U>(self, change: impl Fn(T) -> U) -> Range<U> {
        Range { low: change(self.low), typical: change(self.typical), high: change(self.high) }
    }
}

impl CallHistory {
    /// Counts a call.
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

    /// Remembers a call, and forgets the oldest.
    pub fn remember(&mut self, sample: CallSample) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(sample);
    }

    /// Credits for each megapixel that was coloured, rounded up; none before the first.
    pub fn credits_per_megapixel(&self) -> Option<Credits> {
        let micro = u128::try_from(self.sums.credits.micro()).ok()? * 1_000_000;
        let each =
            micro.checked_add(u128::from(self.sums.pixels).checked_sub(1)?)? / u128::from(self.sums.pixels);
        Some(Credits::from_micro(i64::try_from(each).unwrap_or(i64::MAX)))
    }

    /// Time for each megapixel that was coloured; none before the first.
    pub fn time_per_megapixel(&self) -> Option<Duration> {
        self.per_megapixel(u128::from(self.sums.took_ms) * 1_000_000)
    }

    /// Processor time for each megapixel that was coloured; none before the first.
    pub fn cpu_per_megapixel(&self) -> Option<Duration> {
        self.per_megapixel(u128::from(self.sums.cpu_us) * 1000)
    }

    fn per_megapixel(&self, nanos: u128) -> Option<Duration> {
        let each = nanos.checked_mul(1_000_000)?.checked_div(self.sums.pixels.into())?;
        Some(Duration::from_nanos(u64::try_from(each).unwrap_or(u64::MAX)))
    }

    /// What a call costs; none before the first.
    pub fn credits(&self) -> Option<Range<Credits>> {
        self.range(|sample| sample.credits)
    }

    /// How long a call takes; none before the first.
    pub fn time(&self) -> Option<Range<Duration>> {
        self.range(|sample| Duration::from_millis(sample.took_ms))
    }

    fn range<T: Ord + Copy>(&self, of: impl Fn(&CallSample) -> T) -> Option<Range<T>> {
        let mut values: Vec<T> = self.recent.iter().map(of).collect();
        values.sort_unstable();
        // The nearest rank.
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
    fn what_failed_makes_a_megapixel_dearer() {
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
    fn a_ledger_of_the_first_days_knows_no_processor_time() {
        let old = r#"{"calls":1,"pixels":2,"took_ms":3,"credits":4}"#;
        let sums: CallTotals = serde_json::from_str(old).unwrap();
        assert_eq!((sums.took_ms, sums.cpu_us), (3, 0));
    }

    #[test]
    fn a_range_leaves_out_the_lowest_and_the_highest_of_the_latest() {
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
