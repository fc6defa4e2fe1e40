//! One table of the configuration while it is read: a struct asks it for each of its keys once, with its
//! default and its range, and what nobody asked for is unknown.
//!
//! This is done here and not by deriving `Deserialize`, because a derived one stops at the first thing
//! that is wrong and knows no lines.

use std::path::{Path, PathBuf};

use figment::value::{Dict, Value};
use serde_json::Value as Json;

use super::layer::Layer;
use super::problem::{Origin, Problem, dotted};
use super::reader::{Entry, Reader, Unknown};

/// One table.
pub(super) struct Table<'r> {
    pub(super) reader: &'r Reader<'r>,
    path: Vec<String>,
    dict: Option<&'r Dict>,
    known: Vec<&'static str>,
    /// Whether its keys are noted one by one; those of a table in a list are noted with the list.
    listed: bool,
}

/// What a key's value must be, for a sentence that begins with "must be".
pub(super) type Wanted = String;

impl<'r> Table<'r> {
    /// The whole configuration.
    pub(super) fn root(reader: &'r Reader<'r>) -> Self {
        Self { reader, path: Vec::new(), dict: Some(&reader.root), known: Vec::new(), listed: true }
    }

    /// Reads a table inside this one.
    pub(super) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Table<'_>) -> T) -> T {
        self.known.push(key);
        let dict = self.dict.and_then(|dict| dict.get(key)).and_then(|value| self.dict_of(key, value));
        self.inner(key, dict, read)
    }

    /// Reads the tables inside the table `key`, whose names the operator chooses.
    pub(super) fn named(&mut self, key: &'static str, read: impl FnMut(&str, &mut Table<'_>)) {
        self.named_with(key, &[], read);
    }

    /// The same, and these are always there.
    pub(super) fn named_with(
        &mut self,
        key: &'static str,
        always: &[&'static str],
        mut read: impl FnMut(&str, &mut Table<'_>),
    ) {
        self.table(key, |table| {
            for name in always {
                table.table(name, |inner| read(name, inner));
            }
            for (name, value) in table.dict.into_iter().flatten() {
                if always.contains(&name.as_str()) {
                    continue;
                }
                if let Some(dict) = table.dict_of(name, value) {
                    table.inner(name, Some(dict), |inner| read(name, inner));
                }
            }
            table.accept_all();
        });
    }

    /// Reads a list of tables; `read` notes what is wrong with one and gives none. None if it is not set or
    /// is no list.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        default: Json,
        mut read: impl FnMut(&mut Table<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let (value, origin) = self.take(key, default, false)?;
        let Some(items) = value.as_array() else {
            self.wrong(key, "a list of tables such as [{ ... }]", value, origin);
            return None;
        };
        let mut tables = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let place = index.to_string();
            let path = self.at(&[key, &place]);
            let Some(dict) = item.as_dict() else {
                let message =
                    format!("`{}` must be a table such as {{ ... }}, not {}", dotted(&path), shown(item));
                self.problem(&[key, &place], message);
                continue;
            };
            let mut table =
                Table { reader: self.reader, path, dict: Some(dict), known: Vec::new(), listed: false };
            tables.extend(read(&mut table));
            table.note_unknown();
        }
        self.note_entry(key, serde_json::to_value(value).unwrap_or_default(), false, origin);
        Some(tables)
    }

    fn inner<T>(&self, key: &str, dict: Option<&'r Dict>, read: impl FnOnce(&mut Table<'_>) -> T) -> T {
        let mut table = Table {
            reader: self.reader,
            path: self.at(&[key]),
            dict,
            known: Vec::new(),
            listed: self.listed,
        };
        let read = read(&mut table);
        table.note_unknown();
        read
    }

    fn dict_of(&self, key: &str, value: &'r Value) -> Option<&'r Dict> {
        if value.as_dict().is_none() {
            let name = dotted(&self.at(&[key]));
            let message = format!("`{name}` must be a table, such as `[{name}]`, not {}", shown(value));
            self.problem(&[key], message);
        }
        value.as_dict()
    }

    /// What is in this table, whose names the operator chooses; nothing more is asked about them.
    pub(super) fn chosen(&mut self) -> Vec<(&'r str, &'r Value, Origin)> {
        let dict = self.dict.take();
        let entry = |(name, value): (&'r String, &'r Value)| {
            (name.as_str(), value, self.reader.origin(&self.at(&[name]), value))
        };
        dict.into_iter().flatten().map(entry).collect()
    }

    /// Whether the key is set.
    pub(super) fn has(&self, key: &str) -> bool {
        self.dict.is_some_and(|dict| dict.contains_key(key))
    }

    /// The value of a key and where it comes from. If it is not set, `default` is noted as what it is worth.
    pub(super) fn take(
        &mut self,
        key: &'static str,
        default: Json,
        secret: bool,
    ) -> Option<(&'r Value, Origin)> {
        self.known.push(key);
        let value = self.dict.and_then(|dict| dict.get(key));
        if value.is_none() {
            self.note_entry(key, default, secret, Origin::Default);
        }
        value.map(|value| (value, self.reader.origin(&self.at(&[key]), value)))
    }

    /// Takes note that a key must exist, though it is not set.
    pub(super) fn miss(&mut self, key: &'static str) {
        self.known.push(key);
    }

    /// The keys of the table `key`, whose names the operator chooses, with their values and where each comes
    /// from. What they are worth is for the caller to note.
    pub(super) fn free_keys(&mut self, key: &'static str) -> Vec<(&'r str, &'r Value, Origin)> {
        self.known.push(key);
        let dict = self.dict.and_then(|dict| dict.get(key)).and_then(|value| self.dict_of(key, value));
        let keys = dict.into_iter().flatten();
        keys.map(|(name, value)| (name.as_str(), value, self.reader.origin(&self.at(&[key, name]), value)))
            .collect()
    }

    /// The folder of the file that a key is written in; the working folder if it is in none.
    pub(super) fn folder_of(&self, key: &str) -> PathBuf {
        let value = self.dict.and_then(|dict| dict.get(key));
        value.map_or_else(|| self.reader.source.resolve(""), |value| self.resolve(value, ""))
    }

    /// A path as written in a value, relative to the folder of its file.
    pub(super) fn resolve(&self, value: &Value, path: &str) -> PathBuf {
        match self.reader.layer(value).and_then(Layer::folder) {
            Some(folder) => folder.join(path),
            None => self.reader.source.resolve(path),
        }
    }

    /// The path of a key, or of this table, from the root.
    pub(super) fn at(&self, tail: &[&str]) -> Vec<String> {
        self.path.iter().cloned().chain(tail.iter().map(|key| (*key).to_owned())).collect()
    }

    /// Asks nothing about the keys that are left.
    pub(super) fn accept_all(&mut self) {
        self.dict = None;
    }

    /// Notes what a key is worth.
    pub(super) fn note_entry(&self, key: &str, value: Json, secret: bool, origin: Origin) {
        self.note_entry_at(&[key], value, secret, origin);
    }

    /// Notes what a key inside a table of this one is worth.
    pub(super) fn note_entry_at(&self, tail: &[&str], value: Json, secret: bool, origin: Origin) {
        if !self.listed {
            return;
        }
        let key = dotted(&self.at(tail));
        self.reader.notes.borrow_mut().entries.push(Entry { key, value, secret, origin });
    }

    /// Notes a file whose content counts, beside those of the configuration itself.
    pub(super) fn note_file(&self, path: &Path) {
        self.reader.notes.borrow_mut().files.insert(path.to_owned());
    }

    /// Notes something an operator should know.
    pub(super) fn warning(&self, message: String) {
        self.reader.notes.borrow_mut().warnings.push(message);
    }

    /// Notes that a key's value is not what it must be.
    pub(super) fn wrong(&self, key: &str, wanted: &str, value: &Value, origin: Origin) {
        let message = format!("`{}` must be {wanted}, not {}", dotted(&self.at(&[key])), shown(value));
        self.note_problem(origin, message);
    }

    /// Notes something wrong with a key of this table, or with the table itself.
    pub(super) fn problem(&self, tail: &[&str], message: impl Into<String>) {
        self.note_problem(self.reader.origin_of(&self.at(tail)), message.into());
    }

    pub(super) fn note_problem(&self, origin: Origin, message: String) {
        self.reader.notes.borrow_mut().problems.push(Problem { origin, message });
    }

    /// Notes every key that nobody asked for, once for each place that sets it.
    pub(super) fn note_unknown(&self) {
        for (key, value) in self.dict.into_iter().flatten() {
            if self.known.contains(&key.as_str()) {
                continue;
            }
            let path = self.at(&[key]);
            let mut origins = Vec::new();
            self.reader.origins(&path, value, &mut origins);
            let unknown = origins.into_iter().map(|origin| Unknown {
                path: path.clone(),
                siblings: self.known.clone(),
                origin,
            });
            self.reader.notes.borrow_mut().unknown.extend(unknown);
        }
    }
}

/// A value in an error: short, and on one line.
pub(super) fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    match value {
        Value::Dict(..) => "a table".to_owned(),
        Value::Array(..) => "a list".to_owned(),
        Value::String(_, text) if text.chars().count() > LONGEST => {
            format!("{:?}...", text.chars().take(LONGEST).collect::<String>())
        }
        // JSON has no infinity.
        Value::Num(_, number) if number.to_f64().is_some() => {
            number.to_f64().map_or_else(String::new, |float| format!("{float:?}"))
        }
        other => serde_json::to_value(other).map_or_else(|_| "that".to_owned(), |json| json.to_string()),
    }
}
