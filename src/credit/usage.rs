//! Usage: totals by day, provider and client, and the usage report.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::Date;

use super::amount::{Credits, Currency, Money, Worth};

/// Totals over calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub calls: u64,
    /// Calls that returned no usable colour.
    pub failed: u64,
    /// Calls of unknown cost, for which the full reservation was charged.
    pub unknown: u64,
    /// Calls that cost more than their reservation.
    pub overruns: u64,
    /// Credit charged for all calls.
    pub credits: Credits,
    /// The part of `credits` that exceeded the reservations.
    pub overrun: Credits,
    /// Pixels of the coloured photos, at full size.
    pub pixels: u64,
    /// Pixels of the images that were sent to providers.
    pub sent_pixels: u64,
    /// Time that providers took, in milliseconds.
    pub took_ms: u64,
    /// CPU time on this machine, in microseconds.
    pub cpu_us: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        let Self { calls, failed, unknown, overruns, credits, overrun, pixels, sent_pixels, took_ms, cpu_us } =
            self;
        for (sum, more) in [
            (calls, other.calls),
            (failed, other.failed),
            (unknown, other.unknown),
            (overruns, other.overruns),
            (pixels, other.pixels),
            (sent_pixels, other.sent_pixels),
            (took_ms, other.took_ms),
            (cpu_us, other.cpu_us),
        ] {
            *sum = sum.saturating_add(more);
        }
        *credits = credits.plus(other.credits);
        *overrun = overrun.plus(other.overrun);
    }
}

/// Totals of a provider's calls for one client on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// The day in UTC on which the calls began.
    pub day: Date,
    pub provider: String,
    /// `None` for calls without a client, for days before last month, and for free calls of addresses beyond the
    /// first `ANONYMOUS_CLIENTS_A_DAY` of a day.
    pub client: Option<String>,
    pub tally: Tally,
}

/// How a report groups calls into lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageGrouping {
    Provider,
    Day,
    Client,
}

impl UsageGrouping {
    pub const ALL: [(&'static str, Self); 3] =
        [("provider", Self::Provider), ("day", Self::Day), ("client", Self::Client)];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Day => "day",
            Self::Client => "client",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageReport {
    pub by: UsageGrouping,
    /// Sorted by name.
    pub lines: Vec<UsageLine>,
    /// The total of all lines.
    pub total: UsageLine,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageLine {
    /// The provider, the day or the client; empty if there is no client, and in the total of a report.
    pub name: String,
    pub tally: Tally,
    /// The current value of the credit by currency, in millionths. The credit of providers without a configured value
    /// is left out.
    pub money: BTreeMap<Currency, i64>,
}

impl UsageLine {
    fn add(&mut self, tally: &Tally, worth: Option<Worth>) {
        self.tally.add(tally);
        if let Some(worth) = worth {
            let Money { micro, currency } = worth.of(tally.credits);
            let sum = self.money.entry(currency).or_default();
            *sum = sum.saturating_add(micro);
        }
    }

    fn money(&self) -> impl Iterator<Item = (String, String)> {
        self.money.iter().map(|(currency, micro)| {
            (currency.to_string(), Money { micro: *micro, currency: *currency }.amount())
        })
    }

    /// The value of the credit, such as `0.0002 USD`; amounts in several currencies are separated by spaces.
    pub fn money_in_words(&self) -> String {
        let money: Vec<String> =
            self.money().map(|(currency, amount)| format!("{amount} {currency}")).collect();
        money.join(" ")
    }

    fn to_json(&self, by: UsageGrouping) -> Value {
        let Tally { calls, failed, unknown, overruns, credits, overrun, pixels, sent_pixels, .. } =
            self.tally;
        let mut line = json!({
            "calls": calls,
            "failed": failed,
            "unknown_costs": unknown,
            "overruns": overruns,
            // Decimals as text: money is never a float.
            "credits": credits.to_string(),
            "overrun_credits": overrun.to_string(),
            "money": self.money().collect::<BTreeMap<_, _>>(),
            "megapixels": megapixels(pixels),
            "sent_megapixels": megapixels(sent_pixels),
            "provider_seconds": self.seconds().as_secs_f64(),
            "cpu_seconds": self.cpu().as_secs_f64(),
        });
        if !self.name.is_empty() {
            line[by.label()] = Value::from(self.name.clone());
        }
        line
    }

    /// Time that providers took.
    pub const fn seconds(&self) -> Duration {
        Duration::from_millis(self.tally.took_ms)
    }

    /// CPU time on this machine.
    pub const fn cpu(&self) -> Duration {
        Duration::from_micros(self.tally.cpu_us)
    }
}

fn megapixels(pixels: u64) -> f64 {
    pixels as f64 / 1e6
}

impl UsageReport {
    /// Groups rows into lines. `worth` returns the current value of a provider's credit.
    pub fn new(rows: &[UsageRow], by: UsageGrouping, worth: impl Fn(&str) -> Option<Worth>) -> Self {
        let mut lines: BTreeMap<String, UsageLine> = BTreeMap::new();
        let mut total = UsageLine::default();
        for row in rows {
            let name = match by {
                UsageGrouping::Provider => row.provider.clone(),
                UsageGrouping::Day => row.day.to_string(),
                UsageGrouping::Client => row.client.clone().unwrap_or_default(),
            };
            let worth = worth(&row.provider);
            lines.entry(name).or_default().add(&row.tally, worth);
            total.add(&row.tally, worth);
        }
        let lines = lines.into_iter().map(|(name, line)| UsageLine { name, ..line }).collect();
        Self { by, lines, total }
    }

    /// `{"from": ..., "to": ..., "by": ..., "lines": [...], "total": {...}}`. Amounts are decimals in strings.
    pub fn to_json(&self, days: &RangeInclusive<Date>) -> Value {
        let lines: Vec<Value> = self.lines.iter().map(|line| line.to_json(self.by)).collect();
        json!({
            "from": days.start().to_string(),
            "to": days.end().to_string(),
            "by": self.by.label(),
            "lines": lines,
            "total": self.total.to_json(self.by),
        })
    }

    /// A header line, then each of `lines` (RFC 4180). Amounts in several currencies are separated by spaces.
    pub fn to_csv(&self) -> String {
        let mut csv = format!(
            "{},calls,failed,unknown_costs,overruns,credits,overrun_credits,money,megapixels,sent_megapixels,\
             provider_seconds,cpu_seconds\r\n",
            self.by.label()
        );
        for line in &self.lines {
            let Tally { calls, failed, unknown, overruns, credits, overrun, pixels, sent_pixels, .. } =
                line.tally;
            let (name, money) = (field(&line.name), line.money_in_words());
            let (pixels, sent) = (megapixels(pixels), megapixels(sent_pixels));
            let (seconds, cpu) = (line.seconds().as_secs_f64(), line.cpu().as_secs_f64());
            // Writing to a string cannot fail.
            let _ = write!(
                csv,
                "{name},{calls},{failed},{unknown},{overruns},{credits},{overrun},{money},{pixels},{sent},\
                 {seconds},{cpu}\r\n"
            );
        }
        csv
    }
}

/// A CSV field, quoted if necessary.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;
    use crate::credit::amount::Rate;

    fn row(day: Date, provider: &str, client: Option<&str>, credits: i64) -> UsageRow {
        let tally = Tally {
            calls: 2,
            failed: 1,
            credits: Credits::from_micro(credits),
            pixels: 12_000_000,
            sent_pixels: 500_000,
            took_ms: 1500,
            cpu_us: 250_000,
            ..Tally::default()
        };
        UsageRow { day, provider: provider.into(), client: client.map(Into::into), tally }
    }

    fn rows() -> Vec<UsageRow> {
        vec![
            row(date!(2026 - 03 - 01), "algorithmia", Some("ip:192.0.2.1"), 1_500_000),
            row(date!(2026 - 03 - 01), "local", None, 0),
            row(date!(2026 - 03 - 02), "algorithmia", Some("ip:192.0.2.1"), 10_000_000),
        ]
    }

    fn worth(provider: &str) -> Option<Worth> {
        let dollar = Currency::parse("USD").unwrap();
        (provider == "algorithmia").then(|| Worth { one: Rate::parse("0.0001").unwrap(), currency: dollar })
    }

    #[test]
    fn a_report_has_a_line_for_each_provider_day_or_client() {
        for (by, expected) in [
            (UsageGrouping::Provider, vec![("algorithmia", "11.5"), ("local", "0")]),
            (UsageGrouping::Day, vec![("2026-03-01", "1.5"), ("2026-03-02", "10")]),
            (UsageGrouping::Client, vec![("", "0"), ("ip:192.0.2.1", "11.5")]),
        ] {
            let report = UsageReport::new(&rows(), by, worth);
            let lines: Vec<(String, String)> =
                report.lines.iter().map(|line| (line.name.clone(), line.tally.credits.to_string())).collect();
            let lines: Vec<(&str, &str)> = lines.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            assert_eq!(lines, expected);
            assert_eq!(report.total.tally.calls, 6);
            assert_eq!(report.total.to_json(by)["money"], json!({ "USD": "0.00115" }));
        }
    }

    #[test]
    fn csv_and_json_have_the_same_content() {
        let csv = UsageReport::new(&rows(), UsageGrouping::Provider, worth).to_csv();
        let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
        assert_eq!(
            lines,
            [
                "provider,calls,failed,unknown_costs,overruns,credits,overrun_credits,money,megapixels,\
                 sent_megapixels,provider_seconds,cpu_seconds",
                "algorithmia,4,2,0,0,11.5,0,0.00115 USD,24,1,3,0.5",
                "local,2,1,0,0,0,0,,12,0.5,1.5,0.25",
            ]
        );
        assert_eq!(field("a\"b,c"), "\"a\"\"b,c\"");
    }
}
