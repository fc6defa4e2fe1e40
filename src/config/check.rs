//! Checks the configuration against the schema of its structs. One walk notes every problem with its line, every
//! unknown key, and the value and source of each key. It returns the valid values, which serde can convert without an
//! error.

use figment::value::{Dict, Value};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::kinds;
use super::problem::{ConfigProblem, ValueOrigin, dotted, nearest};
use super::reader::{Reader, ReportEntry};
use super::schema::{
    NAMES_WITH_DEFAULTS, OPTIONAL, branch, common, example, has_type, is_named, is_path, is_table, must_be,
    properties, quoted, required, tag, text, words,
};
use super::shown::shown;
use super::values::{fits, one_of, parse};

#[derive(Clone, Copy)]
pub(super) struct Checker<'r> {
    pub(super) reader: &'r Reader<'r>,
    /// Whether the values of keys are reported one by one; false in a list, which is reported as a whole.
    pub(super) listed: bool,
}

impl Checker<'_> {
    /// Checks a table, in which only the keys of the schema are allowed. Returns the valid values as JSON, with an
    /// example in place of a required text that is missing or invalid; `None` if another required
    /// key is missing or invalid.
    pub(super) fn table(self, path: &[String], schema: &Json, dict: Option<&Dict>) -> Option<Json> {
        let tag = tag(schema);
        let chosen = match &tag {
            Some((key, words)) => self.chosen(path, schema, dict, (key, words)),
            None => Some(schema),
        };
        let Some(schema) = chosen else {
            // Which other keys are allowed depends on the word, which is missing or invalid.
            for (key, schema) in common(schema) {
                let value = dict.and_then(|dict| dict.get(key));
                value.map(|value| self.value(&[path, &[key.to_owned()]].concat(), schema, value));
            }
            return None;
        };
        let (needed, mut usable, mut read) = (required(schema), true, Map::new());
        for (key, schema) in properties(schema) {
            let path = [path, &[key.to_owned()]].concat();
            let needed = needed.contains(key);
            let value = dict.and_then(|dict| dict.get(key));
            let words = tag.as_ref().filter(|(tag, _)| *tag == key).map(|(_, words)| quoted(words));
            self.tell(&path, schema, needed, value, words);
            let checked = match value {
                Some(value) => self.value(&path, schema, value),
                None => self.absent(&path, schema, needed),
            };
            // With the example, the later checks that compare keys can run and find more problems.
            let checked = checked.or_else(|| example(schema).filter(|_| needed));
            usable &= checked.is_some() || !needed;
            read.extend(checked.map(|value| (key.to_owned(), value)));
        }
        let known: Vec<_> = properties(schema).map(|(key, _)| key.to_owned()).collect();
        self.reader.note_unknown(path, dict, &known);
        usable.then_some(Json::Object(read))
    }

    /// Returns the alternative (`oneOf`) of a table's schema that belongs to the value of `key`. Notes a problem if
    /// there is none.
    fn chosen<'s>(
        self,
        path: &[String],
        schema: &'s Json,
        dict: Option<&Dict>,
        (key, words): (&str, &[&str]),
    ) -> Option<&'s Json> {
        let at = [path, &[key.to_owned()]].concat();
        match dict.and_then(|dict| dict.get(key)) {
            None => {
                let (name, siblings) = self.siblings(path, schema);
                // A table that is not there has no name to mistype.
                let others =
                    siblings.iter().map(String::as_str).filter(|other| dict.is_some() && *other != name);
                let near = nearest(name, others);
                let meant = near.map_or(String::new(), |near| format!("did you mean `{near}`? Or "));
                let message =
                    format!("`{}` has no `{key}`: {meant}it must be {}", dotted(path), quoted(words));
                self.problem(path, message);
                None
            }
            Some(value) => {
                let chosen = value.as_str().and_then(|word| branch(schema, key, word));
                chosen.or_else(|| self.wrong(&at, value, &one_of(value, words)))
            }
        }
    }

    /// The name of a table, and all names in its parent table and in the table whose names have defaults.
    fn siblings<'p>(self, path: &'p [String], schema: &Json) -> (&'p str, Vec<String>) {
        let Some((name, parent)) = path.split_last() else { return ("", Vec::new()) };
        let other = schema.get(NAMES_WITH_DEFAULTS).and_then(|path| Vec::deserialize(path).ok());
        let tables = [Some(parent.to_vec()), other].into_iter().flatten();
        let tables = tables.filter_map(|path| self.reader.find(&path)?.as_dict());
        (name, tables.flat_map(Dict::keys).cloned().collect())
    }

    /// Handles a key that is not set: checks a table as an empty one, notes a problem if the key is required, or
    /// reports the default.
    fn absent(self, path: &[String], schema: &Json, needed: bool) -> Option<Json> {
        let default = schema.get("default").cloned().unwrap_or_default();
        if is_table(schema) && schema.get(OPTIONAL).is_none() {
            return self.table(path, schema, None);
        }
        if needed {
            let (key, table) = path.split_last()?;
            let message = format!("`{}` has no `{key}`: it must be {}", dotted(table), must_be(schema));
            self.problem(table, message);
        } else if !is_table(schema) && !is_named(schema) {
            self.entry(path, default, text(schema, "format") == "secret", ValueOrigin::Default);
        }
        None
    }

    /// Checks the value of a key.
    fn value(self, path: &[String], schema: &Json, value: &Value) -> Option<Json> {
        if text(schema, "format") == "secret" {
            return self.secret(path, value);
        }
        if let Some(format) = schema.get("x-texts").and_then(Json::as_str) {
            let read = self.texts(path, format, value)?;
            self.entry(path, read.clone(), false, self.reader.origin(path, value));
            return Some(read);
        }
        if let Some(alternatives) = schema.get("anyOf").and_then(Json::as_array) {
            let fits = |schema: &&Json| fits(schema, value);
            let found = alternatives.iter().find(fits);
            return match found {
                Some(schema) => self.value(path, schema, value),
                None => self.wrong(path, value, &must_be(schema)),
            };
        }
        match value {
            Value::Dict(_, dict) if is_table(schema) => self.table(path, schema, Some(dict)),
            Value::Dict(_, dict) if is_named(schema) => {
                Some(self.named(path, &schema["additionalProperties"], dict))
            }
            _ if is_table(schema) || is_named(schema) => {
                let name = dotted(path);
                let example =
                    if self.listed { format!(", such as `[{name}]`") } else { " such as { ... }".into() };
                self.problem(path, format!("`{name}` must be a table{example}, not {}", shown(value)));
                None
            }
            Value::Array(_, items) if has_type(schema, "array") => self.list(path, schema, value, items),
            _ => {
                let read = self.scalar(path, schema, value)?;
                let shown = match is_path(schema) {
                    true => read.clone(),
                    false => serde_json::to_value(value).unwrap_or_default(),
                };
                self.entry(path, shown, false, self.reader.origin(path, value));
                Some(read)
            }
        }
    }

    /// Checks a value of any type, in which every text must be of the kind with this format.
    fn texts(self, path: &[String], format: &str, value: &Value) -> Option<Json> {
        let inner = |key: &str, value: &Value| self.texts(&[path, &[key.to_owned()]].concat(), format, value);
        match value {
            Value::String(_, text) => match kinds::check_of(format)?(text) {
                Ok(()) => Some(text.as_str().into()),
                Err(said) => {
                    self.problem(path, format!("`{}` {said}", dotted(path)));
                    None
                }
            },
            Value::Array(_, items) => {
                let items = items.iter().enumerate().map(|(index, item)| inner(&index.to_string(), item));
                items.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>().map(Json::Array)
            }
            Value::Dict(_, dict) => {
                let items = dict.iter().map(|(key, item)| Some((key.clone(), inner(key, item)?)));
                items.collect::<Vec<_>>().into_iter().collect::<Option<Map<_, _>>>().map(Json::Object)
            }
            plain => serde_json::to_value(plain).ok(),
        }
    }

    /// Checks a table whose names the operator chooses. Returns its valid entries.
    fn named(self, path: &[String], schema: &Json, dict: &Dict) -> Json {
        let entry = |(name, value): (&String, &Value)| {
            let path = [path, std::slice::from_ref(name)].concat();
            Some((name.clone(), self.value(&path, schema, value)?))
        };
        Json::Object(dict.iter().filter_map(entry).collect())
    }

    fn list(self, path: &[String], schema: &Json, value: &Value, items: &[Value]) -> Option<Json> {
        let item_schema = schema.get("items")?;
        let inside = Self { listed: false, ..self };
        let whole = !text(schema, "x-must-be").is_empty();
        let mut read = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let at = [path, &[index.to_string()]].concat();
            if is_table(item_schema) {
                let problems = || self.reader.notes.borrow().problems.len();
                let before = problems();
                let item = inside.value(&at, item_schema, item);
                read.extend(item.filter(|_| problems() == before));
            } else {
                match parse(item_schema, item) {
                    Ok(item) => read.push(item),
                    Err(_) if whole => return self.wrong(path, value, &must_be(schema)),
                    Err(_) => {
                        let wanted = must_be(item_schema);
                        self.problem(&at, format!("`{}`: {} is not {wanted}", dotted(path), shown(item)));
                    }
                }
            }
        }
        let wrong = read.len() < items.len();
        if whole && items.is_empty() && schema.get("minItems").is_some() {
            return self.wrong(path, value, &must_be(schema));
        }
        let empty = text(schema, "x-empty");
        if items.is_empty() && !empty.is_empty() {
            let key = path.last().map_or("", String::as_str);
            self.problem(path, format!("`{key}` is empty: {empty}"));
        }
        let shown = serde_json::to_value(value).unwrap_or_default();
        self.entry(path, shown, false, self.reader.origin(path, value));
        (!wrong || !is_table(item_schema)).then_some(Json::Array(read))
    }

    fn scalar(self, path: &[String], schema: &Json, value: &Value) -> Option<Json> {
        match parse(schema, value) {
            Ok(Json::String(written)) if is_path(schema) => {
                self.file_path(path, value, &written, text(schema, "format"))
            }
            Ok(read) => Some(read),
            Err(said) if said.is_empty() => {
                let wanted = words(schema).map_or_else(|| must_be(schema), |words| one_of(value, &words));
                self.wrong(path, value, &wanted)
            }
            // The message does not quote the value, which may contain a secret.
            Err(said) => {
                self.note_at(path, value, format!("`{}` {said}", dotted(path)));
                None
            }
        }
    }

    /// Resolves a path against the folder of the file that sets it, or against the working folder for a variable. Notes
    /// a problem if the file or folder must exist and does not, or if the path is not UTF-8.
    fn file_path(self, at: &[String], value: &Value, written: &str, what: &str) -> Option<Json> {
        let path = self.reader.resolve(value, written);
        let missing = match what {
            "file" => !path.is_file(),
            "folder" => !path.is_dir(),
            _ => false,
        };
        if missing {
            self.problem(at, format!("`{}`: there is no {what} {}", dotted(at), path.display()));
        }
        if what == "file" {
            self.reader.notes.borrow_mut().files.insert(path.clone());
        }
        if path.to_str().is_none() {
            self.problem(at, format!("`{}`: the path {} is not UTF-8", dotted(at), path.display()));
        }
        path.to_str().map(Json::from)
    }

    fn secret(self, path: &[String], value: &Value) -> Option<Json> {
        let origin = self.reader.origin(path, value);
        match self.reader.secret(value) {
            Ok(secret) => {
                self.entry(path, secret.to_string().into(), true, origin.clone());
                if let Some(why) = secret.why_unset() {
                    let message = format!("`{}` has no value: {why}", dotted(path));
                    let problem = ConfigProblem { origin, message };
                    self.reader.notes.borrow_mut().unset.push((path.to_vec(), problem));
                }
                Some(secret.to_json())
            }
            Err(said) => {
                // The message does not quote the value, because it may be the secret itself.
                self.note(origin, format!("`{}` {said}", dotted(path)));
                None
            }
        }
    }

    fn entry(self, path: &[String], value: Json, secret: bool, origin: ValueOrigin) {
        if self.listed {
            let key = dotted(path);
            self.reader.notes.borrow_mut().entries.push(ReportEntry { key, value, secret, origin });
        }
    }

    /// Notes that a value is not what it must be.
    fn wrong<T>(self, path: &[String], value: &Value, wanted: &str) -> Option<T> {
        let message = format!("`{}` must be {wanted}, not {}", dotted(path), shown(value));
        self.note_at(path, value, message);
        None
    }

    /// Notes a problem with a value, except with a default: it is a copy of a value that another key sets, and that key
    /// has its own problem.
    fn note_at(self, path: &[String], value: &Value, message: String) {
        let origin = self.reader.origin(path, value);
        if origin != ValueOrigin::Default {
            self.note(origin, message);
        }
    }

    fn problem(self, path: &[String], message: String) {
        self.note(self.reader.origin_of(path), message);
    }

    fn note(self, origin: ValueOrigin, message: String) {
        self.reader.notes.borrow_mut().problems.push(ConfigProblem { origin, message });
    }
}
