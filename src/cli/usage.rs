//! `pixcolor usage`: what was used, as a table.

use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::sync::Arc;

use time::{Date, OffsetDateTime};
use tokio_util::task::TaskTracker;

use super::CliError;
use crate::config::{Config, Source};
use crate::credit::ledger::RedisLedger;
use crate::credit::{By, FileLedger, Ledger, LedgerError, Line, Report, UsageRow, days};
use crate::shared::Shared;

/// What `usage` is told.
#[derive(clap::Args)]
pub struct Args {
    /// The first day, such as 2026-01-31 [default: the first of the last day's month]
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// The last day [default: today, in UTC]
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    /// What a line is: provider, day or client
    #[arg(long, value_name = "WORD", default_value = "provider", value_parser = by)]
    by: By,
    /// Print CSV, with more columns
    #[arg(long)]
    csv: bool,
}

fn by(text: &str) -> Result<By, &'static str> {
    let known = By::ALL.into_iter().find(|(word, _)| *word == text);
    known.map(|(_, by)| by).ok_or("provider, day or client")
}

/// Prints what the ledger says. A gateway may be running.
pub fn run(source: &Source, args: &Args) -> Result<ExitCode, CliError> {
    let config = super::load(source)?.config;
    let days = days(args.from.as_deref(), args.to.as_deref(), OffsetDateTime::now_utc().date())?;
    let rows =
        read(&config, &days).map_err(|error| format!("the ledger cannot be read: {}", error.reason))?;
    let report = Report::new(&rows, args.by, |provider| config.worth(provider));
    match args.csv {
        true => print!("{}", report.to_csv()),
        false => print!("{} to {}\n{}", days.start(), days.end(), table(&report)),
    }
    Ok(ExitCode::SUCCESS)
}

/// What the ledger says was used on these days: that of all replicas, or the file on this machine.
fn read(config: &Config, days: &RangeInclusive<Date>) -> Result<Vec<UsageRow>, LedgerError> {
    let Some(options) = config.shared.options() else {
        return FileLedger::read_usage(&config.state_dir, days);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| LedgerError { reason: error.to_string() })?;
    let ledger = RedisLedger::new(Shared::new(options, Arc::new(())), None, TaskTracker::new());
    runtime.block_on(ledger.usage(days.clone()))
}

/// Lines with columns as wide as they need to be: the first to the left, numbers to the right.
fn table(report: &Report) -> String {
    let head = [
        report.by.label(),
        "calls",
        "failed",
        "unknown",
        "credits",
        "money",
        "megapixels",
        "seconds",
        "cpu s",
    ];
    let lines = report.lines.iter().map(|line| {
        let name = if line.name.is_empty() { "(no client)" } else { &line.name };
        columns(name, line)
    });
    let all: Vec<[String; 9]> = std::iter::once(head.map(str::to_owned))
        .chain(lines)
        .chain([columns("total", &report.total)])
        .collect();
    let mut widths = [0; 9];
    for line in &all {
        for (width, text) in widths.iter_mut().zip(line) {
            *width = (*width).max(text.chars().count());
        }
    }
    let mut table = String::new();
    for line in &all {
        for (index, (width, text)) in widths.iter().zip(line).enumerate() {
            let cell = if index == 0 { format!("{text:<width$}") } else { format!("  {text:>width$}") };
            table.push_str(&cell);
        }
        table.push('\n');
    }
    table
}

fn columns(name: &str, line: &Line) -> [String; 9] {
    let tally = &line.tally;
    [
        name.to_owned(),
        tally.calls.to_string(),
        tally.failed.to_string(),
        tally.unknown.to_string(),
        tally.credits.to_string(),
        line.money_in_words(),
        format!("{:.2}", tally.pixels as f64 / 1e6),
        format!("{:.1}", line.seconds().as_secs_f64()),
        format!("{:.1}", line.cpu().as_secs_f64()),
    ]
}
