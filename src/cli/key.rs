//! `pixcolor key`: creates, lists and revokes clients' API keys. A running gateway notices changes within a second.

use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, complain, say};
use crate::config::{self, Config, ConfigSource};
use crate::quota::{KeyStore, StoredKey};

#[derive(Subcommand)]
pub enum Command {
    /// Create a key and print it; it cannot be shown again
    New {
        /// A name for its client, used in lists, logs and limits
        name: String,
    },
    /// List the names of all keys, and when each was created
    List,
    /// Revoke a key: requests with it are refused
    Revoke {
        /// The key's name
        name: String,
    },
}

/// Fails if the API keys cannot be read. Warns if no client can use the gateway, and for each API key that has settings
/// in the configuration but does not exist.
pub fn check(config: &Config) -> Result<(), CliError> {
    let mut keys = KeyStore::in_folder(&config.state_dir).list()?;
    keys.retain(|key| key.revoked.is_none());
    for name in config.keys.names.iter().filter(|name| keys.iter().all(|key| key.name != **name)) {
        tracing::warn!(
            "`keys.{name}` is for a key that does not exist yet: `pixcolor key new {name}` creates it"
        );
    }
    if keys.is_empty() && !config.clients.anonymous {
        tracing::warn!(
            "no client can use this gateway: `anonymous` is false, and there are no keys in {} (`pixcolor key new NAME` creates one)",
            config.state_dir.display()
        );
    }
    Ok(())
}

pub fn run(source: &ConfigSource, command: Command) -> Result<ExitCode, CliError> {
    let state_dir = config::load(source)?.config.state_dir;
    let keys = KeyStore::in_folder(&state_dir);
    match command {
        Command::New { name } => {
            say(keys.mint(&name)?.expose());
            complain(format_args!(
                "Save it now, it cannot be shown again: {} contains only its SHA-256. Clients send it as `Authorization: Bearer \
                 KEY`.",
                keys.file().display()
            ));
        }
        Command::List => {
            let keys = keys.list()?;
            if keys.is_empty() {
                complain(format_args!("There are no keys in {}.", state_dir.display()));
            }
            for StoredKey { name, created, revoked, .. } in keys {
                let revoked = revoked.map(|when| format!("  revoked {when}")).unwrap_or_default();
                say(format_args!("{created}  {name}{revoked}"));
            }
        }
        Command::Revoke { name } => {
            let StoredKey { name, created, revoked, .. } = keys.revoke(&name)?;
            say(format_args!(
                "The key `{name}`, made at {created}, is revoked as of {}. A running gateway refuses it within a second.",
                revoked.unwrap_or_default()
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}
