//! The merged layers while they are read, and everything noticed on the way: what was wrong and on which
//! line, which keys exist, what each is worth and who set it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use figment::Figment;
use figment::value::{Dict, Value};
use serde_json::Value as Json;

use super::env::{PREFIX, variable};
use super::layer::Layer;
use super::problem::{ConfigProblem, ValueOrigin, dotted, nearest};
use super::reference::KeyDescriptions;
use super::source::ConfigSource;
use super::table::Table;

/// A key, what it is worth, and who set it.
#[derive(Clone, Debug)]
pub(super) struct ReportEntry {
    /// Dotted.
    pub(super) key: String,
    /// Its value, null when it is not set and has no default; a secret's is only where it is kept.
    pub(super) value: Json,
    /// Whether the value is a description of a secret.
    pub(super) secret: bool,
    /// Who set it.
    pub(super) origin: ValueOrigin,
}

/// What was noticed while reading.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) problems: Vec<ConfigProblem>,
    pub(super) warnings: Vec<String>,
    pub(super) entries: Vec<ReportEntry>,
    /// Secrets that are named but have no value, by the path of their key.
    pub(super) unset: Vec<(Vec<String>, ConfigProblem)>,
    /// Files whose content counts, beside those of the configuration itself.
    pub(super) files: BTreeSet<PathBuf>,
    /// Keys that nobody asked for.
    pub(super) unknown: Vec<Unknown>,
    /// Variables that are set, begin with our prefix and set no key.
    ignored: Vec<String>,
    /// Variables that secrets are kept in.
    pub(super) keepers: BTreeSet<String>,
    /// What each key is for, where a reference is being written.
    pub(super) told: Option<KeyDescriptions>,
}

/// A key that nobody asked for.
pub(super) struct Unknown {
    pub(super) path: Vec<String>,
    /// The keys that the same table does have.
    pub(super) siblings: Vec<&'static str>,
    pub(super) origin: ValueOrigin,
}

/// The merged layers.
pub(super) struct Reader<'s> {
    pub(super) source: &'s ConfigSource,
    pub(super) root: Dict,
    pub(super) notes: RefCell<Notes>,
    figment: Figment,
    layers: Vec<Layer>,
}

/// Merges layers, the lowest first.
pub(super) fn merge(layers: &[Layer]) -> (Figment, Dict) {
    let figment = layers.iter().fold(Figment::new(), |figment, layer| figment.merge(layer));
    let root = figment.find_value("").ok().and_then(Value::into_dict).unwrap_or_default();
    (figment, root)
}

impl<'s> Reader<'s> {
    /// A reader of layers, the lowest first. `ignored` are variables already found to set no key.
    pub(super) fn new(source: &'s ConfigSource, layers: Vec<Layer>, ignored: Vec<String>) -> Self {
        let (figment, root) = merge(&layers);
        let notes = RefCell::new(Notes { ignored, ..Notes::default() });
        Self { source, root, notes, figment, layers }
    }

    /// Reads the whole configuration.
    pub(super) fn read<T>(self, read: impl FnOnce(&mut Table<'_>) -> T) -> (T, Notes) {
        let mut table = Table::root(&self);
        let value = read(&mut table);
        table.note_unknown();
        let mut notes = self.notes.into_inner();
        notes.judge_unknown();
        (value, notes)
    }

    /// The layer that sets a value. For a table it is the last of those that set a part of it.
    pub(super) fn layer(&self, value: &Value) -> Option<&Layer> {
        let name = &self.figment.get_metadata(value.tag())?.name;
        self.layers.iter().find(|layer| layer.name() == **name)
    }

    /// Where the value at `path` comes from.
    pub(super) fn origin(&self, path: &[String], value: &Value) -> ValueOrigin {
        self.layer(value).map_or(ValueOrigin::Default, |layer| layer.origin(path))
    }

    /// Where `path`, or as much of it as there is, comes from. Of a table that several layers set, the
    /// lowest layer counts: it is where the table is, and the others only change it.
    pub(super) fn origin_of(&self, path: &[String]) -> ValueOrigin {
        let mut origins = Vec::new();
        let mut value = path.first().and_then(|key| self.root.get(key));
        for depth in 1..=path.len() {
            let Some(here) = value else { break };
            origins.clear();
            self.origins(path, here, &mut origins);
            value = path.get(depth).and_then(|key| match here {
                Value::Dict(_, dict) => dict.get(key),
                Value::Array(_, items) => items.get(key.parse::<usize>().ok()?),
                _ => None,
            });
        }
        let file = origins.iter().position(|origin| !matches!(origin, ValueOrigin::Env(_))).unwrap_or(0);
        if origins.is_empty() { ValueOrigin::Default } else { origins.swap_remove(file) }
    }

    /// Where the parts of the value at `path` come from, each place once.
    pub(super) fn origins(&self, path: &[String], value: &Value, origins: &mut Vec<ValueOrigin>) {
        match value.as_dict() {
            Some(dict) if !dict.is_empty() => {
                dict.values().for_each(|part| self.origins(path, part, origins));
            }
            _ => {
                let origin = self.origin(path, value);
                if !origins.contains(&origin) {
                    origins.push(origin);
                }
            }
        }
    }
}

impl Notes {
    /// Unknown keys are problems in files and warnings in the environment.
    fn judge_unknown(&mut self) {
        let keys: Vec<&str> = self.entries.iter().map(|entry| entry.key.as_str()).collect();
        for Unknown { path, siblings, origin } in std::mem::take(&mut self.unknown) {
            match origin {
                ValueOrigin::Env(name) => self.ignored.push(name),
                origin => {
                    let message = unknown_key(&path, &siblings, &keys);
                    self.problems.push(ConfigProblem { origin, message });
                }
            }
        }
        let variables: Vec<String> = keys.iter().map(|key| variable(key)).collect();
        // All names begin alike: only the rest tells whether two are near.
        let rest = |name| str::strip_prefix(name, PREFIX).unwrap_or_default();
        for name in self.ignored.iter().filter(|name| !self.keepers.contains(*name)) {
            let meant = nearest(rest(name), variables.iter().map(|name| rest(name)));
            let hint = meant.map_or(String::new(), |meant| format!(": did you mean {PREFIX}{meant}?"));
            self.warnings.push(format!("environment variable {name} is no setting and is ignored{hint}"));
        }
    }
}

fn unknown_key(path: &[String], siblings: &[&str], keys: &[&str]) -> String {
    let (last, parent) = path.split_last().map_or(("", &[][..]), |(last, rest)| (last.as_str(), rest));
    let beside = nearest(last, siblings.iter().copied()).map(|near| [parent, &[near.to_owned()]].concat());
    let elsewhere =
        || keys.iter().find(|key| key.rsplit('.').next() == Some(last)).map(|key| (*key).to_owned());
    let meant = beside.map(|path| dotted(&path)).or_else(elsewhere);
    let hint = meant.map_or_else(
        || format!("the keys here are {}", siblings.join(", ")),
        |meant| format!("did you mean `{meant}`?"),
    );
    format!("unknown key `{}`: {hint}", dotted(path))
}
