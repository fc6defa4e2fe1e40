//! A place in the configuration, for checks of values that are already converted. A problem at a place gets the file
//! and line of the key; a warning goes to the operator.

use std::fmt::Display;
use std::path::PathBuf;

use figment::value::{Dict, Value};
use serde_json::Value as Json;

use super::layer::Layer;
use super::problem::{ConfigProblem, ValueOrigin, dotted};
use super::reader::Reader;

#[derive(Clone)]
pub(super) struct Place<'r> {
    pub(super) reader: &'r Reader<'r>,
    path: Vec<String>,
}

impl<'r> Place<'r> {
    pub(super) const fn root(reader: &'r Reader<'r>) -> Self {
        Self { reader, path: Vec::new() }
    }

    /// A key or table below this one.
    pub(super) fn at(&self, tail: &[&str]) -> Self {
        let path = self.path.iter().cloned().chain(tail.iter().map(|key| (*key).to_owned())).collect();
        Self { reader: self.reader, path }
    }

    /// The dotted path of the key at `tail`; an empty `tail` means the place itself.
    pub(super) fn key(&self, tail: &[&str]) -> String {
        dotted(&self.at(tail).path)
    }

    fn value(&self, tail: &[&str]) -> Option<&'r Value> {
        self.reader.find(&self.at(tail).path)
    }

    /// The keys of the table at `tail` as they are written, including invalid ones.
    pub(super) fn names(&self, tail: &[&str]) -> Vec<String> {
        let table = self.value(tail).and_then(Value::as_dict);
        table.into_iter().flat_map(Dict::keys).cloned().collect()
    }

    /// The texts in the list at a key as they are written, each with its index.
    pub(super) fn texts(&self, key: &str) -> Vec<(usize, &'r str)> {
        let items = self.value(&[key]).and_then(Value::as_array).into_iter().flatten().enumerate();
        items.filter_map(|(index, item)| Some((index, item.as_str()?))).collect()
    }

    /// Whether a layer above the defaults sets a key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(&[key]).is_some() && self.origin(&[key]) != ValueOrigin::Default
    }

    /// Whether a key has a value that is no table.
    pub(super) fn is_no_table(&self, key: &str) -> bool {
        self.value(&[key]).is_some_and(|value| value.as_dict().is_none())
    }

    /// The source of a key's value.
    pub(super) fn origin(&self, tail: &[&str]) -> ValueOrigin {
        self.reader.origin_of(&self.at(tail).path)
    }

    /// The folder of the file that sets the key; the working folder if no file sets it.
    pub(super) fn folder_of(&self, key: &str) -> PathBuf {
        let folder = self.value(&[key]).and_then(|value| self.reader.layer(value)).and_then(Layer::folder);
        folder.map_or_else(|| self.reader.source.resolve(""), PathBuf::from)
    }

    /// Notes a problem with the key at `tail`; an empty `tail` means the place itself.
    pub(super) fn problem(&self, tail: &[&str], message: impl Into<String>) {
        let problem = ConfigProblem { origin: self.origin(tail), message: message.into() };
        self.reader.notes.borrow_mut().problems.push(problem);
    }

    /// Notes a problem with the key at `tail`, whose message begins with this key.
    pub(super) fn wrong(&self, tail: &[&str], what: impl Display) {
        self.problem(tail, format!("`{}` {what}", self.key(tail)));
    }

    /// Adds a warning for the operator.
    pub(super) fn warning(&self, message: String) {
        self.reader.notes.borrow_mut().warnings.push(message);
    }

    /// Replaces the reported value and source of a key.
    pub(super) fn report(&self, key: &str, value: Json, origin: ValueOrigin) {
        let key = self.key(&[key]);
        let entries = &mut self.reader.notes.borrow_mut().entries;
        if let Some(entry) = entries.iter_mut().find(|entry| entry.key == key) {
            (entry.value, entry.origin) = (value, origin);
        }
    }
}
