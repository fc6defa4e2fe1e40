//! The merged layers during reading, and everything that the reader collects: problems with their lines, the known
//! keys, the value of each key, and its source.

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

/// A key with its value and source.
#[derive(Clone, Debug)]
pub(super) struct ReportEntry {
    /// The dotted key.
    pub(super) key: String,
    /// The value; null if the key is not set and has no default. For a secret: a description of where it is stored.
    pub(super) value: Json,
    /// Whether the value describes a secret.
    pub(super) secret: bool,
    pub(super) origin: ValueOrigin,
}

/// Everything that the reader has collected.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) problems: Vec<ConfigProblem>,
    pub(super) warnings: Vec<String>,
    pub(super) entries: Vec<ReportEntry>,
    /// Secrets that are configured but have no value, by the path of their key.
    pub(super) unset: Vec<(Vec<String>, ConfigProblem)>,
    /// Files that the configuration names and whose content matters, such as networks and secrets.
    pub(super) files: BTreeSet<PathBuf>,
    pub(super) unknown: Vec<Unknown>,
    /// Variables with the program's prefix that set no key.
    ignored: Vec<String>,
    /// Variables that hold secrets.
    pub(super) keepers: BTreeSet<String>,
    /// The description of each key; only collected to write the reference.
    pub(super) told: Option<KeyDescriptions>,
}

/// A key that is set but that no reader has asked for.
pub(super) struct Unknown {
    pub(super) path: Vec<String>,
    /// The known keys of the same table.
    pub(super) siblings: Vec<&'static str>,
    pub(super) origin: ValueOrigin,
}

pub(super) struct Reader<'s> {
    pub(super) source: &'s ConfigSource,
    pub(super) root: Dict,
    pub(super) notes: RefCell<Notes>,
    figment: Figment,
    layers: Vec<Layer>,
}

/// Merges layers, lowest priority first.
pub(super) fn merge(layers: &[Layer]) -> (Figment, Dict) {
    let figment = layers.iter().fold(Figment::new(), |figment, layer| figment.merge(layer));
    let root = figment.find_value("").ok().and_then(Value::into_dict).unwrap_or_default();
    (figment, root)
}

impl<'s> Reader<'s> {
    /// Creates a reader of layers, lowest priority first. `ignored` are variables that cannot be a key.
    pub(super) fn new(source: &'s ConfigSource, layers: Vec<Layer>, ignored: Vec<String>) -> Self {
        let (figment, root) = merge(&layers);
        let notes = RefCell::new(Notes { ignored, ..Notes::default() });
        Self { source, root, notes, figment, layers }
    }

    pub(super) fn read<T>(self, read: impl FnOnce(&mut Table<'_>) -> T) -> (T, Notes) {
        let mut table = Table::root(&self);
        let value = read(&mut table);
        table.note_unknown();
        let mut notes = self.notes.into_inner();
        notes.judge_unknown();
        (value, notes)
    }

    /// The layer that sets a value. For a table: the last layer that sets a part of it.
    pub(super) fn layer(&self, value: &Value) -> Option<&Layer> {
        let name = &self.figment.get_metadata(value.tag())?.name;
        self.layers.iter().find(|layer| layer.name() == **name)
    }

    /// The source of the value at `path`.
    pub(super) fn origin(&self, path: &[String], value: &Value) -> ValueOrigin {
        self.layer(value).map_or(ValueOrigin::Default, |layer| layer.origin(path))
    }

    /// The source of the deepest existing part of `path`. If several layers set a table, the lowest one counts,
    /// because it contains the table and the others only change it.
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

    /// Collects the sources of all parts of the value at `path`, each once.
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
    /// Reports unknown keys: problems in files, warnings in the environment.
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
        // All names have the same prefix, so only the rest is compared for the hint.
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
