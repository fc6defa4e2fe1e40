//! Merges the layers, finds the source of each value, and collects what the checks note: problems with their lines,
//! unknown keys, and the value and source of each key.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use figment::Figment;
use figment::value::{Dict, Value};
use serde_json::Value as Json;

use super::Config;
use super::check::Checker;
use super::defaults;
use super::env::{PREFIX, variable};
use super::layer::Layer;
use super::place::Place;
use super::problem::{ConfigProblem, ValueOrigin, dotted, nearest};
use super::reference::KeyDescriptions;
use super::schema::schema_of;
use super::source::ConfigSource;

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
    /// The variables that `{ env = "NAME" }` names.
    pub(super) keepers: BTreeSet<String>,
    /// The description of each key; only collected to write the reference.
    pub(super) told: Option<KeyDescriptions>,
}

/// A key that is set but is not in the schema.
pub(super) struct Unknown {
    pub(super) path: Vec<String>,
    /// The allowed keys of the same table.
    pub(super) siblings: Vec<String>,
    pub(super) origin: ValueOrigin,
}

pub(super) struct Reader<'s> {
    pub(super) source: &'s ConfigSource,
    pub(super) root: Dict,
    pub(super) notes: RefCell<Notes>,
    figment: Figment,
    layers: Vec<Layer>,
}

/// Merges layers, lowest priority first. Returns the figment and the merged values.
pub(super) fn merge(layers: &[Layer]) -> (Figment, Dict) {
    let figment = layers.iter().fold(Figment::new(), |figment, layer| figment.merge(layer));
    let root = figment.find_value("").ok().and_then(Value::into_dict).unwrap_or_default();
    (figment, root)
}

/// The value at a path of tables.
pub(super) fn find<'d>(root: &'d Dict, path: &[impl AsRef<str>]) -> Option<&'d Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(root.get(first.as_ref())?, |value, key| value.as_dict()?.get(key.as_ref()))
}

impl<'s> Reader<'s> {
    /// Creates a reader of these layers, lowest priority first, and of those of `defaults` below them. `ignored` are
    /// variables that cannot set a key.
    pub(super) fn new(source: &'s ConfigSource, layers: Vec<Layer>, ignored: Vec<String>) -> Self {
        let (_, set) = merge(&layers);
        let (mut all, warnings) = defaults::layers(source, &set);
        all.extend(layers);
        let (figment, root) = merge(&all);
        let notes = RefCell::new(Notes { ignored, warnings, ..Notes::default() });
        Self { source, root, notes, figment, layers: all }
    }

    /// Checks the merged values and converts them to a [`Config`].
    pub(super) fn read(self) -> (Config, Notes) {
        let schema = schema_of::<Config>();
        let read = Checker { reader: &self, listed: true }.table(&[], &schema, Some(&self.root));
        // The error is not shown, because it may quote a secret. Only a fault of the schema can cause it.
        let mut config = read.and_then(|read| serde_json::from_value(read).ok()).unwrap_or_else(|| {
            let message = "the configuration does not fit its own schema: please report this".to_owned();
            self.notes.borrow_mut().problems.push(ConfigProblem { origin: ValueOrigin::Default, message });
            Config::default()
        });
        config.complete(&Place::root(&self));
        let mut notes = self.notes.into_inner();
        notes.judge_unknown();
        (config, notes)
    }

    /// The layer that sets a value. For a table: the last layer that sets a part of it.
    pub(super) fn layer(&self, value: &Value) -> Option<&Layer> {
        let name = &self.figment.get_metadata(value.tag())?.name;
        self.layers.iter().find(|layer| layer.name() == **name)
    }

    /// The value at a path of tables.
    pub(super) fn find(&self, path: &[String]) -> Option<&Value> {
        find(&self.root, path)
    }

    /// Resolves a relative path in a value against the folder of the file that sets it, or against the working folder
    /// if no file sets it.
    pub(super) fn resolve(&self, value: &Value, path: &str) -> PathBuf {
        match self.layer(value).and_then(Layer::folder) {
            Some(folder) => folder.join(path),
            None => self.source.resolve(path),
        }
    }

    /// Notes every key of a table that is not in `known`, once for each source that sets it.
    pub(super) fn note_unknown(&self, path: &[String], dict: Option<&Dict>, known: &[String]) {
        for (key, value) in dict.into_iter().flatten().filter(|(key, _)| !known.contains(key)) {
            let path = [path, std::slice::from_ref(key)].concat();
            let mut origins = Vec::new();
            self.origins(&path, value, &mut origins);
            let unknown = origins.into_iter().map(|origin| Unknown {
                path: path.clone(),
                siblings: known.to_vec(),
                origin,
            });
            self.notes.borrow_mut().unknown.extend(unknown);
        }
    }

    /// The source of the value at `path`.
    pub(super) fn origin(&self, path: &[String], value: &Value) -> ValueOrigin {
        self.layer(value).map_or(ValueOrigin::Default, |layer| layer.origin(path))
    }

    /// The source of the deepest part of `path` that a layer above the defaults sets. If several sources set parts of a
    /// table, a file takes precedence over a variable, because the file contains the table and the variable only
    /// changes it.
    pub(super) fn origin_of(&self, path: &[String]) -> ValueOrigin {
        let mut deepest = ValueOrigin::Default;
        let mut value = path.first().and_then(|key| self.root.get(key));
        for depth in 1..=path.len() {
            let Some(here) = value else { break };
            let mut origins = Vec::new();
            self.origins(path, here, &mut origins);
            // A table that is written without keys, and whose parts are all defaults.
            origins.push(self.origin(path, here));
            origins.retain(|origin| *origin != ValueOrigin::Default);
            let file = origins.iter().find(|origin| !matches!(origin, ValueOrigin::Env(_)));
            deepest = file.or(origins.first()).cloned().unwrap_or(deepest);
            value = path.get(depth).and_then(|key| match here {
                Value::Dict(_, dict) => dict.get(key),
                Value::Array(_, items) => items.get(key.parse::<usize>().ok()?),
                _ => None,
            });
        }
        deepest
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
    /// Reports unknown keys: those in files as problems, those in environment variables as warnings.
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

fn unknown_key(path: &[String], siblings: &[String], keys: &[&str]) -> String {
    let (last, parent) = path.split_last().map_or(("", &[][..]), |(last, rest)| (last.as_str(), rest));
    let beside =
        nearest(last, siblings.iter().map(String::as_str)).map(|near| [parent, &[near.to_owned()]].concat());
    let elsewhere =
        || keys.iter().find(|key| key.rsplit('.').next() == Some(last)).map(|key| (*key).to_owned());
    let meant = beside.map(|path| dotted(&path)).or_else(elsewhere);
    let hint = meant.map_or_else(
        || format!("the keys here are {}", siblings.join(", ")),
        |meant| format!("did you mean `{meant}`?"),
    );
    format!("unknown key `{}`: {hint}", dotted(path))
}
