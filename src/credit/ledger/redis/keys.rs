//! Where the account stands in Redis, and how its parts are written there.
//!
//! What is spent is a hash for each period, by account: `ledger:day:2026-02-28`, `ledger:month:2026-02`,
//! `ledger:total`. Open reservations are a hash by number. Sums for reports are a hash for each day, by provider
//! and client, which Redis forgets when nobody may be named any more, and another by provider.

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

/// Parts of a field that hold no line break stand on lines of their own.
const BREAK: char = '\n';

/// An open reservation as it is kept.
#[derive(Serialize, Deserialize)]
pub struct OpenReservation {
    /// The process that holds it, for the operator.
    pub owner: String,
    /// The reservation.
    pub reserve: ReserveRecord,
}

/// The three keys of what is spent in the periods of a day, the shortest first.
pub fn spent(shared: &SharedRedis, day: Date) -> [String; 3] {
    let (year, month) = (day.year(), u8::from(day.month()));
    [
        shared.key(format_args!("ledger:day:{day}")),
        shared.key(format_args!("ledger:month:{year}-{month:02}")),
        shared.key("ledger:total"),
    ]
}

/// Which of those keys a window's is.
pub const fn place(window: Window) -> usize {
    match window {
        Window::Day => 0,
        Window::Month => 1,
        Window::Total => 2,
    }
}

/// The key of the account's epoch.
pub fn epoch(shared: &SharedRedis) -> String {
    shared.key("epoch")
}

/// The key of all open reservations.
pub fn open(shared: &SharedRedis) -> String {
    shared.key("ledger:open")
}

/// The key of the time of the latest reservation, in seconds since 1970.
pub fn latest(shared: &SharedRedis) -> String {
    shared.key("ledger:latest")
}

/// The key of the mark that a reservation has ended.
pub fn ended(shared: &SharedRedis, id: u64) -> String {
    shared.key(format_args!("ledger:ended:{id}"))
}

/// The key of all days of which there are sums.
pub fn days(shared: &SharedRedis) -> String {
    shared.key("ledger:days")
}

/// The key of a day's sums by provider and client.
pub fn by_client(shared: &SharedRedis, day: Date) -> String {
    shared.key(format_args!("ledger:clients:{day}"))
}

/// The key of the clients without a key that the sums of a day name.
pub fn named(shared: &SharedRedis, day: Date) -> String {
    shared.key(format_args!("ledger:named:{day}"))
}

/// The key of a day's sums by provider.
pub fn by_provider(shared: &SharedRedis, day: Date) -> String {
    shared.key(format_args!("ledger:providers:{day}"))
}

/// The key of what calls have cost and taken.
pub fn experience(shared: &SharedRedis) -> String {
    shared.key("ledger:experience")
}

/// The key of the latest calls of a provider for photographs of a size.
pub fn recent(shared: &SharedRedis, provider: &str, size: SizeClass) -> String {
    shared.key(format_args!("ledger:recent:{provider}:{}", size.label()))
}

/// How long the periods and the clients of a day are kept, which is until the day is before last month's.
pub fn kept_for(day: Date, now: OffsetDateTime) -> Duration {
    let mut end = day;
    while last_month(end) <= day {
        // 28 days later is at most one month on; there are no days after the last one.
        let Some(next) = end.checked_add(time::Duration::days(28)) else { break };
        end = next;
    }
    let end = end.replace_day(1).unwrap_or(end).with_time(Time::MIDNIGHT).assume_utc();
    Duration::try_from(end - now).unwrap_or_default().max(Duration::from_secs(86_400))
}

/// An account as a field.
pub fn account(account: &BudgetAccount) -> String {
    match account {
        BudgetAccount::All => "all".to_owned(),
        BudgetAccount::Provider(name) => format!("provider{BREAK}{name}"),
        BudgetAccount::Client(name) => format!("client{BREAK}{name}"),
    }
}

/// The fields of sums, and what they add.
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

/// Puts a field of sums where it belongs.
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
        // Of a later version.
        _ => {}
    }
}

/// The fields of experience, and what they add.
pub fn sums(sums: &CallTotals) -> [(&'static str, i64); 5] {
    [
        ("calls", count(sums.calls)),
        ("pixels", count(sums.pixels)),
        ("took_ms", count(sums.took_ms)),
        ("credits", sums.credits.micro()),
        ("cpu_us", count(sums.cpu_us)),
    ]
}

/// Puts a field of experience where it belongs.
pub fn read_sums(sums: &mut CallTotals, name: &str, value: i64) {
    let number = u64::try_from(value).unwrap_or_default();
    match name {
        "calls" => sums.calls = number,
        "pixels" => sums.pixels = number,
        "took_ms" => sums.took_ms = number,
        "cpu_us" => sums.cpu_us = number,
        "credits" => sums.credits = Credits::from_micro(value),
        // Of a later version.
        _ => {}
    }
}

/// A field of a provider's, and of a client's or a size's if one is given.
pub fn field(provider: &str, of: Option<&str>, name: &str) -> String {
    match of {
        Some(of) => format!("{provider}{BREAK}{of}{BREAK}{name}"),
        None => format!("{provider}{BREAK}{name}"),
    }
}

/// The provider, the client or size, and the name that a field is of.
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
    fn a_day_is_kept_until_it_is_before_last_month() {
        for (day, end) in [
            (date!(2026 - 02 - 28), datetime!(2026-04-01 0:00 UTC)),
            (date!(2026 - 03 - 31), datetime!(2026-05-01 0:00 UTC)),
            (date!(2026 - 03 - 01), datetime!(2026-05-01 0:00 UTC)),
            (date!(2026 - 12 - 31), datetime!(2027-02-01 0:00 UTC)),
        ] {
            let now = datetime!(2026-02-28 22:00 UTC);
            assert_eq!(kept_for(day, now), Duration::try_from(end - now).unwrap(), "{day}");
            assert_eq!(kept_for(day, end), Duration::from_secs(86_400));
        }
        kept_for(Date::MAX, datetime!(2026-01-01 0:00 UTC));
    }

    #[test]
    fn a_field_is_read_back_whatever_a_client_is_called() {
        for (provider, of) in
            [("a", None), ("a", Some("ip:2001:db8::/64")), ("a", Some("odd\nname")), ("b", Some(""))]
        {
            assert_eq!(read_field(&field(provider, of, "calls")), Some((provider, of, "calls")));
        }
        assert_eq!(read_field("calls"), None);
    }

    #[test]
    fn sums_are_read_back() {
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
