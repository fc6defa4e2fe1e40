//! `pixcolor check`: the configuration in effect, with its sources, or what is wrong with it.

use std::process::ExitCode;

use super::CliError;
use crate::config::{self, Source};
use crate::observe::Metrics;

/// What to show.
#[derive(clap::Args)]
pub struct Args {
    /// Show every key there is instead, what it is for and its default, as Markdown
    #[arg(long)]
    reference: bool,
}

/// Prints the configuration; fails when the gateway could not start with it, or a provider on the route lacks a
/// secret.
pub fn run(source: &Source, args: Args) -> Result<ExitCode, CliError> {
    if args.reference {
        print!("{}", config::reference()?);
        return Ok(ExitCode::SUCCESS);
    }
    let loaded = config::load(source)?;
    print!("{}{}", config::server_report(source)?, loaded.report());
    // Models and recipes, too, must be there and be what they say.
    let unset = loaded.unset.clone();
    let (snapshot, _) = super::snapshot(loaded, Metrics::new(prometheus::Registry::new())?)?;
    super::key::check(&snapshot.config)?;
    // The gateway starts all the same, and asks the others.
    if !unset.is_empty() {
        return Err(unset.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n").into());
    }
    Ok(ExitCode::SUCCESS)
}
