//! `pixcolor key`: the keys of clients. A gateway that runs notices changes within a second.

use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, complain, say};
use crate::config::{self, Config, ConfigSource};
use crate::quota::{KeyStore, StoredKey};

/// What is to be done with keys.
#[derive(Subcommand)]
pub enum Command {
    /// Make a key and print it; it cannot be shown again
    New {
        /// Whose it is, in your words: for lists, logs and limits
        name: String,
    },
    /// Show the names of all keys, and when each was made
    List,
    /// Take a key out of use
    Revoke {
        /// The name it was made with
        name: String,
    },
}

/// Whether the keys can be read; warns when nobody is let in, and of what is configured for a key that is not there.
pub fn check(config: &Config) -> Result<(), CliError> {
    let mut keys = KeyStore::in_folder(&config.state_dir).list()?;
    keys.retain(|key| key.revoked.is_none());
    for name in config.keys.names.iter().filter(|name| keys.iter().all(|key| key.name != **name)) {
        tracing::warn!(
            "`keys.{name}` is for a key that is not there yet: `pixcolor key new {name}` makes it"
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

/// Does it, with the keys in `state_dir`.
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
