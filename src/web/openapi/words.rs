//! Template functions for `/docs`: resolve references, describe schemas in words, convert texts to HTML.

use minijinja::{HtmlEscape, Value};

/// Follows a value's `$ref` within the document. A value without `$ref` is returned unchanged.
pub fn resolve(document: &Value, value: Value) -> Value {
    let reference = value.get_attr("$ref").ok().and_then(|reference| reference.as_str().map(str::to_owned));
    let Some(reference) = reference else { return value };
    let steps = reference.trim_start_matches("#/").split('/');
    steps.fold(document.clone(), |at, step| at.get_attr(step).unwrap_or_default())
}

/// Converts a text of the document to HTML: paragraphs, and code in backticks.
pub fn prose(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let parts = paragraph.split('`').enumerate().map(|(index, part)| match index % 2 {
            0 => HtmlEscape(part).to_string(),
            _ => format!("<code>{}</code>", HtmlEscape(part)),
        });
        format!("<p>{}</p>", parts.collect::<String>())
    });
    paragraphs.collect()
}

/// Describes a schema as short HTML: `text`, `list of <a href="#Limit">Limit</a>`, `number or null`.
pub fn words(schema: &Value) -> String {
    let member = |name: &str| schema.get_attr(name).ok().filter(|value| !value.is_undefined());
    if let Some(reference) = member("$ref") {
        let reference = reference.to_string();
        let name = reference.rsplit('/').next().unwrap_or_default();
        return format!("<a href=\"#{0}\">{0}</a>", HtmlEscape(name));
    }
    let items = |value: Value| value.try_iter().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    let either = |words: Vec<String>| words.join(" or ");
    if let Some(values) = member("enum") {
        let shown = |value: &Value| match value.is_none() {
            true => "null".to_owned(),
            false => format!("<code>{}</code>", HtmlEscape(&value.to_string())),
        };
        return either(items(values).iter().map(shown).collect());
    }
    if let Some(any) = member("anyOf").filter(|_| member("properties").is_none()) {
        return either(items(any).iter().map(words).collect());
    }
    let of = |kind: &str| match kind {
        "string" => match member("format").map(|format| format.to_string()).as_deref() {
            Some("binary") => "bytes".to_owned(),
            Some("date") => "date".to_owned(),
            Some("date-time") => "date and time".to_owned(),
            _ => "text".to_owned(),
        },
        "array" => format!("list of {}", member("items").map_or("anything".to_owned(), |item| words(&item))),
        "object" => match member("additionalProperties") {
            Some(value) if value.get_attr("type").is_ok_and(|kind| !kind.is_undefined()) => {
                format!("{} by name", words(&value))
            }
            _ => "object".to_owned(),
        },
        "integer" => "whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        other => other.to_owned(),
    };
    match member("type") {
        None => "anything".to_owned(),
        Some(kind) => match kind.as_str() {
            Some(kind) => of(kind),
            None => either(items(kind).iter().map(|kind| of(&kind.to_string())).collect()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: serde_json::Value) -> Value {
        Value::from(minijinja::value::Serde(json))
    }

    #[test]
    fn schemas_are_described_in_few_words() {
        use serde_json::json;
        for (schema, expected) in [
            (json!({ "type": "string" }), "text"),
            (json!({ "type": ["integer", "null"] }), "whole number or null"),
            (json!({ "enum": ["a<b", null] }), "<code>a&lt;b</code> or null"),
            (
                json!({ "type": "array", "items": { "$ref": "#/components/schemas/Limit" } }),
                "list of <a href=\"#Limit\">Limit</a>",
            ),
            (
                json!({ "anyOf": [{ "$ref": "#/x/Saved" }, { "type": "null" }] }),
                "<a href=\"#Saved\">Saved</a> or null",
            ),
            (json!({ "type": "object", "additionalProperties": { "type": "number" } }), "number by name"),
            (json!({ "type": "string", "format": "binary" }), "bytes"),
        ] {
            assert_eq!(words(&value(schema)), expected);
        }
    }

    #[test]
    fn texts_become_html_and_their_content_is_escaped() {
        assert_eq!(prose("a < `b>c`\n\nd"), "<p>a &lt; <code>b&gt;c</code></p><p>d</p>");
    }

    #[test]
    fn references_are_followed() {
        let document =
            value(serde_json::json!({ "components": { "headers": { "A": { "description": "x" } } } }));
        let found = resolve(&document, value(serde_json::json!({ "$ref": "#/components/headers/A" })));
        assert_eq!(found.get_attr("description").unwrap().as_str(), Some("x"));
    }
}
