//! The JSON Schema of the configuration, derived from its structs. It is the only place that says what a key may be:
//! `check` checks values against it, and the reference and `pixcolor check --schema` are written from it.
//!
//! Keywords that begin with `x-` are our own and are not published: `x-noun` says what one value is ("a host"),
//! `x-must-be` what a whole value must be if the standard keywords do not say it in words, and `x-empty` what to do if
//! a list is empty. `x-texts` is the kind of every text in a value of any type. `x-needed` marks a key as required in
//! the reference.

use std::collections::HashSet;

use rocket::data::ByteUnit;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value as Json, json};

/// Set for a key whose field is an `Option`. An absent table with this keyword is not checked as an empty one.
pub(super) const OPTIONAL: &str = "x-optional";

/// Set for a table in which the key that chooses a branch may be absent, because some names have a default for it.
pub(super) const TAG_OPTIONAL: &str = "x-tag-optional";

/// The schema of a struct without references, nulls (TOML has none) and open tables.
pub(super) fn schema_of<T: JsonSchema>() -> Json {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    tidy(&mut schema);
    schema
}

/// The schema as it is published: without the keywords and formats that only this program knows.
pub(super) fn published<T: JsonSchema>(title: &str) -> String {
    let mut schema = schema_of::<T>();
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), title.into());
    }
    strip(&mut schema);
    format!("{schema:#}\n")
}

/// Adds a branch for tables that lack the key that chooses a branch: a name with a default for it may leave it out.
fn add_untagged(node: &mut Map<String, Json>) {
    let Some(branches) = node.get_mut("oneOf").and_then(Json::as_array_mut) else { return };
    let mut keys = Map::<String, Json>::new();
    for (key, schema) in
        branches.iter().flat_map(properties).filter(|(_, schema)| schema.get("const").is_none())
    {
        let any = keys.entry(key).or_insert_with(|| json!({ "anyOf": [] }));
        if let Some(any) = any["anyOf"].as_array_mut().filter(|any| !any.contains(schema)) {
            any.push(schema.clone());
        }
    }
    // The rate has a default, too, for the same names.
    for branch in branches.iter_mut() {
        if let Some(needed) = branch.get_mut("required").and_then(Json::as_array_mut) {
            needed.retain(|key| key != "rate");
        }
    }
    branches.push(json!({ "type": "object", "properties": keys, "additionalProperties": false }));
}

fn strip(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(strip),
        Json::Object(node) => {
            // If all values are objects, the names are keys of the configuration, such as `format`, and stay.
            let keys = node.values().all(Json::is_object);
            if node.contains_key(TAG_OPTIONAL) {
                add_untagged(node);
            }
            node.retain(|key, _| keys || !(key == "format" || key.starts_with("x-")));
            node.values_mut().for_each(strip);
        }
        _ => {}
    }
}

fn tidy(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(tidy),
        Json::Object(node) => {
            tidy_node(node);
            node.iter_mut()
                .filter(|(key, _)| !matches!(key.as_str(), "default" | "enum"))
                .for_each(|(_, part)| tidy(part));
        }
        _ => {}
    }
}

fn tidy_node(node: &mut Map<String, Json>) {
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
    if node
        .get("format")
        .and_then(Json::as_str)
        .is_some_and(|format| format.starts_with("uint") || format == "double")
    {
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

/// Turns `oneOf` constants into an `enum`, and moves a table's common keys into each branch of its `oneOf`, so that
/// each branch lists all of its keys and no others are allowed.
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
        let needed =
            [needed.as_ref(), branch.get("required")].into_iter().flatten().filter_map(Json::as_array);
        let needed: Vec<Json> = needed.flatten().cloned().collect();
        branch.insert("properties".to_owned(), keys.into());
        branch.insert("required".to_owned(), needed.into());
    }
    node.insert("oneOf".to_owned(), branches.into());
}

/// Describes the key that chooses a branch. With serde's `tag` this key is no field, so it has no doc comment.
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

/// The text of a keyword; empty if it is not there.
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
