//! `pixcolor usage`: shows calls and costs as a table, from the ledger on this machine or from a running gateway.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::sync::Arc;

use secrecy::SecretString;
use serde::Deserialize;
use time::{Date, OffsetDateTime};

use super::remote::Remote;
use super::{CliError, say};
use crate::config::{Config, ConfigSource};
use crate::credit::ledger::RedisLedger;
use crate::credit::{Credits, FileLedger, Ledger, LedgerError, UsageGrouping, UsageReport, UsageRow, days};
use crate::shared::SharedRedis;
use crate::tasks::Tasks;

/// The environment variable with a gateway's admin token, which `by=client` requires.
const TOKEN: &str = "PIXCOLOR_ADMIN_TOKEN";

#[derive(clap::Args)]
pub struct Args {
    /// The first day, such as 2026-01-31 [default: the first day of the month of `--to`]
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// The last day [default: today, in UTC]
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    /// Group lines by provider, day or client
    #[arg(long, value_name = "WORD", default_value = "provider", value_parser = by)]
    by: UsageGrouping,
    /// Print CSV, with more columns
    #[arg(long)]
    csv: bool,
    /// Ask a running gateway, such as http://127.0.0.1:8080, instead of reading the ledger on this machine.
    /// `--by client` needs its admin token in PIXCOLOR_ADMIN_TOKEN
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
}

fn by(text: &str) -> Result<UsageGrouping, &'static str> {
    let known = UsageGrouping::ALL.into_iter().find(|(word, _)| *word == text);
    known.map(|(_, by)| by).ok_or("provider, day or client")
}

/// Prints the usage. The ledger can be read while a gateway is running.
pub fn run(source: &ConfigSource, args: &Args) -> Result<ExitCode, CliError> {
    let said = match &args.gateway {
        Some(gateway) => there(gateway, args)?,
        None => here(source, args)?,
    };
    let said = match args.csv {
        true => said,
        false => table(args.by, &serde_json::from_str(&said)?),
    };
    say(said.trim_end_matches(['\r', '\n']));
    Ok(ExitCode::SUCCESS)
}

/// Usage from the ledger on this machine, as CSV or as the JSON of `/v1/usage`.
fn here(source: &ConfigSource, args: &Args) -> Result<String, CliError> {
    let config = super::load(source)?.config;
    let days = days(args.from.as_deref(), args.to.as_deref(), OffsetDateTime::now_utc().date())?;
    let rows =
        read(&config, &days).map_err(|error| format!("the ledger cannot be read: {}", error.reason))?;
    let report = UsageReport::new(&rows, args.by, |provider| config.worth(provider));
    Ok(match args.csv {
        true => report.to_csv(),
        false => report.to_json(&days).to_string(),
    })
}

/// Usage from a gateway, as CSV or JSON, as for the local ledger.
fn there(gateway: &str, args: &Args) -> Result<String, CliError> {
    let format = if args.csv { "csv" } else { "json" };
    let mut query = vec![("by", args.by.label()), ("format", format)];
    query.extend(args.from.as_deref().map(|day| ("from", day)));
    query.extend(args.to.as_deref().map(|day| ("to", day)));
    let token = std::env::var(TOKEN).ok().map(SecretString::from);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(Remote::new(gateway, None)?.usage(&query, token.as_ref()))
}

/// The response of `/v1/usage`.
#[derive(Deserialize)]
struct UsageResponse {
    from: String,
    to: String,
    lines: Vec<UsageTableLine>,
    total: UsageTableLine,
}

#[derive(Deserialize)]
struct UsageTableLine {
    #[serde(alias = "provider", alias = "day", alias = "client")]
    name: Option<String>,
    calls: u64,
    failed: u64,
    unknown_costs: u64,
    credits: String,
    money: BTreeMap<String, String>,
    megapixels: f64,
    provider_seconds: f64,
    cpu_seconds: f64,
}

/// Reads the ledger for these days: the shared one in Redis if configured, else the file on this machine.
fn read(config: &Config, days: &RangeInclusive<Date>) -> Result<Vec<UsageRow>, LedgerError> {
    let Some(options) = config.shared.options() else {
        let (rows, damage) = FileLedger::read_usage(&config.state_dir, days)?;
        if let Some(damage) = damage {
            super::complain(format_args!(
                "The ledger has lost records; only the remaining ones are shown. {damage}"
            ));
        }
        return Ok(rows);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| LedgerError { reason: error.to_string() })?;
    let ledger = RedisLedger::new(SharedRedis::new(options, Arc::new(())), None, Tasks::default());
    runtime.block_on(ledger.usage(days.clone()))
}

/// Credits charged for the command line's calls since a day; `None` if the ledger cannot be read.
pub fn charged_since(config: &Config, day: Date) -> Option<Credits> {
    let rows = read(config, &(day..=OffsetDateTime::now_utc().date())).ok()?;
    let own = rows.iter().filter(|row| row.client.is_none());
    Some(own.map(|row| row.tally.credits).sum())
}

/// Formats the usage as a table: the first column is left-aligned, numbers are right-aligned.
fn table(by: UsageGrouping, usage: &UsageResponse) -> String {
    let head =
        [by.label(), "calls", "failed", "unknown", "credits", "money", "megapixels", "seconds", "cpu s"];
    let lines = usage.lines.iter().map(|line| line.columns("(no client)"));
    let all: Vec<[String; 9]> =
        std::iter::once(head.map(str::to_owned)).chain(lines).chain([usage.total.columns("total")]).collect();
    let mut widths = [0; 9];
    for line in &all {
        for (width, text) in widths.iter_mut().zip(line) {
            *width = (*width).max(text.chars().count());
        }
    }
    let mut table = format!("{} to {}\n", usage.from, usage.to);
    for line in &all {
        for (index, (width, text)) in widths.iter().zip(line).enumerate() {
            let cell = if index == 0 { format!("{text:<width$}") } else { format!("  {text:>width$}") };
            table.push_str(&cell);
        }
        table.push('\n');
    }
    table
}

impl UsageTableLine {
    fn columns(&self, without_name: &str) -> [String; 9] {
        let money: Vec<String> =
            self.money.iter().map(|(currency, amount)| format!("{amount} {currency}")).collect();
        [
            self.name.clone().unwrap_or_else(|| without_name.to_owned()),
            self.calls.to_string(),
            self.failed.to_string(),
            self.unknown_costs.to_string(),
            self.credits.clone(),
            money.join(" "),
            format!("{:.2}", self.megapixels),
            format!("{:.1}", self.provider_seconds),
            format!("{:.1}", self.cpu_seconds),
        ]
    }
}
