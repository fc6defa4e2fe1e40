//! Prints the effective configuration: every key with its value and source.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::Config;
use super::problem::{ConfigProblem, ValueOrigin, dotted};
use super::reader::ReportEntry;

/// Keys that are read only at the start, because they configure memory, stores or Rocket itself.
pub(super) const AT_START: [&str; 18] = [
    "state_dir",
    "limits.decoding_pixels",
    "limits.waiting",
    "cache.enabled",
    "cache.memory",
    "cache.max_bytes",
    "cache.dir",
    "cache.ttl",
    "cache.store",
    "shared.redis",
    "shared.password",
    "shared.prefix",
    "shared.required",
    "shared.timeout",
    "shared.quota_when_down",
    "metrics.address",
    "assets.templates",
    "assets.static",
];

/// Values by dotted key, to find out which have changed.
pub type ReportedValues = BTreeMap<String, Json>;

/// A loaded configuration and information about its loading.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// Messages for the operator that do not prevent the start.
    pub warnings: Vec<String>,
    /// The configuration folder; `None` if only built-in files were used.
    pub dir: Option<PathBuf>,
    /// The files in this folder that were read.
    pub read: Vec<PathBuf>,
    /// Files that the configuration names and whose content matters: networks, recipes, secrets.
    pub files: BTreeSet<PathBuf>,
    /// Secrets without a value that a provider on the route needs. The provider is not ready without them.
    pub unset: Vec<ConfigProblem>,
    pub(super) entries: Vec<ReportEntry>,
}

impl Loaded {
    /// The source of a dotted key's value; `None` for an unknown key.
    pub fn provenance(&self, key: &str) -> Option<&ValueOrigin> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.origin)
    }

    /// The configuration folder and its files, as one line for the log at the start.
    pub fn files_in_effect(&self) -> String {
        let Some(dir) = &self.dir else { return "built-in defaults, no folder".to_owned() };
        let name = |path: &PathBuf| path.strip_prefix(dir).unwrap_or(path).display().to_string();
        let files: Vec<String> = self.read.iter().map(name).collect();
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
        format!(
            "{} ({})",
            dir.display(),
            if files.is_empty() { "no files".to_owned() } else { files.join(", ") }
        )
    }

    /// Logs the warnings.
    pub fn warn(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        for problem in &self.unset {
            tracing::warn!("{problem}");
        }
    }

    /// The value of each key; secrets are masked.
    pub fn values(&self) -> ReportedValues {
        self.entries.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect()
    }

    /// The values of the keys that take effect only after a restart.
    pub fn values_at_start(&self) -> ReportedValues {
        let mut values = self.values();
        values.retain(|key, _| AT_START.contains(&key.as_str()));
        values
    }

    /// Every key with its value and source, one per line, then the warnings. Secrets are masked.
    pub fn report(&self) -> String {
        self.report_of(|_| true)
    }

    /// The same report, limited to keys that a file or a variable changes from their defaults.
    pub(super) fn report_of_changes(&self, defaults: &ReportedValues) -> String {
        self.report_of(|ReportEntry { key, value, secret, origin }| {
            // A secret that a built-in file sets counts too: the variable that the file names may have a value.
            (*secret || origin.is_the_operators()) && defaults.get(key) != Some(value)
        })
    }

    fn report_of(&self, wanted: impl Fn(&ReportEntry) -> bool) -> String {
        let mut lines = match &self.dir {
            Some(dir) => format!("# Configuration folder: {}\n", dir.display()),
            None => "# No configuration folder: built-in defaults and the environment\n".to_owned(),
        };
        for ReportEntry { key, value, secret, origin } in self.entries.iter().filter(|entry| wanted(entry)) {
            let line = match value {
                Json::Null => format!("# {key} is not set"),
                Json::String(mask) if *secret => format!("{key} = {mask}  # {origin}"),
                value => format!("{key} = {}  # {origin}", to_toml(value)),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "{line}");
        }
        for warning in &self.warnings {
            let _ = writeln!(lines, "# warning: {warning}");
        }
        lines
    }

    /// The same report as JSON: `folder`, `warnings`, and `keys`, a list of objects with `key`, `value` and `from`.
    pub fn to_json(&self) -> Json {
        let keys = self.entries.iter().map(|ReportEntry { key, value, origin, .. }| {
            json!({ "key": key, "value": value, "from": origin.to_string() })
        });
        json!({ "folder": self.dir, "keys": keys.collect::<Vec<_>>(), "warnings": self.warnings })
    }
}

/// The keys whose values differ, or that only one of the two has.
pub fn changed(old: &ReportedValues, new: &ReportedValues) -> Vec<String> {
    let differs = |key: &&String| old.get(*key) != new.get(*key);
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    new.keys().filter(differs).chain(gone).cloned().collect()
}

/// Formats a value as TOML on one line.
pub(super) fn to_toml(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(to_toml).collect::<Vec<_>>().join(", ")),
        Json::Object(table) => {
            let keys = table
                .iter()
                .map(|(key, value)| format!("{} = {}", dotted(std::slice::from_ref(key)), to_toml(value)));
            format!("{{ {} }}", keys.collect::<Vec<_>>().join(", "))
        }
        // JSON strings, numbers and booleans are valid TOML.
        plain => plain.to_string(),
    }
}
