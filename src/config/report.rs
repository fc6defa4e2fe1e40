//! The effective configuration in words: every key, what it is worth and who set it.

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::Config;
use super::problem::{Origin, dotted};
use super::reader::Entry;

/// A configuration as loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What an operator should know, though it stops nothing.
    pub warnings: Vec<String>,
    /// The folder it was read from; none if only what is built in was used.
    pub dir: Option<PathBuf>,
    pub(super) entries: Vec<Entry>,
}

impl Loaded {
    /// Where the value of a dotted key came from; none if there is no such key.
    pub fn provenance(&self, key: &str) -> Option<&Origin> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.origin)
    }

    /// Every key with its value and where it came from, a line each, secrets masked; then the warnings.
    pub fn report(&self) -> String {
        let mut lines = match &self.dir {
            Some(dir) => format!("# Configuration folder: {}\n", dir.display()),
            None => "# No configuration folder: what is built in, and the environment\n".to_owned(),
        };
        for Entry { key, value, secret, origin } in &self.entries {
            let line = match value {
                Json::Null => format!("# {key} is not set"),
                Json::String(mask) if *secret => format!("{key} = {mask}  # {origin}"),
                value => format!("{key} = {}  # {origin}", toml(value)),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "{line}");
        }
        for warning in &self.warnings {
            let _ = writeln!(lines, "# warning: {warning}");
        }
        lines
    }

    /// The same for programs: `folder`, `keys` with `key`, `value` and `from` each, and `warnings`.
    pub fn to_json(&self) -> Json {
        let keys = self.entries.iter().map(|Entry { key, value, origin, .. }| {
            json!({ "key": key, "value": value, "from": origin.to_string() })
        });
        json!({ "folder": self.dir, "keys": keys.collect::<Vec<_>>(), "warnings": self.warnings })
    }
}

/// A value as TOML on one line.
fn toml(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Json::Object(table) => {
            let keys = table
                .iter()
                .map(|(key, value)| format!("{} = {}", dotted(std::slice::from_ref(key)), toml(value)));
            format!("{{ {} }}", keys.collect::<Vec<_>>().join(", "))
        }
        // JSON's strings, numbers and truth values are TOML's, too.
        plain => plain.to_string(),
    }
}
