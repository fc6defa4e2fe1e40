//! The command line: `serve`, `colorize`, `sheet`, `check`, `provider`, `cache`, `usage`, `ledger`, `key`,
//! `health`.

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
mod sheet;
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

/// How long `colorize` waits for calls that may cost credit after a signal, and for background work before it ends.
const GRACE: Duration = Duration::from_secs(10);

/// How long the runtime waits at shutdown for blocking work, which cannot be cancelled.
const LAST: Duration = Duration::from_millis(500);

/// An error with a message for a person at a terminal.
type CliError = Box<dyn std::error::Error + Send + Sync>;

/// Colours black-and-white photographs: a gateway for browsers, scripts and SDKs, and a command line.
#[derive(Parser)]
#[command(version, after_help = "Without a command, `pixcolor` runs `serve`.")]
struct Cli {
    /// The folder with pixcolor.toml and providers/ [default: PIXCOLOR_CONFIG, else ./config if it
    /// exists, else the built-in defaults; `key`, `cache`, `usage` and `ledger` use the service's
    /// folder if there is one]
    #[arg(long, global = true, value_name = "DIR")]
    config: Option<PathBuf>,
    /// The folder of the ledger and the clients' keys; overrides `state_dir` and PIXCOLOR_STATE_DIR
    #[arg(long, global = true, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the page and the API (the default)
    Serve,
    /// Colour files in this process, or with a running gateway
    Colorize(colorize::Args),
    /// Make contact sheets that show each original beside its result
    Sheet(sheet::Args),
    /// Show the configuration in effect and where each value comes from, or report its errors
    Check(check::Args),
    /// List the providers, or test one
    #[command(subcommand)]
    Provider(provider::Command),
    /// Create, list and revoke the keys of clients
    #[command(subcommand)]
    Key(key::Command),
    /// Show the size of the cache, or remove entries
    #[command(subcommand)]
    Cache(cache::Args),
    /// Show calls and their cost, by provider, day or client
    Usage(usage::Args),
    /// Repair the ledger of credit
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// Check whether a gateway is alive; the exit code is the result, for container engines
    Health(health::Args),
}

/// Runs the command that the arguments name. The exit code is 0 for success, 1 for a failure, 2 for wrong
/// arguments, and 128 plus the signal's number when a signal stopped `colorize` or `provider test`.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    observe::init_log();
    let source = ConfigSource::from_process(cli.config, cli.state_dir);
    let result = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&source),
        Command::Colorize(args) => colorize::run(&source, args),
        Command::Sheet(args) => sheet::run(&source, &args),
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

/// Prints a line to standard output. Ignores errors: a closed terminal must not stop the program.
fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a line to standard error. Ignores errors.
fn complain(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Loads the configuration and logs its warnings.
fn load(source: &ConfigSource) -> Result<Loaded, CliError> {
    let loaded = config::load(source)?;
    loaded.warn();
    Ok(loaded)
}

/// Creates a gateway. `server` contains the server's settings for reports; it is empty for commands without a server.
fn gateway(loaded: Loaded, server: ReportedValues) -> Result<Arc<Gateway>, CliError> {
    let reloads = ReloadStatus::new(&loaded, server);
    let metrics = Metrics::new(prometheus::Registry::new())?;
    let (snapshot, memory) = snapshot(loaded, metrics.clone())?;
    let stores = CacheStores::open(&snapshot.config, &metrics)?;
    Ok(Gateway::new(snapshot, stores, memory, metrics, reloads))
}

/// Builds the snapshot of a configuration, and the state of its providers that survives a reload.
fn snapshot(loaded: Loaded, metrics: Metrics) -> Result<(Snapshot, ProviderMemory), CliError> {
    let report = loaded.to_json();
    let memory = ProviderMemory::new(metrics);
    Ok((Snapshot::build(loaded.config, report, &memory)?, memory))
}

/// The async runtime, with the numbers of threads from `Rocket.toml`. Rocket's own runtime reads that file only from
/// the current folder.
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
