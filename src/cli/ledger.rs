//! `pixcolor ledger`: what an operator does with the account of credit by hand.

use std::path::Path;
use std::process::ExitCode;

use time::OffsetDateTime;

use super::{CliError, say};
use crate::config::Source;
use crate::credit::FileLedger;

/// What is to be done with the ledger.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Go on with what is left of a ledger that was damaged or lost, so that providers that cost something are
    /// on again. What is lost counts in no budget any more
    AcceptLoss,
}

/// Does it, with the ledger in `state_dir`, or in Redis where replicas share one.
pub fn run(source: &Source, command: &Command) -> Result<ExitCode, CliError> {
    let config = super::load(source)?.config;
    match (command, config.shared.options()) {
        (Command::AcceptLoss, None) => accept_loss_of_file(&config.state_dir)?,
        (Command::AcceptLoss, Some(_)) => {
            return Err("the ledger is in Redis (`shared.redis`), where nothing can be accepted yet".into());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn accept_loss_of_file(state_dir: &Path) -> Result<(), CliError> {
    say(FileLedger::accept_loss(state_dir, OffsetDateTime::now_utc())?);
    Ok(())
}
