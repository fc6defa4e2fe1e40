//! `pixcolor check`: shows the configuration in effect and where each value comes from, or reports its errors.

use std::process::ExitCode;

use super::{CliError, say};
use crate::config::{self, ConfigProblem, ConfigSource, SchemaFile, ValueOrigin};
use crate::observe::Metrics;
use crate::provider::forbidden;

#[derive(clap::Args)]
pub struct Args {
    /// Show all keys with their meaning and default instead, as Markdown
    #[arg(long)]
    reference: bool,
    /// Show the JSON Schema of pixcolor.toml (or of a provider's file) instead, for editors
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "pixcolor", conflicts_with_all = ["reference", "changed"])]
    schema: Option<SchemaFile>,
    /// Show only the settings that differ from the defaults
    #[arg(long, conflicts_with = "reference")]
    changed: bool,
}

/// Prints the configuration. Fails if the gateway could not start with it, a provider on the route lacks a secret, or
/// the address of a provider is forbidden.
pub fn run(source: &ConfigSource, args: Args) -> Result<ExitCode, CliError> {
    if args.reference {
        say(config::reference()?.trim_end_matches('\n'));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(file) = args.schema {
        say(config::schema(file).trim_end_matches('\n'));
        return Ok(ExitCode::SUCCESS);
    }
    let loaded = config::load(source)?;
    let report = match args.changed {
        true => config::report_of_changes(source, &loaded)?,
        false => format!("{}{}", config::server_report(source)?, loaded.report()),
    };
    say(report.trim_end_matches('\n'));
    let mut wrong = loaded.unset.clone();
    wrong.extend(loaded.config.providers.values().filter_map(|provider| {
        let key = format!("providers.{}.base_url", provider.name);
        let message = format!("`{key}` is not used: {}", forbidden(provider)?);
        Some(ConfigProblem {
            origin: loaded.provenance(&key).cloned().unwrap_or(ValueOrigin::Default),
            message,
        })
    }));
    // This also loads the models and recipes.
    let (snapshot, _) = super::snapshot(loaded, Metrics::new(prometheus::Registry::new())?)?;
    super::key::check(&snapshot.config)?;
    // With these errors, the gateway would start and use the other providers.
    if !wrong.is_empty() {
        return Err(wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n").into());
    }
    Ok(ExitCode::SUCCESS)
}
