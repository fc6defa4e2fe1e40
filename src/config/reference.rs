//! Writes the reference of the configuration, docs/configuration.md: every key with its description, range and
//! default.
//!
//! The writer reads a configuration that contains a provider of every kind and a price term of every kind. All texts
//! about a key come from the schema of its struct; the description is the doc comment of the field.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use figment::value::Value;
use serde_json::Value as Json;

use super::check::Checker;
use super::env::variable;
use super::layer::Layer;
use super::problem::ConfigError;
use super::problem::ValueOrigin;
use super::reader::Reader;
use super::report::{AT_START, to_toml};
use super::schema::{is_named, is_table, must_be, text};
use super::server::server_words;
use super::source::ConfigSource;

/// The reference's entry for a key.
pub(super) struct KeyDescription {
    pub(super) path: Vec<String>,
    pub(super) about: String,
    /// What a value must be; empty for a table.
    pub(super) wanted: String,
    pub(super) default: Json,
    /// Whether the key is required.
    pub(super) needed: bool,
}

/// All descriptions.
#[derive(Default)]
pub(super) struct KeyDescriptions {
    pub(super) keys: Vec<KeyDescription>,
}

/// The introduction of the reference, and the texts between its parts.
const HEAD: &str = include_str!("reference/head.md");
const PROVIDERS: &str = include_str!("reference/providers.md");
const SERVER: &str = include_str!("reference/server.md");
const VARIABLES: &str = include_str!("reference/variables.md");

/// A configuration with every table. Each provider's name begins with its kind.
const EVERYTHING: &str = include_str!("reference/everything.toml");

/// The whole reference as Markdown.
pub fn reference() -> Result<String, ConfigError> {
    let (gateway, providers): (Vec<_>, Vec<_>) =
        sections(told()?.keys).into_iter().partition(|it| !it.of_provider());
    let mut text = HEAD.to_owned();
    gateway.iter().for_each(|section| section.write(&mut text));
    text += PROVIDERS;
    providers.iter().for_each(|section| section.write(&mut text));
    text += SERVER;
    text += "\n| key | what it is for | default |\n|---|---|---|\n";
    for (key, about, default) in server_words()? {
        let name = format!("ROCKET_{}", key.to_uppercase());
        let name = if key.contains('.') { String::new() } else { format!("<br>`{name}`") };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{key}`{name} | {about} | {default} |");
    }
    text += VARIABLES;
    Ok(text)
}

/// Collects the descriptions.
fn told() -> Result<KeyDescriptions, ConfigError> {
    let alone = |problem: super::ConfigProblem| ConfigError::one(problem.origin, problem.message);
    let layer = Layer::file(Path::new("everything.toml"), true, EVERYTHING.to_owned(), &[]).map_err(alone)?;
    let mut source = ConfigSource::default();
    source.env.insert("HOME".to_owned(), "~".to_owned());
    let reader = Reader::new(&source, vec![layer], Vec::new());
    reader.notes.borrow_mut().told = Some(KeyDescriptions::default());
    let (_, notes) = reader.read();
    ConfigError::check(notes.problems)?;
    Ok(notes.told.unwrap_or_default())
}

impl Checker<'_> {
    /// Adds a key to the reference, if it is being written.
    pub(super) fn tell(
        self,
        path: &[String],
        schema: &Json,
        needed: bool,
        value: Option<&Value>,
        words: Option<String>,
    ) {
        let layer = |value: &&Value| self.reader.origin(path, value) == ValueOrigin::Default;
        let of_machine = value
            .filter(|value| self.listed && layer(value))
            .and_then(|value| serde_json::to_value(value).ok());
        if let Some(told) = &mut self.reader.notes.borrow_mut().told {
            let named = schema.get("additionalProperties").unwrap_or(schema);
            let about = [schema, named].map(|schema| text(schema, "description"));
            let about = about.into_iter().find(|about| !about.is_empty()).unwrap_or_default().to_owned();
            let open = is_named(schema) && !is_table(&schema["additionalProperties"]);
            let has_default = of_machine.is_some();
            let default = of_machine.or_else(|| schema.get("default").cloned()).unwrap_or_default();
            told.keys.push(KeyDescription {
                path: path.to_vec(),
                about: about.clone(),
                wanted: match is_table(schema) || is_named(schema) {
                    true => String::new(),
                    false => words.unwrap_or_else(|| must_be(schema)),
                },
                default: if is_table(schema) { Json::Null } else { default },
                needed: needed && !has_default || schema.get("x-needed").is_some(),
            });
            if open {
                told.keys.push(KeyDescription {
                    path: [path, &["NAME".to_owned()]].concat(),
                    about,
                    wanted: must_be(&schema["additionalProperties"]),
                    default: Json::Null,
                    needed: false,
                });
            }
        }
    }
}

/// One table of the reference.
struct Section {
    /// The table's path; NAME stands for a name that the operator chooses.
    table: Vec<String>,
    /// The description of the table.
    about: String,
    /// The kinds of provider that have these keys.
    kinds: Vec<String>,
    rows: Vec<ReferenceRow>,
}

struct ReferenceRow {
    /// The path from the configuration's root.
    path: Vec<String>,
    about: String,
    /// What a value must be, in each different wording.
    wanted: Vec<String>,
    /// The default, by kind of provider or name of limit.
    defaults: Vec<(String, String)>,
}

/// Replaces the names that the operator chooses by NAME. Returns the general path and the last replaced name, or for a
/// provider its kind.
fn general_path(path: &[String]) -> (Vec<String>, String) {
    let chosen: &[usize] = match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["keys", _, _, _, ..] => &[1, 3],
        ["providers" | "budgets" | "keys", _, ..] => &[1],
        ["quota", "limits", _, ..] => &[2],
        _ => &[],
    };
    let mut general: Vec<String> = Vec::new();
    for (index, part) in path.iter().enumerate() {
        match (chosen.contains(&index), general.last_mut()) {
            (true, _) => general.push("NAME".to_owned()),
            // An index in a list.
            (false, Some(list)) if part.chars().all(|c| c.is_ascii_digit()) => list.push_str("[]"),
            _ => general.push(part.clone()),
        }
    }
    let variant = chosen.last().and_then(|chosen| path.get(*chosen)).map_or("", String::as_str);
    let kind =
        if path.first().is_some_and(|first| first == "providers") { variant.split('-').next() } else { None };
    (general, kind.unwrap_or(variant).to_owned())
}

fn sections(told: Vec<KeyDescription>) -> Vec<Section> {
    let (mut tables, mut rows) = (BTreeMap::new(), Vec::<ReferenceRow>::new());
    for KeyDescription { path, about, wanted, default, needed } in told {
        let (path, variant) = general_path(&path);
        if wanted.is_empty() {
            tables.insert(path, about);
            continue;
        }
        let same = |row: &ReferenceRow| row.path == path && row.about == about;
        let at = rows.iter().position(same).unwrap_or_else(|| {
            rows.push(ReferenceRow { path, about, wanted: Vec::new(), defaults: Vec::new() });
            rows.len() - 1
        });
        let Some(row) = rows.get_mut(at) else { continue };
        if !row.wanted.contains(&wanted) {
            row.wanted.push(wanted);
        }
        if row.defaults.iter().all(|(seen, _)| *seen != variant) {
            let default = match default {
                _ if needed => "must be set".to_owned(),
                Json::Null => "not set".to_owned(),
                value => format!("`{}`", to_toml(&value)),
            };
            row.defaults.push((variant, default));
        }
    }
    let mut sections = Vec::<Section>::new();
    for row in rows {
        let table = row.path.split_last().map_or(&[][..], |(_, table)| table);
        let kinds = match row.path.first().is_some_and(|first| first == "providers") {
            true => row.defaults.iter().map(|(kind, _)| kind.clone()).collect(),
            false => Vec::new(),
        };
        let same = |section: &Section| section.table == table && section.kinds == kinds;
        let at = sections.iter().position(same).unwrap_or_else(|| {
            let named = table.strip_suffix(&["NAME".to_owned()]).unwrap_or(table);
            let about = tables.get(table).or_else(|| tables.get(named)).cloned().unwrap_or_default();
            sections.push(Section { table: table.to_vec(), about, kinds, rows: Vec::new() });
            sections.len() - 1
        });
        if let Some(section) = sections.get_mut(at) {
            section.rows.push(row);
        }
    }
    // Tables that more kinds of provider have come first.
    sections.sort_by_key(|section| (Reverse(section.kinds.len()), section.kinds.clone()));
    sections
}

impl Section {
    fn of_provider(&self) -> bool {
        self.table.first().is_some_and(|first| first == "providers")
    }

    fn write(&self, text: &mut String) {
        // In a provider's own file, the provider's table is the root.
        let own = if self.of_provider() { self.table.get(2..).unwrap_or_default() } else { &self.table };
        let place = match own.join(".") {
            place if place.is_empty() => "At the top".to_owned(),
            place => match place.strip_suffix("[]") {
                Some(list) => format!("Each of `{list}`"),
                None => format!("`[{place}]`"),
            },
        };
        let names: Vec<String> = self.kinds.iter().map(|kind| format!("`{kind}`")).collect();
        let kinds = if names.is_empty() { String::new() } else { format!(": kind {}", names.join(", ")) };
        let said = own.is_empty() || self.rows.iter().any(|row| row.about == self.about);
        let about = if said || self.about.is_empty() { String::new() } else { format!("{}\n\n", self.about) };
        let _ = write!(
            text,
            "\n### {place}{kinds}\n\n{about}| key | what it is for | what it can be | default |\n|---|---|---|---|\n"
        );
        self.rows.iter().for_each(|row| row.write(text));
    }
}

impl ReferenceRow {
    fn write(&self, text: &mut String) {
        let key = self.path.last().map_or("", String::as_str);
        let dotted = self.path.join(".");
        let without = dotted.contains("[]") || key.ends_with("NAME") || dotted.starts_with("providers.");
        let variable = if without { String::new() } else { format!("<br>`{}`", variable(&dotted)) };
        let start = if AT_START.contains(&dotted.as_str()) { " Takes effect at the next start." } else { "" };
        let (about, wanted) = (&self.about, self.wanted.join("; ").replace('|', "\\|"));
        let default = self.default();
        let _ = writeln!(text, "| `{key}`{variable} | {about}{start} | {wanted} | {default} |");
    }

    fn default(&self) -> String {
        // One value for all kinds, or each value with its kinds.
        let mut each: Vec<(&String, Vec<&str>)> = Vec::new();
        for (variant, value) in &self.defaults {
            match each.iter_mut().find(|(seen, _)| *seen == value) {
                Some((_, variants)) => variants.push(variant),
                None => each.push((value, vec![variant])),
            }
        }
        match each.as_slice() {
            [(only, _)] => (*only).clone(),
            each => each
                .iter()
                .map(|(value, variants)| format!("{value} ({})", variants.join(", ")))
                .collect::<Vec<_>>()
                .join("<br>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::schema;

    /// Adds the general path of every key of a schema.
    fn keys(schema: &Json, path: &str, all: &mut BTreeSet<String>) {
        let branches = schema.get("oneOf").and_then(Json::as_array).into_iter().flatten();
        branches.for_each(|branch| keys(branch, path, all));
        for (key, schema) in schema::properties(schema) {
            let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            keys(schema, &path, all);
            if let Some(items) = schema.get("items") {
                keys(items, &format!("{path}[]"), all);
            }
            if let Some(named) = schema.get("additionalProperties").filter(|named| named.is_object()) {
                keys(named, &format!("{path}.NAME"), all);
            }
            all.insert(path);
        }
    }

    #[test]
    fn the_reference_has_every_key_of_the_schema() {
        let told: BTreeSet<String> =
            told().unwrap().keys.iter().map(|key| general_path(&key.path).0.join(".")).collect();
        let mut all = BTreeSet::new();
        keys(&schema::schema_of::<crate::config::Config>(), "", &mut all);
        let missing: Vec<_> = all.difference(&told).collect();
        assert!(missing.is_empty(), "everything.toml must reach them: {missing:?}");
    }

    #[test]
    fn every_key_has_a_range_in_the_reference() {
        for KeyDescription { path, about, wanted, .. } in told().unwrap().keys {
            assert!(about.ends_with('.'), "{path:?}: {about}");
            assert!(!wanted.contains("not a"), "{path:?}: {wanted}");
        }
    }
}
