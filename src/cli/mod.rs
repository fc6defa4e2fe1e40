//! The command line: `serve`, `colorize`, `check`, `provider`, `cache`, `usage`, `ledger`, `key`,
//! `health`.

mod batch;
mod cache;
mod check;
mod colorize;
mod health;
mod key;
mod ledger;
mod metrics;
mod output;
mod provider;
mod remote;
mod serve;
mod signals;
mod stop;
mod usage;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::config::{self, ConfigSource, Loaded, ReportedValues};
use crate::gateway::{CacheStores, Gateway, ReloadStatus, Snapshot};
use crate::observe::{self, Metrics};
use crate::provider::ProviderMemory;

/// How long work that nobody waits for any more may go on at the end.
const GRACE: Duration = Duration::from_secs(10);

/// How long the program waits at its very end for work that is off the async threads and cannot be ended.
const LAST: Duration = Duration::from_millis(500);

/// What went wrong, for a person at a terminal.
type CliError = Box<dyn std::error::Error + Send + Sync>;

/// Colours black-and-white photographs: a gateway for browsers, scripts and SDKs, and a command line.
#[derive(Parser)]
#[command(version, after_help = "Without a command, `pixcolor` serves.")]
struct Cli {
    /// The folder with pixcolor.toml and providers/ [default: PIXCOLOR_CONFIG, else ./config if it is
    /// there, else what is built in; for `key`, `cache`, `usage` and `ledger` the service's, if there is one]
    #[arg(long, global = true, value_name = "DIR")]
    config: Option<PathBuf>,
    /// The folder of the ledger and of clients' keys, instead of what `state_dir` and PIXCOLOR_STATE_DIR say
    #[arg(long, global = true, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the page and the API (the default)
    Serve,
    /// Colour files without a server
    Colorize(colorize::Args),
    /// Show the configuration in effect and where each value comes from, or what is wrong with it
    Check(check::Args),
    /// Show the providers, or try one out
    #[command(subcommand)]
    Provider(provider::Command),
    /// Make, show and revoke the keys of clients
    #[command(subcommand)]
    Key(key::Command),
    /// Show or forget what is kept of coloured pictures
    #[command(subcommand)]
    Cache(cache::Args),
    /// Show what was used and what it cost, by provider, day or client
    Usage(usage::Args),
    /// Repair the account of credit by hand
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// Ask a gateway whether it is alive; the exit code says it, for container engines
    Health(health::Args),
}

/// Runs what the arguments say. The exit code is 0 if all went well, 1 if something failed, 2 for wrong
/// arguments, and 128 and the number of the signal where a signal stopped `colorize`.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    observe::init_log();
    let source = ConfigSource::from_process(cli.config, cli.state_dir);
    let result = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&source),
        Command::Colorize(args) => colorize::run(&source, args),
        Command::Check(args) => check::run(&source, args),
        Command::Provider(command) => provider::run(&source, command),
        Command::Key(command) => key::run(&source.or_of_the_service(), command),
        Command::Cache(args) => cache::run(&source.or_of_the_service(), args),
        Command::Usage(args) => usage::run(&source.or_of_the_service(), &args),
        Command::Ledger(command) => ledger::run(&source.or_of_the_service(), &command),
        Command::Health(args) => health::run(&source, &args),
    };
    result.unwrap_or_else(|error| {
        complain(format_args!("pixcolor: {error}"));
        ExitCode::FAILURE
    })
}

/// Tells the person who has started the program. Nobody may be there any more, which is no reason to end.
fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The same where errors go.
fn complain(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The configuration in effect; what is odd about it is logged.
fn load(source: &ConfigSource) -> Result<Loaded, CliError> {
    let loaded = config::load(source)?;
    loaded.warn();
    Ok(loaded)
}

/// A gateway with the configuration in effect, behind a server with these settings if there is one.
fn gateway(loaded: Loaded, server: ReportedValues) -> Result<Arc<Gateway>, CliError> {
    let reloads = ReloadStatus::new(&loaded, server);
    let metrics = Metrics::new(prometheus::Registry::new())?;
    let (snapshot, memory) = snapshot(loaded, metrics.clone())?;
    let stores = CacheStores::open(&snapshot.config, &metrics)?;
    Ok(Gateway::new(snapshot, stores, memory, metrics, reloads))
}

/// The configuration in effect and its providers, and what these remember.
fn snapshot(loaded: Loaded, metrics: Metrics) -> Result<(Snapshot, ProviderMemory), CliError> {
    let report = loaded.to_json();
    let memory = ProviderMemory::new(metrics);
    Ok((Snapshot::build(loaded.config, report, &memory)?, memory))
}

/// The async runtime, as `Rocket.toml` sizes it. Rocket's own would read its file from the current folder
/// only.
fn runtime(figment: &rocket::figment::Figment) -> Result<tokio::runtime::Runtime, CliError> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Ok(workers) = figment.extract_inner("workers") {
        runtime.worker_threads(workers);
    }
    if let Ok(blocking) = figment.extract_inner("max_blocking") {
        runtime.max_blocking_threads(blocking);
    }
    Ok(runtime.thread_name("pixcolor").enable_all().build()?)
}
