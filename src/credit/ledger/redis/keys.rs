//! The keys and fields of the account in Redis.
//!
//! The spent amounts (charged and reserved) of a period are a hash by account: `ledger:day:2026-02-28`,
//! `ledger:month:2026-02` or `ledger:total`. Open reservations are a hash by reservation number. The totals for reports
//! are two hashes for each day. The hash by provider does not expire. The hash by provider and client expires, because
//! the names of clients are stored only until the end of the next month.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime, Time};

use super::super::record::ReserveRecord;
use crate::credit::amount::Credits;
use crate::credit::budget::BudgetAccount;
use crate::credit::experience::{CallTotals, SizeClass};
use crate::credit::usage::Tally;
use crate::credit::window::{Window, last_month};
use crate::shared::SharedRedis;

/// Separates the parts of a field's name.
const BREAK: char = '\n';

/// An open reservation as it is stored.
#[derive(Serialize, Deserialize)]
pub struct OpenReservation {
    /// A random name of the process that made the reservation, for the operator.
    pub owner: String,
    pub reserve: ReserveRecord,
}

/// The keys of the spent amounts of a day, of its month and of all time.
pub fn spent(shared: &SharedRedis, day: Date) -> [String; 3] {
    let (year, month) = (day.year(), u8::from(day.month()));
    [
        shared.key(format_args!("ledger:day:{day}")),
        shared.key(format_args!("ledger:month:{year}-{month:02}")),
        shared.key("ledger:total"),
    ]
}

/// The index of a window's key in the result of [`spent`].
pub const fn index(window: Window) -> usize {
    match window {
        Window::Day => 0,
        Window::Month => 1,
        Window::Total => 2,
    }
}

pub fn epoch(shared: &SharedRedis) -> String {
    shared.key("epoch")
}

pub fn open(shared: &SharedRedis) -> String {
    shared.key("ledger:open")
}

/// The key of the time of the latest reservation, in seconds since 1970.
pub fn latest(shared: &SharedRedis) -> String {
    shared.key("ledger:latest")
}

/// The key that marks a reservation as ended.
pub fn ended(shared: &SharedRedis, id: u64) -> String {
    shared.key(format_args!("ledger:ended:{id}"))
}

/// The key of the set of all days that have totals.
pub fn days(shared: &SharedRedis) -> String {
    shared.key("ledger:days")
}

/// The key of a day's totals by provider and client.
pub fn by_client(shared: &SharedRedis, day: Date) -> String {
    shared.key(format_args!("ledger:clients:{day}"))
}

/// The key of the set of pairs of a provider and a client without an API key that a day's totals name.
pub fn named(shared: &SharedRedis, day: Date) -> String {
    shared.key(format_args!("ledger:named:{day}"))
}

/// The key of a day's totals by provider.
pub fn by_provider(shared: &SharedRedis, day: Date) -> String {
    shared.key(format_args!("ledger:providers:{day}"))
}

/// The key of the cost and time of all calls, by provider and size class.
pub fn experience(shared: &SharedRedis) -> String {
    shared.key("ledger:experience")
}

/// The key of a provider's latest successful calls of known cost for one size class.
pub fn recent(shared: &SharedRedis, provider: &str, size: SizeClass) -> String {
    shared.key(format_args!("ledger:recent:{provider}:{}", size.label()))
}

/// How long the spent amounts and the clients of a day are stored: until the day is before last month, and at least
/// for 24 hours.
pub fn stored_for(day: Date, now: OffsetDateTime) -> Duration {
    let mut end = day;
    while last_month(end) <= day {
        // 28 days never skip a month. `None` is the end of the calendar.
        let Some(next) = end.checked_add(time::Duration::days(28)) else { break };
        end = next;
    }
    let end = end.replace_day(1).unwrap_or(end).with_time(Time::MIDNIGHT).assume_utc();
    Duration::try_from(end - now).unwrap_or_default().max(Duration::from_secs(86_400))
}

/// The name of an account's field.
pub fn account(account: &BudgetAccount) -> String {
    match account {
        BudgetAccount::All => "all".to_owned(),
        BudgetAccount::Provider(name) => format!("provider{BREAK}{name}"),
        BudgetAccount::Client(name) => format!("client{BREAK}{name}"),
    }
}

/// The names of a tally's fields, with their amounts.
pub fn tally(tally: &Tally) -> [(&'static str, i64); 10] {
    [
        ("calls", count(tally.calls)),
        ("failed", count(tally.failed)),
        ("unknown", count(tally.unknown)),
        ("overruns", count(tally.overruns)),
        ("credits", tally.credits.micro()),
        ("overrun", tally.overrun.micro()),
        ("pixels", count(tally.pixels)),
        ("sent_pixels", count(tally.sent_pixels)),
        ("took_ms", count(tally.took_ms)),
        ("cpu_us", count(tally.cpu_us)),
    ]
}

/// Sets one field of a tally.
pub fn read_tally(tally: &mut Tally, name: &str, value: i64) {
    let number = u64::try_from(value).unwrap_or_default();
    match name {
        "calls" => tally.calls = number,
        "failed" => tally.failed = number,
        "unknown" => tally.unknown = number,
        "overruns" => tally.overruns = number,
        "credits" => tally.credits = Credits::from_micro(value),
        "overrun" => tally.overrun = Credits::from_micro(value),
        "pixels" => tally.pixels = number,
        "sent_pixels" => tally.sent_pixels = number,
        "took_ms" => tally.took_ms = number,
        "cpu_us" => tally.cpu_us = number,
        // Fields of a later version are ignored.
        _ => {}
    }
}

/// The names of the fields of call totals, with their amounts.
pub fn sums(sums: &CallTotals) -> [(&'static str, i64); 5] {
    [
        ("calls", count(sums.calls)),
        ("pixels", count(sums.pixels)),
        ("took_ms", count(sums.took_ms)),
        ("credits", sums.credits.micro()),
        ("cpu_us", count(sums.cpu_us)),
    ]
}

/// Sets one field of call totals.
pub fn read_sums(sums: &mut CallTotals, name: &str, value: i64) {
    let number = u64::try_from(value).unwrap_or_default();
    match name {
        "calls" => sums.calls = number,
        "pixels" => sums.pixels = number,
        "took_ms" => sums.took_ms = number,
        "cpu_us" => sums.cpu_us = number,
        "credits" => sums.credits = Credits::from_micro(value),
        // Fields of a later version are ignored.
        _ => {}
    }
}

/// The full name of the hash field `name` of a provider, or of a provider and a client or size class.
pub fn field(provider: &str, of: Option<&str>, name: &str) -> String {
    match of {
        Some(of) => format!("{provider}{BREAK}{of}{BREAK}{name}"),
        None => format!("{provider}{BREAK}{name}"),
    }
}

/// Splits the full name of a field into provider, client or size class, and name.
pub fn read_field(field: &str) -> Option<(&str, Option<&str>, &str)> {
    let (rest, name) = field.rsplit_once(BREAK)?;
    Some(match rest.split_once(BREAK) {
        Some((provider, of)) => (provider, Some(of), name),
        None => (rest, None, name),
    })
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    #[test]
    fn a_day_is_stored_until_it_is_before_last_month() {
        for (day, end) in [
            (date!(2026 - 02 - 28), datetime!(2026-04-01 0:00 UTC)),
            (date!(2026 - 03 - 31), datetime!(2026-05-01 0:00 UTC)),
            (date!(2026 - 03 - 01), datetime!(2026-05-01 0:00 UTC)),
            (date!(2026 - 12 - 31), datetime!(2027-02-01 0:00 UTC)),
        ] {
            let now = datetime!(2026-02-28 22:00 UTC);
            assert_eq!(stored_for(day, now), Duration::try_from(end - now).unwrap(), "{day}");
            assert_eq!(stored_for(day, end), Duration::from_secs(86_400));
        }
        stored_for(Date::MAX, datetime!(2026-01-01 0:00 UTC));
    }

    #[test]
    fn a_field_is_read_back_for_any_name_of_a_client() {
        for (provider, of) in
            [("a", None), ("a", Some("ip:2001:db8::/64")), ("a", Some("odd\nname")), ("b", Some(""))]
        {
            assert_eq!(read_field(&field(provider, of, "calls")), Some((provider, of, "calls")));
        }
        assert_eq!(read_field("calls"), None);
    }

    #[test]
    fn tallies_and_call_totals_are_read_back() {
        let all = Tally {
            calls: 1,
            failed: 2,
            unknown: 3,
            overruns: 4,
            credits: Credits::from_micro(5),
            overrun: Credits::from_micro(6),
            pixels: 7,
            sent_pixels: 8,
            took_ms: 9,
            cpu_us: 10,
        };
        let mut read = Tally::default();
        tally(&all).into_iter().for_each(|(name, value)| read_tally(&mut read, name, value));
        assert_eq!(read, all);
        let all = CallTotals { calls: 1, pixels: 2, took_ms: 3, credits: Credits::from_micro(4), cpu_us: 5 };
        let mut read = CallTotals::default();
        sums(&all).into_iter().for_each(|(name, value)| read_sums(&mut read, name, value));
        assert_eq!(read, all);
    }
}
