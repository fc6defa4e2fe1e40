//! `pixcolor colorize`: colours files and folders in this process with the server's pipeline, or through a running
//! gateway.
//!
//! All inputs are found (`inputs`) and all results planned (`plan`) before the first picture is coloured (`prepare`).
//! `batch` then colours the pictures, each with `work`. The `journal` lets the next run continue where this one ended.

mod args;
mod batch;
mod dry_run;
mod entries;
mod estimate;
mod inputs;
mod journal;
mod local;
mod pages;
mod plan;
mod prepare;
mod probe;
mod record;
mod report;
mod retry;
mod screen;
mod settings;
mod spending;
mod work;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use args::Args;
pub use entries::originals_of;
pub use work::ColoredPicture;

use super::remote::Remote;
use super::signals::{Signals, StopSignal};
use super::{CliError, GRACE, LAST, complain, say};
use crate::config::{self, ConfigSource, LimitsConfig, ReportedValues};
use crate::credit::Credits;
use crate::gateway::RenditionOptions;
use crate::photo::MetadataPolicy;
use crate::tasks;
use batch::{Batch, Progress};
use dry_run::DryRun;
use local::{CostSummary, Local};
use plan::{Planned, Target};
use prepare::prepare;
use report::{Report, Row, Status};
use screen::Screen;
use spending::Spending;
use work::{Colorer, FileMemory, Work};

/// Pictures at a time with `--gateway`.
const REMOTE_JOBS: usize = 4;

/// Colours every photograph. The exit code is 1 if any of them failed or `--max-credits` was reached.
pub fn run(source: &ConfigSource, args: Args) -> Result<ExitCode, CliError> {
    args.check();
    let runtime = super::runtime(&config::server_figment(source)?)?;
    let mut account = None;
    let ended = runtime.block_on(run_on(source, &args, &mut account))?;
    // Dropping the runtime settles the reservations of aborted calls; dropping the gateway then flushes the ledger.
    runtime.shutdown_timeout(LAST);
    let Ended { progress, colorer } = ended;
    let by_gateway = matches!(colorer, Colorer::There { .. });
    drop(colorer);
    finish(&progress, by_gateway, account.as_ref(), &args)
}

/// The result of a run, and its gateway, which must be dropped after the runtime.
struct Ended {
    progress: Progress,
    colorer: Colorer,
}

async fn run_on(
    source: &ConfigSource,
    args: &Args,
    account: &mut Option<CostSummary>,
) -> Result<Ended, CliError> {
    let stop = CancellationToken::new();
    let (colorer, options, memory) = colorer(source, args, &stop, account).await?;
    let settings = args.settings(&options, fixed_settings(&colorer));
    // Calls that cost nothing can be repeated, so they are not waited for. Whether a gateway's calls cost credit is not
    // known here.
    let may_cost = account.is_some() || matches!(colorer, Colorer::There { .. });
    let patience = if may_cost { GRACE } else { Duration::ZERO };
    let mut signals = Signals::new()?;
    let planning = tasks::spawn_blocking({
        let (args, stop) = (args.clone(), stop.clone());
        move || prepare(&args, settings, &stop)
    });
    let plan = tokio::select! {
        plan = planning => plan??,
        signal = signals.next() => {
            stop.cancel();
            return Ok(Ended { progress: Progress { stopped_by: Some(signal), ..Progress::default() }, colorer });
        }
    };
    let targets: Vec<(&Planned, &Target)> = plan.planned.iter().filter_map(Planned::target).collect();
    let screen = Screen::new(targets.len(), args.quiet, args.json);
    let mut report = args.report.as_deref().map(Report::create).transpose()?;
    let mut progress = plan.show(&screen, report.as_mut());
    let jobs = jobs(args, &colorer);
    if args.dry_run {
        if let Some(report) = &mut report {
            let left = |planned: &Planned| Row::new(&planned.input.path, Status::Left, None);
            targets.iter().for_each(|(planned, _)| report.write(&left(planned)));
        }
        report.map_or(Ok(()), Report::end)?;
        let estimate =
            DryRun { targets: &targets, pages: args.pages.as_ref(), colorer: &colorer, jobs, stop: &stop };
        tokio::select! {
            ended = estimate.run(&mut progress, args.json, args.quiet) => ended?,
            signal = signals.next() => {
                stop.cancel();
                progress.stopped_by = Some(signal);
            }
        }
        return Ok(Ended { progress, colorer });
    }
    let spending = Spending::up_to(args.max_credits);
    let most = most(&colorer, &spending).await?;
    let work = Work {
        colorer,
        settings: plan.settings,
        options,
        pages: args.pages.clone(),
        preserve: !args.no_preserve,
        journal: Arc::new(plan.journal),
        spending,
        most,
        memory,
        stop: stop.clone(),
    };
    let batch = Batch { jobs, patience, stop: &stop, screen: &screen, report: report.as_mut() };
    batch.run(&targets, &mut signals, &mut progress, |planned, target| work.color(planned, target)).await;
    let reported = report.map_or(Ok(()), Report::end);
    if let Colorer::Here(local) = &work.colorer {
        // Waits for writes to the cache; failed writes have been logged.
        local.gateway.tasks().finish(if progress.stopped_by.is_some() { LAST } else { GRACE }).await;
    }
    reported?;
    Ok(Ended { progress, colorer: work.colorer })
}

fn jobs(args: &Args, colorer: &Colorer) -> usize {
    args.jobs.map(usize::from).unwrap_or_else(|| match colorer {
        Colorer::Here(_) => std::thread::available_parallelism().map_or(2, usize::from),
        Colorer::There { .. } => REMOTE_JOBS,
    })
}

/// Opens a gateway in this process, or connects to a running one.
async fn colorer(
    source: &ConfigSource,
    args: &Args,
    stop: &CancellationToken,
    account: &mut Option<CostSummary>,
) -> Result<(Colorer, RenditionOptions, FileMemory), CliError> {
    let provider = args.provider.clone();
    let (colorer, metadata, limits) = match &args.gateway {
        Some(address) => {
            let remote = Remote::new(address, args.key_file.as_deref())?;
            if !args.dry_run {
                remote.check().await?;
            }
            (Colorer::There { remote, provider }, None, LimitsConfig::default())
        }
        None => {
            let loaded = super::load(source)?;
            let config = loaded.config.clone();
            let (metadata, limits) = (config.metadata, config.limits);
            let gateway = super::gateway(loaded, ReportedValues::default())?;
            let local = Local { gateway, provider, stop: stop.clone() };
            if local.costs_credit() {
                *account = Some(CostSummary::new(config));
            }
            (Colorer::Here(local), metadata, limits)
        }
    };
    let options = args.options(args.metadata.or(metadata).unwrap_or(MetadataPolicy::Keep));
    Ok((colorer, options, FileMemory::new(limits.file_bytes, limits.upload_memory)))
}

/// What changes results and is not an argument.
fn fixed_settings(colorer: &Colorer) -> Vec<String> {
    match colorer {
        Colorer::Here(local) => local.settings(),
        Colorer::There { provider, .. } => vec!["gateway".to_owned(), provider.clone().unwrap_or_default()],
    }
}

/// The most that a call for one picture may cost; unknown and unused without `--max-credits`.
async fn most(colorer: &Colorer, spending: &Spending) -> Result<Credits, CliError> {
    match colorer {
        _ if !spending.is_limited() => Ok(Credits::ZERO),
        Colorer::Here(local) => Ok(local.most()),
        Colorer::There { remote, provider } => {
            Ok(estimate::most(&remote.estimate(None, provider.as_deref()).await?, provider.as_deref()))
        }
    }
}

/// Prints the summary and returns the exit code.
fn finish(
    progress: &Progress,
    by_gateway: bool,
    account: Option<&CostSummary>,
    args: &Args,
) -> Result<ExitCode, CliError> {
    let summarized = !args.quiet && !args.dry_run;
    if args.json && !args.dry_run {
        say(serde_json::json!({ "summary": progress.to_json() }));
    }
    if let Some(signal) = progress.stopped_by {
        let charged = charged(progress, by_gateway, account);
        complain(format_args!("pixcolor: stopped by {signal}: {}; {charged}", progress.summary()));
        return Ok(ExitCode::from(StopSignal::exit_code(signal)));
    }
    if progress.over_limit {
        return Err(format!("the limit of `--max-credits` is reached: {}", progress.summary()).into());
    }
    if args.dry_run && args.checksum && progress.suspicious > 0 {
        return Err(format!("{} photographs have changed without a new time", progress.suspicious).into());
    }
    if progress.failed > 0 {
        let Progress { failed, count, .. } = progress;
        return Err(format!("{failed} of {count} photographs were not coloured").into());
    }
    // The line of a single result says it all.
    let single = (progress.count, progress.colored, progress.skipped) == (1, 1, 0);
    if summarized && !args.json && !single {
        say(progress.summary());
    }
    Ok(ExitCode::SUCCESS)
}

/// Describes the charges of a run that a signal stopped.
fn charged(progress: &Progress, by_gateway: bool, account: Option<&CostSummary>) -> String {
    match (by_gateway, account) {
        (true, _) => {
            let credits = progress.credits;
            let unknown = match progress.cut_off {
                0 => "",
                _ => ", and may charge for those that were cut off: see `pixcolor usage --gateway`",
            };
            format!("the gateway charged {credits} credits for those that were coloured{unknown}")
        }
        (false, None) => "0 credits were charged".to_owned(),
        (false, Some(account)) => account.charged(progress.cut_off),
    }
}
