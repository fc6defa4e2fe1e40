//! One layer of the configuration in figment's form: a TOML file, an environment variable or one default. A layer
//! knows the line of each key in its file, which figment does not track.

use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};
use toml_edit::{Document, Item, TableLike};

use super::problem::{ConfigProblem, ValueOrigin};

pub(super) struct Layer {
    from: LayerOrigin,
    /// The values, from the root of the configuration.
    pub(super) data: Dict,
}

enum LayerOrigin {
    File { path: PathBuf, built_in: bool, document: Box<Document<String>>, prefix: Vec<String> },
    Env(String),
    Default,
}

impl Layer {
    /// Parses a file. `prefix` is the path of the table that the file contains; it is empty if the file contains the
    /// whole configuration.
    pub(super) fn file(
        path: &Path,
        built_in: bool,
        text: String,
        prefix: &[&str],
    ) -> Result<Self, ConfigProblem> {
        let lines = text.clone();
        let document = Document::parse(text).map_err(|error| ConfigProblem {
            origin: ValueOrigin::File {
                path: path.to_owned(),
                line: error.span().map(|span| line_of(&lines, span.start)),
                built_in,
            },
            // The error's `Display` quotes the line, which may contain a secret.
            message: format!("not valid TOML: {}", one_line(error.message())),
        })?;
        let data = nested(prefix, Value::from(table(document.as_table())));
        let prefix = prefix.iter().map(|key| (*key).to_owned()).collect();
        let document = Box::new(document);
        Ok(Self { from: LayerOrigin::File { path: path.to_owned(), built_in, document, prefix }, data })
    }

    /// A layer with one environment variable that sets the key at `path`.
    pub(super) fn env(name: &str, path: &[impl AsRef<str>], value: Value) -> Self {
        Self { from: LayerOrigin::Env(name.to_owned()), data: nested(path, value) }
    }

    /// A layer with the default of the key at `path`.
    pub(super) fn default(path: &[&str], value: Value) -> Self {
        Self { from: LayerOrigin::Default, data: nested(path, value) }
    }

    /// The source of the key at `path`, which starts at the configuration's root. In a file, the line is that of the
    /// deepest part of `path` that the file contains.
    pub(super) fn origin(&self, path: &[String]) -> ValueOrigin {
        match &self.from {
            LayerOrigin::Default => ValueOrigin::Default,
            LayerOrigin::Env(name) => ValueOrigin::Env(name.clone()),
            LayerOrigin::File { path: file, built_in, document, prefix } => {
                let offset =
                    path.strip_prefix(prefix.as_slice()).and_then(|path| locate(document.as_table(), path));
                let line = offset.map(|offset| line_of(document.raw(), offset));
                ValueOrigin::File { path: file.clone(), line, built_in: *built_in }
            }
        }
    }

    /// The base folder of relative paths in this layer; `None` if the layer is not a file.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.path()?.parent()
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match &self.from {
            LayerOrigin::File { path, .. } => Some(path),
            LayerOrigin::Env(_) | LayerOrigin::Default => None,
        }
    }

    /// The path of a file on disk; `None` for a built-in file and for a layer that is not a file.
    pub(super) fn on_disk(&self) -> Option<&Path> {
        match &self.from {
            LayerOrigin::File { path, built_in: false, .. } => Some(path),
            _ => None,
        }
    }

    pub(super) fn is_env(&self) -> bool {
        matches!(self.from, LayerOrigin::Env(_))
    }

    /// The layer's name for figment; unique except for defaults.
    pub(super) fn name(&self) -> String {
        self.origin(&[]).to_string()
    }
}

impl Provider for &Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name())
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.data.clone())]))
    }
}

/// A table with only this value, at `path`.
fn nested(path: &[impl AsRef<str>], value: Value) -> Dict {
    let keys = path.iter().rev().map(|key| key.as_ref().to_owned());
    let nested = keys.fold(value, |value, key| Value::from(Dict::from([(key, value)])));
    nested.into_dict().unwrap_or_default()
}

/// Parses the text of an environment variable as TOML. If it is not TOML, it is a string, so that a path or a URL
/// needs no quotes.
pub(super) fn parse_value(text: &str) -> Value {
    match text.trim().parse::<toml_edit::Value>() {
        Ok(parsed) => value(&parsed),
        Err(_) => Value::from(text),
    }
}

/// Parses a TOML text that is built into the program.
pub(super) fn parse_table(text: &str) -> Dict {
    Document::parse(text.to_owned()).map(|document| table(document.as_table())).unwrap_or_default()
}

fn table(table: &dyn TableLike) -> Dict {
    table.iter().filter_map(|(key, item)| Some((key.to_owned(), from_item(item)?))).collect()
}

fn from_item(item: &Item) -> Option<Value> {
    Some(match item {
        Item::None => return None,
        Item::Value(inner) => value(inner),
        Item::Table(inner) => Value::from(table(inner)),
        Item::ArrayOfTables(tables) => {
            Value::from(tables.iter().map(|inner| table(inner)).collect::<Vec<_>>())
        }
    })
}

fn value(value: &toml_edit::Value) -> Value {
    use toml_edit::Value as Toml;
    match value {
        Toml::String(text) => Value::from(text.value().as_str()),
        Toml::Integer(number) => Value::from(*number.value()),
        Toml::Float(number) => Value::from(*number.value()),
        Toml::Boolean(flag) => Value::from(*flag.value()),
        // Neither figment nor JSON has a type for dates, so a date becomes text.
        Toml::Datetime(date) => Value::from(date.value().to_string()),
        Toml::Array(items) => Value::from(items.iter().map(self::value).collect::<Vec<_>>()),
        Toml::InlineTable(inner) => Value::from(table(inner)),
    }
}

/// The byte offset of the deepest existing part of `path`.
fn locate(table: &dyn TableLike, path: &[String]) -> Option<usize> {
    let (first, rest) = path.split_first()?;
    let (key, item) = table.get_key_value(first)?;
    let here = key.span().map(|span| span.start);
    let deeper = match item {
        Item::ArrayOfTables(tables) => rest.split_first().and_then(|(index, rest)| {
            let table = tables.get(index.parse().ok()?)?;
            locate(table, rest).or(table.span().map(|span| span.start))
        }),
        Item::Value(value) => locate_in_value(value, rest),
        Item::Table(table) => locate(table, rest),
        Item::None => None,
    };
    deeper.or(here)
}

fn locate_in_value(value: &toml_edit::Value, path: &[String]) -> Option<usize> {
    match value {
        toml_edit::Value::InlineTable(table) => locate(table, path),
        toml_edit::Value::Array(items) => {
            let (index, rest) = path.split_first()?;
            let item = items.get(index.parse().ok()?)?;
            locate_in_value(item, rest).or(item.span().map(|span| span.start))
        }
        _ => None,
    }
}

/// The line of a byte offset, counted from 1.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, path: &[&str]) -> Option<usize> {
        let layer = Layer::file(Path::new("a.toml"), false, text.to_owned(), &[]).unwrap();
        let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
        match layer.origin(&path) {
            ValueOrigin::File { line, .. } => line,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_line_of_a_key_is_found_in_every_toml_notation() {
        let text = "# words\na = 1\nb.c = 2\nd = { e = 3 }\nf = [\n  1,\n  { g = 2 },\n]\n\
                    [h]\ni = 1\n[j.k]\nl = 1\n[[m]]\nn = 1\n[[m]]\nn = 2\n";
        for (path, expected) in [
            (&["a"][..], Some(2)),
            (&["b"], Some(3)),
            (&["b", "c"], Some(3)),
            (&["d", "e"], Some(4)),
            (&["f", "0"], Some(6)),
            (&["f", "1", "g"], Some(7)),
            (&["h"], Some(9)),
            (&["h", "i"], Some(10)),
            (&["j", "k", "l"], Some(12)),
            (&["m", "0"], Some(13)),
            (&["m", "1", "n"], Some(16)),
            (&["h", "absent"], Some(9)),
            (&["absent"], None),
            (&[], None),
        ] {
            assert_eq!(line(text, path), expected, "{path:?}");
        }
    }

    #[test]
    fn an_environment_value_is_toml_or_plain_text() {
        assert_eq!(parse_value("12"), Value::from(12_i64));
        assert_eq!(parse_value(" true "), Value::from(true));
        assert_eq!(parse_value("[\"a\"]").as_array().unwrap()[0].as_str(), Some("a"));
        assert_eq!(parse_value("{ env = \"A\" }").find_ref("env").unwrap().as_str(), Some("A"));
        assert_eq!(parse_value("\"12\"").as_str(), Some("12"));
        assert_eq!(parse_value("/var/lib/x y").as_str(), Some("/var/lib/x y"));
        assert_eq!(parse_value("tcp://10.0.0.1:80").as_str(), Some("tcp://10.0.0.1:80"));
    }

    #[test]
    fn a_syntax_error_has_its_line_and_never_quotes_the_text() {
        let text = "a = 1\ntoken = \"hunter2\n".to_owned();
        let problem = Layer::file(Path::new("a.toml"), false, text, &[]).err().unwrap().to_string();
        assert!(problem.starts_with("a.toml:2: not valid TOML: "), "{problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}
