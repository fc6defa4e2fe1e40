//! One table of the configuration during reading. A struct reads each of its keys once, with default and range; keys
//! that no struct reads are unknown.
//!
//! The structs do not derive `Deserialize`, because derived code stops at the first error and knows no lines.

use std::path::{Path, PathBuf};

use figment::value::{Dict, Value};
use serde_json::Value as Json;

use super::layer::Layer;
use super::problem::{ConfigProblem, ValueOrigin, dotted};
use super::reader::{Reader, ReportEntry, Unknown};
use super::reference::{KeyDescription, Words};
use super::shown::shown;

pub(super) struct Table<'r> {
    pub(super) reader: &'r Reader<'r>,
    path: Vec<String>,
    dict: Option<&'r Dict>,
    known: Vec<&'static str>,
    /// The descriptions of its keys and of the table itself.
    words: Vec<Words>,
    about: &'static str,
    /// Whether the values of its keys are reported one by one; false for a table in a list, which the list reports.
    listed: bool,
}

/// What a value must be; continues a sentence that begins with "must be".
pub(super) type ExpectedText = String;

impl<'r> Table<'r> {
    pub(super) fn root(reader: &'r Reader<'r>) -> Self {
        let dict = Some(&reader.root);
        Self { reader, path: Vec::new(), dict, known: Vec::new(), words: Vec::new(), about: "", listed: true }
    }

    /// Adds descriptions of keys; must be called before the keys are read.
    pub(super) fn describe(&mut self, words: Words) {
        self.words.push(words);
        if let Some(told) = &mut self.reader.notes.borrow_mut().told {
            told.promised.extend(words.iter().map(|(key, _)| self.at(&[key])));
        }
    }

    /// Marks a key as known and returns its description.
    fn know(&mut self, key: &'static str) -> &'static str {
        let about = self.words.iter().copied().flatten().find(|(name, _)| *name == key);
        #[cfg(test)]
        assert!(about.is_some(), "`{key}` of {:?} has no description", self.path);
        self.known.push(key);
        about.map_or("", |(_, about)| about)
    }

    /// Adds a key to the reference, if it is being written.
    fn tell(&self, key: &str, about: &'static str, default: Json, wanted: impl FnOnce() -> ExpectedText) {
        if let Some(told) = &mut self.reader.notes.borrow_mut().told {
            told.keys.push(KeyDescription {
                path: self.at(&[key]),
                about,
                wanted: wanted(),
                default,
                needed: false,
            });
        }
    }

    /// Marks the last key in the reference as required.
    pub(super) fn tell_needed(&self) {
        if let Some(last) = self.reader.notes.borrow_mut().told.as_mut().and_then(|told| told.keys.last_mut())
        {
            last.needed = true;
        }
    }

    /// Reads a nested table.
    pub(super) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Table<'_>) -> T) -> T {
        let about = self.know(key);
        self.tell(key, about, Json::Null, String::new);
        let dict = self.dict.and_then(|dict| dict.get(key)).and_then(|value| self.dict_of(key, value));
        self.inner(key, about, dict, read)
    }

    /// Reads the tables inside the table `key`, whose names the operator chooses.
    pub(super) fn named(&mut self, key: &'static str, read: impl FnMut(&str, &mut Table<'_>)) {
        self.named_with(key, &[], read);
    }

    /// Like `named`, with names that always exist, even if no layer sets them.
    pub(super) fn named_with(
        &mut self,
        key: &'static str,
        always: &[&'static str],
        mut read: impl FnMut(&str, &mut Table<'_>),
    ) {
        self.table(key, |table| {
            for name in always {
                let dict = table.dict.and_then(|dict| dict.get(*name));
                let dict = dict.and_then(|value| table.dict_of(name, value));
                table.inner(name, table.about, dict, |inner| read(name, inner));
            }
            for (name, value) in table.dict.into_iter().flatten() {
                if always.contains(&name.as_str()) {
                    continue;
                }
                if let Some(dict) = table.dict_of(name, value) {
                    table.inner(name, table.about, Some(dict), |inner| read(name, inner));
                }
            }
            table.accept_all();
        });
    }

    /// Reads a list of tables. For an invalid table, `read` records a problem and returns `None`. Returns none if the key
    /// is not set or is not a list.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        default: Json,
        mut read: impl FnMut(&mut Table<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        const LIST: &str = "a list of tables such as [{ ... }]";
        let (value, origin) = self.take(key, default, false, || LIST.to_owned())?;
        let Some(items) = value.as_array() else {
            self.wrong(key, LIST, value, origin);
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
            let mut table = Table {
                reader: self.reader,
                path,
                dict: Some(dict),
                known: Vec::new(),
                words: Vec::new(),
                about: "",
                listed: false,
            };
            tables.extend(read(&mut table));
            table.note_unknown();
        }
        self.note_entry(key, serde_json::to_value(value).unwrap_or_default(), false, origin);
        Some(tables)
    }

    fn inner<T>(
        &self,
        key: &str,
        about: &'static str,
        dict: Option<&'r Dict>,
        read: impl FnOnce(&mut Table<'_>) -> T,
    ) -> T {
        let mut table = Table {
            reader: self.reader,
            path: self.at(&[key]),
            dict,
            known: Vec::new(),
            words: Vec::new(),
            about,
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

    /// All entries of this table, whose names the operator chooses; none of them is reported as unknown. `wanted`
    /// says what each value must be.
    pub(super) fn chosen(&mut self, wanted: &str) -> Vec<(&'r str, &'r Value, ValueOrigin)> {
        self.tell("NAME", self.about, Json::Null, || wanted.to_owned());
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

    /// Returns a key's value and source. If it is not set, reports `default` as its value. `wanted` says what the
    /// value must be.
    pub(super) fn take(
        &mut self,
        key: &'static str,
        default: Json,
        secret: bool,
        wanted: impl FnOnce() -> ExpectedText,
    ) -> Option<(&'r Value, ValueOrigin)> {
        let about = self.know(key);
        self.tell(key, about, default.clone(), wanted);
        let value = self.dict.and_then(|dict| dict.get(key));
        if value.is_none() {
            self.note_entry(key, default, secret, ValueOrigin::Default);
        }
        value.map(|value| (value, self.reader.origin(&self.at(&[key]), value)))
    }

    /// Marks a key that is not set as known.
    pub(super) fn miss(&mut self, key: &'static str) {
        self.know(key);
    }

    /// The entries of the table `key`, whose names the operator chooses, with their values and sources. `wanted` says
    /// what each value must be. The caller must report the values.
    pub(super) fn free_keys(
        &mut self,
        key: &'static str,
        wanted: &str,
    ) -> Vec<(&'r str, &'r Value, ValueOrigin)> {
        let about = self.know(key);
        self.tell(&format!("{key}.NAME"), about, Json::Null, || wanted.to_owned());
        let dict = self.dict.and_then(|dict| dict.get(key)).and_then(|value| self.dict_of(key, value));
        let keys = dict.into_iter().flatten();
        keys.map(|(name, value)| (name.as_str(), value, self.reader.origin(&self.at(&[key, name]), value)))
            .collect()
    }

    /// The folder of the file that sets the key; the working folder if no file sets it.
    pub(super) fn folder_of(&self, key: &str) -> PathBuf {
        let value = self.dict.and_then(|dict| dict.get(key));
        value.map_or_else(|| self.reader.source.resolve(""), |value| self.resolve(value, ""))
    }

    /// Resolves a relative path in a value against the folder of its file.
    pub(super) fn resolve(&self, value: &Value, path: &str) -> PathBuf {
        match self.reader.layer(value).and_then(Layer::folder) {
            Some(folder) => folder.join(path),
            None => self.reader.source.resolve(path),
        }
    }

    /// The path of a key, or with an empty `tail` of this table, from the root.
    pub(super) fn at(&self, tail: &[&str]) -> Vec<String> {
        self.path.iter().cloned().chain(tail.iter().map(|key| (*key).to_owned())).collect()
    }

    /// Marks all remaining keys as known.
    pub(super) fn accept_all(&mut self) {
        self.dict = None;
    }

    /// Reports the value of a key.
    pub(super) fn note_entry(&self, key: &str, value: Json, secret: bool, origin: ValueOrigin) {
        self.note_entry_at(&[key], value, secret, origin);
    }

    /// Reports the value of a key in a nested table.
    pub(super) fn note_entry_at(&self, tail: &[&str], value: Json, secret: bool, origin: ValueOrigin) {
        if !self.listed {
            return;
        }
        let key = dotted(&self.at(tail));
        self.reader.notes.borrow_mut().entries.push(ReportEntry { key, value, secret, origin });
    }

    /// Notes a file that the configuration names and whose content matters.
    pub(super) fn note_file(&self, path: &Path) {
        self.reader.notes.borrow_mut().files.insert(path.to_owned());
    }

    /// Adds a warning for the operator.
    pub(super) fn warning(&self, message: String) {
        self.reader.notes.borrow_mut().warnings.push(message);
    }

    /// Notes that a key's value is not what it must be.
    pub(super) fn wrong(&self, key: &str, wanted: &str, value: &Value, origin: ValueOrigin) {
        let message = format!("`{}` must be {wanted}, not {}", dotted(&self.at(&[key])), shown(value));
        self.note_problem(origin, message);
    }

    /// Notes a problem with a key of this table, or with an empty `tail` of the table itself.
    pub(super) fn problem(&self, tail: &[&str], message: impl Into<String>) {
        self.note_problem(self.reader.origin_of(&self.at(tail)), message.into());
    }

    pub(super) fn note_problem(&self, origin: ValueOrigin, message: String) {
        self.reader.notes.borrow_mut().problems.push(ConfigProblem { origin, message });
    }

    /// Notes every unknown key, once for each source that sets it.
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
