//! A rate limit by the generic cell rate algorithm (GCRA): a long-term rate, and a burst that may be used at once.

use std::fmt;
use std::time::Duration;

use super::words::{LimitScope, RatePeriod, Unit};

/// A valid limit: no part is zero, and its arithmetic cannot overflow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    name: String,
    by: LimitScope,
    of: Unit,
    rate: u64,
    per: RatePeriod,
    burst: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// The rate or the burst is less than the smallest amount that is counted.
    #[error(
        "a rate or a burst of less than one request, picture, KiB or hundredth of a megapixel lets nothing pass"
    )]
    Nothing,
    /// The rate is too high for a clock in nanoseconds.
    #[error(
        "more than {MOST_CELLS_A_SECOND} requests, KiB or hundredths of a megapixel a second cannot be counted"
    )]
    TooFast,
    /// After the burst is used up, it would take too long until all of it is available again.
    #[error("after the burst is used up, it would take more than a year until all of it is available again")]
    TooSlow,
    /// The burst is larger than the counter can hold.
    #[error(
        "a burst of more than 4 thousand million requests, KiB or hundredths of a megapixel cannot be counted"
    )]
    TooMuch,
}

/// Keeps the time of a cell long compared with the nanosecond to which it is rounded, so that the rate is exact to a
/// thousandth.
const MOST_CELLS_A_SECOND: u64 = 1_000_000;

const YEAR: Duration = Duration::from_secs(366 * 86_400);

impl Limit {
    /// Limits the amount of `of` to `rate` per `per`, with a `burst`. Both numbers are in configured units, such as
    /// megapixels.
    pub fn new(
        name: &str,
        by: LimitScope,
        of: Unit,
        rate: u64,
        per: RatePeriod,
        burst: u64,
    ) -> Result<Self, LimitError> {
        let (rate, burst) = (rate.saturating_mul(of.scale()), burst.saturating_mul(of.scale()));
        let limit = Self { name: name.to_owned(), by, of, rate, per, burst };
        if rate < of.cell() || burst < of.cell() {
            Err(LimitError::Nothing)
        } else if rate / of.cell() > MOST_CELLS_A_SECOND * per.seconds() {
            Err(LimitError::TooFast)
        } else if limit.window() > YEAR {
            Err(LimitError::TooSlow)
        } else if u32::try_from(burst / of.cell()).is_err() {
            Err(LimitError::TooMuch)
        } else {
            Ok(limit)
        }
    }

    /// The name in the configuration, headers and metrics.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub const fn by(&self) -> LimitScope {
        self.by
    }

    pub const fn of(&self) -> Unit {
        self.of
    }

    pub const fn rate(&self) -> u64 {
        self.rate
    }

    pub const fn per(&self) -> RatePeriod {
        self.per
    }

    /// The amount that may be taken at once.
    pub const fn burst(&self) -> u64 {
        self.burst
    }

    /// The time after which a burst that was used up is available again in full.
    pub fn window(&self) -> Duration {
        let seconds = self.burst as f64 / self.rate as f64 * self.per.seconds() as f64;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// The time after which one more cell is available.
    pub(super) fn cell_time(&self) -> Duration {
        let cells = self.rate / self.of.cell();
        Duration::from_nanos(self.per.seconds() * 1_000_000_000 / cells)
    }

    /// An amount in cells, rounded up, but at most the burst.
    pub(super) fn cells(&self, amount: u64) -> u32 {
        let cells = amount.min(self.burst).div_ceil(self.of.cell()).min(self.burst / self.of.cell());
        u32::try_from(cells).unwrap_or(u32::MAX)
    }
}

/// For example: ``the limit `pictures` (600 pictures per minute for each client)``.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rate, unit, per) = (self.rate / self.of.scale(), self.of.label(), self.per.label());
        let whom = match self.by {
            LimitScope::Client => "for each client",
            LimitScope::Key => "for each key",
            LimitScope::All => "for all clients together",
        };
        write!(f, "the limit `{}` ({rate} {unit} per {per} {whom})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(of: Unit, rate: u64, per: RatePeriod, burst: u64) -> Result<Limit, LimitError> {
        Limit::new("x", LimitScope::Client, of, rate, per, burst)
    }

    #[test]
    fn invalid_limits_are_rejected() {
        for (of, rate, per, burst, error) in [
            (Unit::Requests, 0, RatePeriod::Second, 1, LimitError::Nothing),
            (Unit::Requests, 1, RatePeriod::Second, 0, LimitError::Nothing),
            (Unit::Bytes, 1023, RatePeriod::Second, 1024, LimitError::Nothing),
            (Unit::Requests, 1_000_001, RatePeriod::Second, 1, LimitError::TooFast),
            (Unit::Bytes, 1 << 40, RatePeriod::Second, 1 << 40, LimitError::TooFast),
            (Unit::Megapixels, u64::MAX, RatePeriod::Day, 1, LimitError::TooFast),
            (Unit::Requests, 1, RatePeriod::Day, 367, LimitError::TooSlow),
            (Unit::Requests, 1, RatePeriod::Day, u64::MAX, LimitError::TooSlow),
            (Unit::Requests, 1_000_000, RatePeriod::Second, 1 << 33, LimitError::TooMuch),
        ] {
            assert_eq!(limit(of, rate, per, burst), Err(error), "{of:?} {rate} {per:?} {burst}");
        }
        for (of, rate, per, burst) in [
            (Unit::Requests, 1, RatePeriod::Day, 366),
            (Unit::Requests, 1_000_000, RatePeriod::Second, 1 << 31),
            (Unit::Bytes, 1024, RatePeriod::Second, 1024),
            (Unit::Megapixels, 1, RatePeriod::Day, 1),
        ] {
            assert!(limit(of, rate, per, burst).is_ok(), "{of:?} {rate} {per:?} {burst}");
        }
    }

    #[test]
    fn an_amount_in_cells_is_rounded_up_and_never_more_than_the_burst() {
        let bytes = limit(Unit::Bytes, 10_240, RatePeriod::Second, 10_240 + 1).unwrap();
        for (amount, cells) in [(0, 0), (1, 1), (1024, 1), (1025, 2), (10_240, 10), (u64::MAX, 10)] {
            assert_eq!(bytes.cells(amount), cells, "{amount}");
        }
        assert_eq!(bytes.cell_time(), Duration::from_millis(100));
        let megapixels = limit(Unit::Megapixels, 60, RatePeriod::Minute, 30).unwrap();
        assert_eq!(megapixels.cells(12_000_000), 1200);
        assert_eq!(megapixels.cells(99_000_000), 3000);
        assert_eq!(megapixels.window(), Duration::from_secs(30));
        assert!(megapixels.to_string().contains("60 megapixels per minute for each client"));
    }
}
