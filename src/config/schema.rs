//! The JSON Schema of the configuration, derived from its structs. It says which keys exist and what their values
//! must be: `check` checks values against it, and the reference and `pixcolor check --schema` are written from it.
//!
//! Keywords that begin with `x-` are our own and are not published: `x-noun` says what one value is ("a host"),
//! `x-must-be` what a whole value must be if the standard keywords do not say it in words, and `x-empty` what to do if
//! a list is empty. `x-texts` is the format of the kind that every text inside a value must have. `x-needed` marks a
//! key as required in the reference.

use std::collections::HashSet;

use rocket::data::ByteUnit;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value as Json, json};

/// Set for a key whose field is an `Option`. An absent table with this keyword is not checked as an empty one.
pub(super) const OPTIONAL: &str = "x-optional";

/// Set for a table with branches (the alternatives of `oneOf`) in which the key that chooses a branch may be absent,
/// because it has a default for some names of tables. The value is the path of the table that contains these names.
pub(super) const NAMES_WITH_DEFAULTS: &str = "x-names-with-defaults";

/// Set for a required key that has a default for these names.
const DEFAULT_BY_NAME: &str = "x-default-by-name";

/// The schema of a struct. It contains no references and no nulls (TOML has none), and a table with known keys allows
/// no others.
pub(super) fn schema_of<T: JsonSchema>() -> Json {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let settings = settings.with_transform(RecursiveTransform(tidy));
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// The schema as it is published: without the keywords and formats that only this program knows.
pub(super) fn published<T: JsonSchema>(title: &str) -> String {
    let mut schema = Schema::try_from(schema_of::<T>()).unwrap_or_default();
    schema.insert("title".to_owned(), title.into());
    RecursiveTransform(strip).transform(&mut schema);
    format!("{:#}\n", schema.to_value())
}

/// Adds a branch without the key that chooses a branch, because a table whose name has a default for that key may omit
/// it. In the other branches, the keys with [`DEFAULT_BY_NAME`] are no longer required.
fn add_untagged(schema: &mut Schema) {
    let Some(branches) = schema.get_mut("oneOf").and_then(Json::as_array_mut) else { return };
    let mut keys = Map::<String, Json>::new();
    for (key, schema) in
        branches.iter().flat_map(properties).filter(|(_, schema)| schema.get("const").is_none())
    {
        let any = keys.entry(key).or_insert_with(|| json!({ "anyOf": [] }));
        if let Some(any) = any["anyOf"].as_array_mut().filter(|any| !any.contains(schema)) {
            any.push(schema.clone());
        }
    }
    for branch in branches.iter_mut() {
        let by_name = properties(branch).filter(|(_, schema)| schema.get(DEFAULT_BY_NAME).is_some());
        let by_name: Vec<String> = by_name.map(|(key, _)| key.to_owned()).collect();
        if let Some(needed) = branch.get_mut("required").and_then(Json::as_array_mut) {
            needed.retain(|key| by_name.iter().all(|other| key != other));
        }
    }
    branches.push(json!({ "type": "object", "properties": keys, "additionalProperties": false }));
}

fn strip(schema: &mut Schema) {
    if schema.get(NAMES_WITH_DEFAULTS).is_some() {
        add_untagged(schema);
    }
    if let Some(node) = schema.as_object_mut() {
        node.retain(|key, _| key != "format" && !key.starts_with("x-"));
    }
}

/// Removes nulls, and formats that only name a Rust type, from a node. Marks optional keys, and closes tables.
fn tidy(schema: &mut Schema) {
    let Some(node) = schema.as_object_mut() else { return };
    if let Some(Json::String(about)) = node.get_mut("description") {
        *about = about.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    if let Some(Json::Array(types)) = node.get_mut("type") {
        let all = types.len();
        types.retain(|name| name != "null");
        let optional = types.len() < all;
        if let [only] = types.as_slice() {
            let only = only.clone();
            node.insert("type".to_owned(), only);
        }
        if optional {
            node.insert(OPTIONAL.to_owned(), true.into());
        }
    }
    let format = node.get("format").and_then(Json::as_str).unwrap_or_default();
    if format.starts_with("uint") || format == "double" {
        node.shift_remove("format");
    }
    if node.get("default").is_some_and(Json::is_null) {
        node.shift_remove("default");
    }
    if let Some(Json::Array(branches)) = node.get_mut("anyOf") {
        let all = branches.len();
        branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
        let optional = branches.len() < all;
        if let [Json::Object(only)] = branches.as_slice() {
            let only = only.clone();
            if optional {
                node.insert(OPTIONAL.to_owned(), true.into());
            }
            node.shift_remove("anyOf");
            only.into_iter().for_each(|(key, value)| {
                node.entry(key).or_insert(value);
            });
        }
    }
    close_branches(node);
}

/// Turns a `oneOf` of constants into an `enum`. In a table with a `oneOf`, moves the common keys into each branch, so
/// that each branch lists all of its keys.
fn close_branches(node: &mut Map<String, Json>) {
    let Some(Json::Array(mut branches)) = node.shift_remove("oneOf") else {
        if node.contains_key("properties") {
            node.insert("additionalProperties".to_owned(), false.into());
        }
        return;
    };
    let words = branches.iter().map(|branch| match branch.get("const") {
        Some(word) => Some(vec![word.clone()]),
        None => branch.get("enum")?.as_array().cloned(),
    });
    let words = words.collect::<Option<Vec<_>>>().map(|words| words.concat());
    if let Some(words) = words {
        node.insert("type".to_owned(), "string".into());
        node.insert("enum".to_owned(), words.into());
        return;
    }
    let common = node.shift_remove("properties");
    let needed = node.shift_remove("required");
    node.shift_remove("additionalProperties");
    for branch in branches.iter_mut().filter_map(Json::as_object_mut) {
        // The key that chooses the branch comes first.
        let own = branch.get("properties").and_then(Json::as_object).cloned().unwrap_or_default();
        let (tag, own): (Vec<_>, Vec<_>) = own.into_iter().partition(|(_, key)| key.get("const").is_some());
        let common = common.as_ref().and_then(Json::as_object).cloned().unwrap_or_default();
        let keys: Map<_, _> = tag.into_iter().chain(common).chain(own).collect();
        let lists =
            [needed.as_ref(), branch.get("required")].into_iter().flatten().filter_map(Json::as_array);
        let all: Vec<_> = lists.flatten().filter_map(Json::as_str).collect();
        // In the order of the keys.
        let needed: Vec<_> = keys.keys().filter(|key| all.contains(&key.as_str())).cloned().collect();
        branch.insert("properties".to_owned(), keys.into());
        branch.insert("required".to_owned(), needed.into());
    }
    node.insert("oneOf".to_owned(), branches.into());
}

/// Returns a transform that describes the key that chooses a branch. With serde's `tag` this key is no field, so it has
/// no doc comment.
pub(super) fn describe_tag(key: &'static str, about: &'static str) -> impl FnMut(&mut Schema) {
    move |schema| {
        let branches = schema.get_mut("oneOf").and_then(Json::as_array_mut);
        for branch in branches.into_iter().flatten() {
            if let Some(tag) = branch.pointer_mut(&format!("/properties/{key}")).and_then(Json::as_object_mut)
            {
                tag.insert("description".to_owned(), about.into());
            }
        }
    }
}

/// The key whose word chooses a branch of a table, with the words of all branches.
pub(super) fn tag(schema: &Json) -> Option<(&str, Vec<&str>)> {
    let branches = schema.get("oneOf")?.as_array()?;
    let chooses = |branch: &Json, key: &str| branch["properties"][key]["const"].is_string();
    let (key, _) =
        properties(branches.first()?).find(|(key, _)| branches.iter().all(|branch| chooses(branch, key)))?;
    let words = branches.iter().filter_map(|branch| branch["properties"][key]["const"].as_str());
    Some((key, words.collect()))
}

/// The branch of a table that a word chooses.
pub(super) fn branch<'s>(schema: &'s Json, key: &str, word: &str) -> Option<&'s Json> {
    let branches = schema.get("oneOf")?.as_array()?;
    branches.iter().find(|branch| branch["properties"][key]["const"] == word)
}

/// Whether the schema is a table with known keys.
pub(super) fn is_table(schema: &Json) -> bool {
    schema.get("properties").is_some() || schema.get("oneOf").is_some()
}

/// Whether the schema is a table whose names the operator chooses.
pub(super) fn is_named(schema: &Json) -> bool {
    !is_table(schema)
        && text(schema, "format") != "secret"
        && schema.get("additionalProperties").is_some_and(Json::is_object)
}

/// Whether the value must be a path: any path, or that of an existing file or folder.
pub(super) fn is_path(schema: &Json) -> bool {
    matches!(text(schema, "format"), "path" | "file" | "folder")
}

/// The keys that every branch of a table has, with the same schema.
pub(super) fn common(schema: &Json) -> impl Iterator<Item = (&str, &Json)> {
    let branches = schema.get("oneOf").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let everywhere = |(key, schema): &(&str, &Json)| {
        branches.iter().all(|branch| branch["properties"].get(*key) == Some(*schema))
    };
    branches.first().into_iter().flat_map(properties).filter(move |key| everywhere(key))
}

/// An example of a text value.
pub(super) fn example(schema: &Json) -> Option<Json> {
    schema.get("examples")?.get(0).cloned()
}

/// The keys of a table with their schemas, in the order of the struct's fields.
pub(super) fn properties(schema: &Json) -> impl Iterator<Item = (&str, &Json)> {
    let keys = schema.get("properties").and_then(Json::as_object);
    keys.into_iter().flatten().map(|(key, schema)| (key.as_str(), schema))
}

pub(super) fn required(schema: &Json) -> HashSet<&str> {
    let keys = schema.get("required").and_then(Json::as_array);
    keys.into_iter().flatten().filter_map(Json::as_str).collect()
}

/// The text of a keyword; empty if the schema does not contain the keyword.
pub(super) fn text<'s>(schema: &'s Json, keyword: &str) -> &'s str {
    schema.get(keyword).and_then(Json::as_str).unwrap_or_default()
}

pub(super) fn has_type(schema: &Json, name: &str) -> bool {
    match schema.get("type") {
        Some(Json::Array(types)) => types.iter().any(|one| one == name),
        Some(one) => one == name,
        None => false,
    }
}

/// The allowed words; `None` if other values are allowed.
pub(super) fn words(schema: &Json) -> Option<Vec<&str>> {
    match schema.get("const") {
        Some(only) => Some(vec![only.as_str()?]),
        None => Some(schema.get("enum")?.as_array()?.iter().filter_map(Json::as_str).collect()),
    }
}

pub(super) fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
}

/// What a value must be; continues a sentence that begins with "must be".
pub(super) fn must_be(schema: &Json) -> String {
    let bound = |keyword: &str| schema.get(keyword).cloned().unwrap_or_default();
    let (least, most) = (bound("minimum"), bound("maximum"));
    let own = text(schema, "x-must-be");
    let noun = text(schema, "x-noun");
    if !own.is_empty() {
        own.to_owned()
    } else if let Some(words) = words(schema) {
        quoted(&words)
    } else if let Some(items) = schema.get("items") {
        match example(items) {
            Some(example) => format!("a list such as [{example}]"),
            None => "a list of tables such as [{ ... }]".to_owned(),
        }
    } else if let (false, Some(example)) = (noun.is_empty(), example(schema)) {
        format!("{noun} such as {example}")
    } else if !noun.is_empty() {
        noun.to_owned()
    } else {
        match (text(schema, "format"), text(schema, "type")) {
            ("size", _) => {
                let unit = |bound: &Json| ByteUnit::Byte(bound.as_u64().unwrap_or_default());
                format!("a size such as \"20 MiB\", from {} to {}", unit(&least), unit(&most))
            }
            ("seconds", _) => format!("a number of seconds from {} to {}", plain(&least), plain(&most)),
            ("secret", _) => super::secret::WANTED.to_owned(),
            ("path" | "file" | "folder", _) => "a path".to_owned(),
            (_, "boolean") => "true or false".to_owned(),
            (_, "integer") => format!("a whole number from {} to {}", plain(&least), plain(&most)),
            (_, "number") => format!("a number from {} to {}", plain(&least), plain(&most)),
            (_, "object") => "a table".to_owned(),
            _ => "text".to_owned(),
        }
    }
}

/// A number without needless decimals.
fn plain(number: &Json) -> String {
    match (number.as_u64(), number.as_f64()) {
        (Some(whole), _) => whole.to_string(),
        (None, Some(float)) => float.to_string(),
        (None, None) => "any".to_owned(),
    }
}
