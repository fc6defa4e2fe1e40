//! The windows of budgets (a day, a calendar month, all time; in UTC), and the clock.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use time::{Date, Month, OffsetDateTime, Time};

/// The source of the time; tests use their own clocks.
pub trait Clock: Send + Sync {
    /// The current time in UTC.
    fn now(&self) -> OffsetDateTime;
}

#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// How often a budget renews.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// A day in UTC.
    Day,
    /// A calendar month in UTC.
    #[default]
    Month,
    /// All time; the budget never renews.
    Total,
}

impl Window {
    /// Every window, the shortest first.
    pub const ALL: [Self; 3] = [Self::Day, Self::Month, Self::Total];

    /// The name in the configuration and in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// The period that contains a day.
    pub const fn period(self, day: Date) -> Period {
        match self {
            Self::Day => Period::Day(day),
            Self::Month => Period::Month(day.year(), day.month()),
            Self::Total => Period::Total,
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// A particular day or month, or all time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    Day(Date),
    /// Year and month.
    Month(i32, Month),
    Total,
}

impl Period {
    /// When the next period begins; `None` for all time.
    pub fn end(self) -> Option<OffsetDateTime> {
        let next = match self {
            Self::Day(day) => day.next_day()?,
            Self::Month(year, Month::December) => {
                Date::from_calendar_date(year + 1, Month::January, 1).ok()?
            }
            Self::Month(year, month) => Date::from_calendar_date(year, month.next(), 1).ok()?,
            Self::Total => return None,
        };
        Some(next.with_time(Time::MIDNIGHT).assume_utc())
    }
}

/// The first day of the month before the given day's month. For days before it, the ledger stores totals without
/// clients.
pub fn last_month(day: Date) -> Date {
    let first = |day: Date| day.replace_day(1).unwrap_or(day);
    first(first(day).previous_day().unwrap_or(day))
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    #[test]
    fn a_period_ends_at_a_midnight_in_utc() {
        let end = |window: Window, day| window.period(day).end();
        for (day, next_day, next_month) in [
            (date!(2026 - 01 - 31), datetime!(2026-02-01 0:00 UTC), datetime!(2026-02-01 0:00 UTC)),
            (date!(2026 - 12 - 31), datetime!(2027-01-01 0:00 UTC), datetime!(2027-01-01 0:00 UTC)),
            (date!(2028 - 02 - 28), datetime!(2028-02-29 0:00 UTC), datetime!(2028-03-01 0:00 UTC)),
        ] {
            assert_eq!(end(Window::Day, day), Some(next_day));
            assert_eq!(end(Window::Month, day), Some(next_month));
            assert_eq!(end(Window::Total, day), None);
        }
        assert_eq!(end(Window::Day, Date::MAX), None);
        assert_eq!(end(Window::Month, Date::MAX), None);
    }

    #[test]
    fn last_month_begins_on_its_first_day() {
        for (day, expected) in [
            (date!(2026 - 03 - 31), date!(2026 - 02 - 01)),
            (date!(2026 - 01 - 01), date!(2025 - 12 - 01)),
            (date!(2028 - 03 - 01), date!(2028 - 02 - 01)),
        ] {
            assert_eq!(last_month(day), expected);
        }
        assert_eq!(last_month(Date::MIN), Date::MIN);
    }
}
