//! `pixcolor ledger`: lets an operator repair the ledger.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use time::OffsetDateTime;

use super::{CliError, say};
use crate::config::ConfigSource;
use crate::credit::FileLedger;
use crate::credit::ledger::RedisLedger;
use crate::shared::{RedisOptions, SharedRedis};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Continue with the readable part of a damaged or lost ledger, so that providers that cost something are used
    /// again. Lost records no longer count in any budget. The command fails while a gateway holds the ledger
    /// file. With a ledger in Redis, run the command on the machine of each replica; the gateways can keep
    /// running
    AcceptLoss,
}

/// Runs the command on the ledger in Redis if one is configured, or else on the ledger in `state_dir`.
pub fn run(source: &ConfigSource, command: &Command) -> Result<ExitCode, CliError> {
    let config = super::load(source)?.config;
    match (command, config.shared.options()) {
        (Command::AcceptLoss, None) => accept_loss_of_file(&config.state_dir)?,
        (Command::AcceptLoss, Some(options)) => accept_loss_in_redis(options, &config.state_dir)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn accept_loss_of_file(state_dir: &Path) -> Result<(), CliError> {
    say(FileLedger::accept_loss(state_dir, OffsetDateTime::now_utc())?);
    Ok(())
}

fn accept_loss_in_redis(options: RedisOptions, state_dir: &Path) -> Result<(), CliError> {
    let shared = SharedRedis::new(options, Arc::new(()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let accepted = runtime
        .block_on(RedisLedger::accept_loss(&shared, state_dir))
        .map_err(|error| format!("the ledger cannot be changed: {}", error.reason))?;
    say(format_args!("Redis at {} {accepted}", shared.address()));
    Ok(())
}
