//! Reads the merged layers into domain values, key by key, and remembers everything on the way: what was
//! wrong and on which line, which keys exist, what each is worth and who set it.
//!
//! This is done here and not by deriving `Deserialize`, because a derived one stops at the first thing
//! that is wrong and knows no lines. A struct names each of its keys once, with its default and its range.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use figment::Figment;
use figment::value::{Dict, Tag, Value};
use rocket::data::ByteUnit;
use serde::Serialize;
use serde_json::Value as Json;

use super::env::variable;
use super::layer::Layer;
use super::problem::{Origin, Problem, nearest};
use super::secret::Secret;
use super::source::Source;

/// A key, what it is worth, and who set it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Dotted.
    pub(super) key: String,
    /// Its value, null when it is not set and has no default; a secret's is only where it is kept.
    pub(super) value: Json,
    /// Whether the value is a description of a secret.
    pub(super) secret: bool,
    /// Who set it.
    pub(super) origin: Origin,
}

/// What was noticed while reading.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
    pub(super) entries: Vec<Entry>,
    unknown: Vec<Unknown>,
    /// Variables that are set, begin with our prefix and set no key.
    ignored: Vec<String>,
    /// Variables that secrets are kept in.
    keepers: BTreeSet<String>,
}

struct Unknown {
    path: Vec<String>,
    siblings: Vec<&'static str>,
    origin: Origin,
}

/// The merged layers.
pub(super) struct Reader<'s> {
    source: &'s Source,
    figment: Figment,
    layers: Vec<Layer>,
    root: Dict,
    notes: RefCell<Notes>,
}

/// Merges layers, the lowest first.
pub(super) fn merge(figment: Figment, layers: &[Layer]) -> (Figment, Dict) {
    let figment = layers.iter().fold(figment, |figment, layer| figment.merge(layer));
    let root = figment.find_value("").ok().and_then(Value::into_dict).unwrap_or_default();
    (figment, root)
}

impl<'s> Reader<'s> {
    /// A reader of layers, the lowest first. `ignored` are variables already found to set no key.
    pub(super) fn new(source: &'s Source, layers: Vec<Layer>, ignored: Vec<String>) -> Self {
        let (figment, root) = merge(Figment::new(), &layers);
        let notes = RefCell::new(Notes { ignored, ..Notes::default() });
        Self { source, figment, layers, root, notes }
    }

    /// Reads the whole configuration.
    pub(super) fn read<T>(self, read: impl FnOnce(&mut Table<'_>) -> T) -> (T, Notes) {
        let mut table = Table { reader: &self, path: Vec::new(), dict: Some(&self.root), known: Vec::new() };
        let value = read(&mut table);
        table.note_unknown();
        let mut notes = self.notes.into_inner();
        notes.judge_unknown();
        (value, notes)
    }

    fn layer(&self, tag: Tag) -> Option<&Layer> {
        let name = &self.figment.get_metadata(tag)?.name;
        self.layers.iter().find(|layer| layer.name() == **name)
    }

    fn origin(&self, path: &[String], value: &Value) -> Origin {
        self.layer(value.tag()).map_or(Origin::Default, |layer| layer.origin(path))
    }
}

impl Notes {
    /// Unknown keys are problems in files and warnings in the environment.
    fn judge_unknown(&mut self) {
        let keys: Vec<&str> = self.entries.iter().map(|entry| entry.key.as_str()).collect();
        for Unknown { path, siblings, origin } in std::mem::take(&mut self.unknown) {
            let Origin::Env(name) = origin else {
                let message = unknown_key(&path, &siblings, &keys);
                self.problems.push(Problem { origin, message });
                continue;
            };
            self.ignored.push(name);
        }
        let variables: Vec<String> =
            keys.iter().map(|key| variable(&key.split('.').map(str::to_owned).collect::<Vec<_>>())).collect();
        for name in self.ignored.iter().filter(|name| !self.keepers.contains(*name)) {
            let hint = nearest(name, variables.iter().map(String::as_str));
            let hint = hint.map_or(String::new(), |meant| format!(": did you mean {meant}?"));
            self.warnings.push(format!("environment variable {name} is no setting and is ignored{hint}"));
        }
    }
}

fn unknown_key(path: &[String], siblings: &[&str], keys: &[&str]) -> String {
    let key = path.join(".");
    let (last, parent) = path.split_last().map_or(("", String::new()), |(last, rest)| {
        (last.as_str(), rest.iter().map(|part| format!("{part}.")).collect())
    });
    let elsewhere =
        || keys.iter().find(|key| key.rsplit('.').next() == Some(last)).map(|key| (*key).to_owned());
    let meant =
        nearest(last, siblings.iter().copied()).map(|near| format!("{parent}{near}")).or_else(elsewhere);
    match meant {
        Some(meant) => format!("unknown key `{key}`: did you mean `{meant}`?"),
        None => format!("unknown key `{key}`: the keys here are {}", siblings.join(", ")),
    }
}

/// One table of the configuration while it is read.
pub(super) struct Table<'r> {
    reader: &'r Reader<'r>,
    path: Vec<String>,
    dict: Option<&'r Dict>,
    known: Vec<&'static str>,
}

/// What a key's value must be, for a sentence that begins with "must be".
type Wanted = String;

impl<'r> Table<'r> {
    /// Reads a table inside this one.
    pub(super) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Table<'_>) -> T) -> T {
        self.known.push(key);
        let value = self.dict.and_then(|dict| dict.get(key));
        self.inner(key, value, read)
    }

    /// Reads the tables inside the table `key`, whose names the operator chooses.
    pub(super) fn named(&mut self, key: &'static str, mut read: impl FnMut(&str, &mut Table<'_>)) {
        self.table(key, |table| {
            for (name, value) in table.dict.into_iter().flatten() {
                table.inner(name, Some(value), |inner| read(name, inner));
            }
            table.dict = None;
        });
    }

    fn inner<T>(&self, key: &str, value: Option<&'r Value>, read: impl FnOnce(&mut Table<'_>) -> T) -> T {
        let path = self.at(&[key]);
        let dict = value.and_then(Value::as_dict);
        if let (Some(value), None) = (value, dict) {
            let name = path.join(".");
            let message = format!("`{name}` must be a table, such as `[{name}]`, not {}", shown(value));
            self.note_problem(self.reader.origin(&path, value), message);
        }
        let mut table = Table { reader: self.reader, path, dict, known: Vec::new() };
        let read = read(&mut table);
        table.note_unknown();
        read
    }

    /// Whether the key is set.
    pub(super) fn has(&self, key: &str) -> bool {
        self.dict.is_some_and(|dict| dict.contains_key(key))
    }

    /// A whole number.
    pub(super) fn whole<T>(&mut self, key: &'static str, default: T, range: RangeInclusive<T>) -> T
    where
        T: Copy + Display + PartialOrd + Serialize + TryFrom<u128>,
    {
        self.or_default(key, default, |value| {
            let number = whole(value).and_then(|number| T::try_from(number).ok());
            number
                .filter(|number| range.contains(number))
                .ok_or_else(|| format!("a whole number from {} to {}", range.start(), range.end()))
        })
    }

    /// A size in bytes, as a number or with a unit.
    pub(super) fn bytes(&mut self, key: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        self.or_default(key, default, |value| {
            let parsed = match value.as_str() {
                Some(text) => text.trim().parse::<ByteUnit>().ok().map(|size| size.as_u64()),
                None => whole(value).and_then(|number| u64::try_from(number).ok()),
            };
            parsed.filter(|size| range.contains(size)).ok_or_else(|| {
                let unit = ByteUnit::Byte;
                format!("a size such as \"20 MiB\", from {} to {}", unit(*range.start()), unit(*range.end()))
            })
        })
    }

    /// A time in seconds.
    pub(super) fn seconds(
        &mut self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<f64>,
    ) -> Duration {
        let seconds = self.or_default(key, Seconds(default), |value| {
            let number = value
                .to_num()
                .and_then(|number| number.to_f64().or_else(|| number.to_i128().map(|whole| whole as f64)));
            let number = number.filter(|number| range.contains(number));
            number
                .map(|number| Seconds(Duration::from_secs_f64(number)))
                .ok_or_else(|| format!("a number of seconds from {} to {}", range.start(), range.end()))
        });
        seconds.0
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.or_default(key, default, |value| value.to_bool().ok_or_else(|| "true or false".to_owned()))
    }

    /// One of a few words; the first is the default.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        let (word, default) = choices.first().copied()?;
        self.read(key, Json::from(word), |value, _| one_of(value, choices)).or(Some(default))
    }

    /// One of a few words that must be there.
    pub(super) fn required_choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        if self.has(key) {
            return self.read(key, Json::Null, |value, _| one_of(value, choices));
        }
        self.known.push(key);
        self.problem(&[], format!("`{}` has no `{key}`: it must be {}", self.path.join("."), words(choices)));
        None
    }

    /// A list, each item of which is parsed from text. `item` says what an item is, with an example.
    pub(super) fn list<T: Display>(
        &mut self,
        key: &'static str,
        default: Vec<T>,
        (item, example): (&str, &str),
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let shown_default = Json::from(default.iter().map(T::to_string).collect::<Vec<_>>());
        let items = self.read(key, shown_default, |value, _| {
            value.as_array().map(<[Value]>::to_vec).ok_or_else(|| format!("a list such as [\"{example}\"]"))
        });
        let Some(items) = items else { return default };
        let mut list = Vec::with_capacity(items.len());
        for (index, value) in items.iter().enumerate() {
            match value.as_str().and_then(&parse) {
                Some(parsed) => list.push(parsed),
                None => {
                    let key_path = self.at(&[key]).join(".");
                    let message =
                        format!("`{key_path}`: {} is not {item} such as \"{example}\"", shown(value));
                    self.problem(&[key, &index.to_string()], message);
                }
            }
        }
        list
    }

    /// A path, relative to the folder of the file that it is written in.
    pub(super) fn path(&mut self, key: &'static str, default: Option<PathBuf>) -> Option<PathBuf> {
        let shown = default.as_ref().map_or(Json::Null, |path| Json::from(path.to_string_lossy()));
        let source = self.reader.source;
        let path = self.read(key, shown, |value, layer| {
            let text = value.as_str().filter(|text| !text.is_empty()).ok_or("a path")?;
            Ok::<_, Wanted>(match layer.and_then(Layer::folder) {
                Some(folder) => folder.join(text),
                None => source.resolve(text),
            })
        });
        path.or(default)
    }

    /// The path of a file that is there.
    pub(super) fn file(&mut self, key: &'static str) -> Option<PathBuf> {
        let path = self.path(key, None)?;
        self.must_be(key, path.is_file(), "file", &path);
        Some(path)
    }

    /// The path of a folder that is there.
    pub(super) fn folder(&mut self, key: &'static str) -> Option<PathBuf> {
        let path = self.path(key, None)?;
        self.must_be(key, path.is_dir(), "folder", &path);
        Some(path)
    }

    fn must_be(&self, key: &str, is: bool, what: &str, path: &std::path::Path) {
        if !is {
            let name = self.at(&[key]).join(".");
            self.problem(&[key], format!("`{name}`: there is no {what} {}", path.display()));
        }
    }

    /// A secret: `{ env = "NAME" }` or `{ file = "path" }`.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<Secret> {
        self.known.push(key);
        let path = self.at(&[key]);
        let Some(value) = self.dict.and_then(|dict| dict.get(key)) else {
            self.note_entry(path.join("."), Json::Null, true, Origin::Default);
            return None;
        };
        let origin = self.reader.origin(&path, value);
        match self.secret_from(value) {
            Ok(secret) => {
                self.note_entry(path.join("."), Json::from(secret.to_string()), true, origin);
                Some(secret)
            }
            Err(wrong) => {
                self.note_problem(origin, format!("`{}` {wrong}", path.join(".")));
                None
            }
        }
    }

    fn secret_from(&self, value: &Value) -> Result<Secret, &'static str> {
        const FORM: &str = "must be { env = \"NAME\" } or { file = \"path\" }";
        const LITERAL: &str = "must not be written here: a configuration file is copied, committed and shown. \
                               Write { env = \"NAME\" } or { file = \"path\" }";
        let source = self.reader.source;
        let layer = self.reader.layer(value.tag());
        let Some(dict) = value.as_dict() else {
            // A variable is as good a keeper as the one it would name.
            return match layer.map(|layer| layer.origin(&[])) {
                Some(Origin::Env(name)) => Ok(Secret::from_env(&name, &source.env)),
                _ => Err(LITERAL),
            };
        };
        let is_env = |value: &&Value| self.reader.layer(value.tag()).is_some_and(Layer::is_env);
        // The environment's word counts more than the file's, whichever of the two it says.
        let said: Vec<(&str, &Value)> = dict.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let louder: Vec<_> = said.iter().copied().filter(|(_, value)| is_env(value)).collect();
        let said = if louder.is_empty() { said } else { louder };
        let [(keeper, place)] = said.as_slice() else { return Err(FORM) };
        let place_text = place.as_str().filter(|text| !text.is_empty()).ok_or(FORM)?;
        match *keeper {
            "env" => {
                self.reader.notes.borrow_mut().keepers.insert(place_text.to_owned());
                Ok(Secret::from_env(place_text, &source.env))
            }
            "file" => {
                let folder = self.reader.layer(place.tag()).and_then(Layer::folder);
                let path =
                    folder.map_or_else(|| source.resolve(place_text), |folder| folder.join(place_text));
                Ok(Secret::from_file(path))
            }
            _ => Err(FORM),
        }
    }

    /// Notes something wrong with a key of this table, or with the table itself.
    pub(super) fn problem(&self, tail: &[&str], message: impl Into<String>) {
        let path = self.at(tail);
        let mut value = self.reader.root.get(path.first().map_or("", String::as_str));
        let mut origin = Origin::Default;
        for depth in 1..=path.len() {
            let Some(here) = value else { break };
            origin = self.reader.origin(&path, here);
            value = path.get(depth).and_then(|key| match here {
                Value::Dict(_, dict) => dict.get(key),
                Value::Array(_, items) => items.get(key.parse::<usize>().ok()?),
                _ => None,
            });
        }
        self.note_problem(origin, message.into());
    }

    /// Asks nothing about the keys that are left.
    pub(super) fn accept_all(&mut self) {
        self.dict = None;
    }

    /// Notes something an operator should know.
    pub(super) fn warning(&self, message: String) {
        self.reader.notes.borrow_mut().warnings.push(message);
    }

    fn or_default<T: Serialize>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl FnOnce(&Value) -> Result<T, Wanted>,
    ) -> T {
        let shown = serde_json::to_value(&default).unwrap_or_default();
        self.read(key, shown, |value, _| parse(value)).unwrap_or(default)
    }

    /// Reads a key; none when it is not set, or is wrong, which is noted.
    fn read<T>(
        &mut self,
        key: &'static str,
        default: Json,
        parse: impl FnOnce(&Value, Option<&Layer>) -> Result<T, Wanted>,
    ) -> Option<T> {
        self.known.push(key);
        let path = self.at(&[key]);
        let Some(value) = self.dict.and_then(|dict| dict.get(key)) else {
            self.note_entry(path.join("."), default, false, Origin::Default);
            return None;
        };
        let origin = self.reader.origin(&path, value);
        match parse(value, self.reader.layer(value.tag())) {
            Ok(parsed) => {
                let json = serde_json::to_value(value).unwrap_or_default();
                self.note_entry(path.join("."), json, false, origin);
                Some(parsed)
            }
            Err(wanted) => {
                let message = format!("`{}` must be {wanted}, not {}", path.join("."), shown(value));
                self.note_problem(origin, message);
                None
            }
        }
    }

    fn at(&self, tail: &[&str]) -> Vec<String> {
        self.path.iter().cloned().chain(tail.iter().map(|key| (*key).to_owned())).collect()
    }

    fn note_problem(&self, origin: Origin, message: String) {
        self.reader.notes.borrow_mut().problems.push(Problem { origin, message });
    }

    fn note_entry(&self, key: String, value: Json, secret: bool, origin: Origin) {
        self.reader.notes.borrow_mut().entries.push(Entry { key, value, secret, origin });
    }

    /// Notes every key that nobody asked for.
    fn note_unknown(&self) {
        for (key, value) in self.dict.into_iter().flatten() {
            if !self.known.contains(&key.as_str()) {
                self.note_unknown_value(self.at(&[key]), value);
            }
        }
    }

    fn note_unknown_value(&self, path: Vec<String>, value: &Value) {
        let mut origins = Vec::new();
        origins_of(self.reader, &path, value, &mut origins);
        for origin in origins {
            let unknown = Unknown { path: path.clone(), siblings: self.known.clone(), origin };
            self.reader.notes.borrow_mut().unknown.push(unknown);
        }
    }
}

/// Where the parts of an unknown value come from, each place once: layers may have set it together.
fn origins_of(reader: &Reader<'_>, path: &[String], value: &Value, origins: &mut Vec<Origin>) {
    match value.as_dict() {
        Some(dict) if !dict.is_empty() => {
            dict.values().for_each(|value| origins_of(reader, path, value, origins));
        }
        _ => {
            let origin = reader.origin(path, value);
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
    }
}

/// Seconds as a person writes them: whole where they are.
struct Seconds(Duration);

impl Serialize for Seconds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.subsec_nanos() {
            0 => serializer.serialize_u64(self.0.as_secs()),
            _ => serializer.serialize_f64(self.0.as_secs_f64()),
        }
    }
}

/// A whole number; `50e6` is one too.
fn whole(value: &Value) -> Option<u128> {
    /// Up to here every whole number is a float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = value.to_num()?;
    number.to_u128_lossy().or_else(|| {
        let float = number.to_f64().filter(|float| (0.0..=EXACT).contains(float))?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let cut = float as u128;
        // Exact: a float this small that has a fraction differs from its whole part.
        (cut as f64).total_cmp(&float).is_eq().then_some(cut)
    })
}

fn one_of<T: Copy>(value: &Value, choices: &[(&'static str, T)]) -> Result<T, Wanted> {
    let found = choices.iter().find(|(word, _)| value.as_str() == Some(word));
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let near = value.as_str().and_then(|text| nearest(text, choices.iter().map(|(word, _)| *word)));
        near.map_or_else(|| words(choices), |near| format!("\"{near}\""))
    })
}

fn words<T>(choices: &[(&'static str, T)]) -> String {
    choices.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
}

/// A value in an error: short, and on one line.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    match value {
        Value::Dict(..) => "a table".to_owned(),
        Value::Array(..) => "a list".to_owned(),
        Value::String(_, text) if text.chars().count() > LONGEST => {
            format!("{:?}...", text.chars().take(LONGEST).collect::<String>())
        }
        other => serde_json::to_value(other).map_or_else(|_| "that".to_owned(), |json| json.to_string()),
    }
}
