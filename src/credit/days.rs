//! A range of days.

use std::ops::RangeInclusive;

use time::Date;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DaysError {
    #[error("`{end}` must be a day such as 2026-01-31")]
    NotADay {
        /// `from` or `to`.
        end: &'static str,
    },
    #[error("`from` is {from}, which is after `to`, {to}")]
    Backwards { from: Date, to: Date },
}

/// Parses a range of days, which includes both ends. By default, `to` is today and `from` is the first day of the month
/// of `to`.
pub fn days(from: Option<&str>, to: Option<&str>, today: Date) -> Result<RangeInclusive<Date>, DaysError> {
    let day = |end, text: &str| Date::parse(text, DAY).map_err(|_| DaysError::NotADay { end });
    let to = to.map_or(Ok(today), |text| day("to", text))?;
    let first = to.replace_day(1).unwrap_or(to);
    let from = from.map_or(Ok(first), |text| day("from", text))?;
    if from > to {
        return Err(DaysError::Backwards { from, to });
    }
    Ok(from..=to)
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn a_range_has_two_ends_that_default_to_this_month_so_far() {
        let today = date!(2026 - 03 - 15);
        let range = |from, to| days(from, to, today);
        assert_eq!(range(None, None), Ok(date!(2026 - 03 - 01)..=today));
        assert_eq!(range(None, Some("2026-02-28")), Ok(date!(2026 - 02 - 01)..=date!(2026 - 02 - 28)));
        assert_eq!(range(Some("2025-12-31"), None), Ok(date!(2025 - 12 - 31)..=today));
        for bad in ["", "today", "2026-02-30", "2026-2-3", "31.01.2026", "2026-01-01T00:00:00Z"] {
            assert_eq!(range(Some(bad), None), Err(DaysError::NotADay { end: "from" }), "{bad}");
            assert_eq!(range(None, Some(bad)), Err(DaysError::NotADay { end: "to" }), "{bad}");
        }
        let backwards = range(Some("2026-03-16"), None).unwrap_err();
        assert_eq!(backwards.to_string(), "`from` is 2026-03-16, which is after `to`, 2026-03-15");
    }
}
