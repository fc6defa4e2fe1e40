//! One table of the configuration while it is read: a struct asks it for each of its keys once, with its
//! default and its range, and what nobody asked for is unknown.
//!
//! This is done here and not by deriving `Deserialize`, because a derived one stops at the first thing
//! that is wrong and knows no lines.

use std::path::{Path, PathBuf};

use figment::value::{Dict, Value};
use serde_json::Value as Json;

use super::layer::Layer;
use super::problem::{ConfigProblem, ValueOrigin, dotted};
use super::reader::{Reader, ReportEntry, Unknown};
use super::reference::{KeyDescription, Words};
use super::shown::shown;

/// One table.
pub(super) struct Table<'r> {
    pub(super) reader: &'r Reader<'r>,
    path: Vec<String>,
    dict: Option<&'r Dict>,
    known: Vec<&'static str>,
    /// What its keys are for, and what it is for itself.
    words: Vec<Words>,
    about: &'static str,
    /// Whether its keys are noted one by one; those of a table in a list are noted with the list.
    listed: bool,
}

/// What a key's value must be, for a sentence that begins with "must be".
pub(super) type ExpectedText = String;

impl<'r> Table<'r> {
    /// The whole configuration.
    pub(super) fn root(reader: &'r Reader<'r>) -> Self {
        let dict = Some(&reader.root);
        Self { reader, path: Vec::new(), dict, known: Vec::new(), words: Vec::new(), about: "", listed: true }
    }

    /// Says what keys are for, before they are asked for.
    pub(super) fn describe(&mut self, words: Words) {
        self.words.push(words);
        if let Some(told) = &mut self.reader.notes.borrow_mut().told {
            told.promised.extend(words.iter().map(|(key, _)| self.at(&[key])));
        }
    }

    /// Takes note that a key exists, and gives back what it is for.
    fn know(&mut self, key: &'static str) -> &'static str {
        let about = self.words.iter().copied().flatten().find(|(name, _)| *name == key);
        #[cfg(test)]
        assert!(about.is_some(), "`{key}` of {:?} has no description", self.path);
        self.known.push(key);
        about.map_or("", |(_, about)| about)
    }

    /// Tells the reference about a key, if it is being written.
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

    /// The same of the last key that it was told about: it must be set.
    pub(super) fn tell_needed(&self) {
        if let Some(last) = self.reader.notes.borrow_mut().told.as_mut().and_then(|told| told.keys.last_mut())
        {
            last.needed = true;
        }
    }

    /// Reads a table inside this one.
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

    /// The same, and these are always there.
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

    /// Reads a list of tables; `read` notes what is wrong with one and gives none. None if it is not set or
    /// is no list.
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

    /// What is in this table, whose names the operator chooses; nothing more is asked about them. `wanted` is
    /// what each must be.
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

    /// The value of a key and where it comes from. If it is not set, `default` is noted as what it is worth.
    /// `wanted` is what the value must be.
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

    /// Takes note that a key must exist, though it is not set.
    pub(super) fn miss(&mut self, key: &'static str) {
        self.know(key);
    }

    /// The keys of the table `key`, whose names the operator chooses, with their values and where each comes
    /// from; `wanted` is what each must be. What they are worth is for the caller to note.
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
    pub(super) fn note_entry(&self, key: &str, value: Json, secret: bool, origin: ValueOrigin) {
        self.note_entry_at(&[key], value, secret, origin);
    }

    /// Notes what a key inside a table of this one is worth.
    pub(super) fn note_entry_at(&self, tail: &[&str], value: Json, secret: bool, origin: ValueOrigin) {
        if !self.listed {
            return;
        }
        let key = dotted(&self.at(tail));
        self.reader.notes.borrow_mut().entries.push(ReportEntry { key, value, secret, origin });
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
    pub(super) fn wrong(&self, key: &str, wanted: &str, value: &Value, origin: ValueOrigin) {
        let message = format!("`{}` must be {wanted}, not {}", dotted(&self.at(&[key])), shown(value));
        self.note_problem(origin, message);
    }

    /// Notes something wrong with a key of this table, or with the table itself.
    pub(super) fn problem(&self, tail: &[&str], message: impl Into<String>) {
        self.note_problem(self.reader.origin_of(&self.at(tail)), message.into());
    }

    pub(super) fn note_problem(&self, origin: ValueOrigin, message: String) {
        self.reader.notes.borrow_mut().problems.push(ConfigProblem { origin, message });
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
