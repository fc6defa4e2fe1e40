//! Converts single values from TOML to JSON, as their schema says.

use figment::value::Value;
use rocket::data::ByteUnit;
use serde_json::Value as Json;

use super::kinds;
use super::problem::nearest;
use super::schema::{has_type, is_named, is_table, quoted, text, words};

/// Whether a schema allows the type of a value; used to choose one of several schemas.
pub(super) fn fits(schema: &Json, value: &Value) -> bool {
    match value {
        Value::Dict(..) => is_table(schema) || is_named(schema) || text(schema, "format") == "secret",
        Value::Array(..) => has_type(schema, "array"),
        Value::String(..) => has_type(schema, "string"),
        Value::Bool(..) => has_type(schema, "boolean"),
        Value::Num(..) => has_type(schema, "number") || has_type(schema, "integer"),
        Value::Char(..) | Value::Empty(..) => false,
    }
}

/// What a word must be, for an error message: the most similar allowed word if there is one, otherwise all of them.
pub(super) fn one_of(value: &Value, words: &[&str]) -> String {
    let near = value.as_str().and_then(|text| nearest(text, words.iter().copied()));
    near.map_or_else(|| quoted(words), |near| format!("\"{near}\""))
}

/// Converts a single value to JSON. The error is empty if the value is simply not what the schema says; otherwise it
/// says what is wrong.
pub(super) fn parse(schema: &Json, value: &Value) -> Result<Json, String> {
    let within = |number: f64| {
        let bound = |keyword: &str| schema.get(keyword).and_then(Json::as_f64);
        bound("minimum").is_none_or(|least| number >= least)
            && bound("maximum").is_none_or(|most| number <= most)
    };
    let nothing = String::new;
    if let Some(words) = words(schema) {
        let word = value.as_str().filter(|word| words.contains(word));
        return word.map(Json::from).ok_or_else(nothing);
    }
    let format = text(schema, "format");
    if let Some(check) = kinds::check_of(format) {
        let text = match value {
            Value::String(_, text) if has_type(schema, "string") => Some(text.clone()),
            // A number in a template is sent as JSON writes it. An amount is converted by `decimal`.
            Value::Num(..) if has_type(schema, "string") && has_type(schema, "number") => {
                serde_json::to_string(value).ok()
            }
            Value::Num(..) if has_type(schema, "number") => decimal(value),
            Value::Bool(..) if has_type(schema, "boolean") => serde_json::to_string(value).ok(),
            _ => None,
        };
        let text = text.ok_or_else(nothing)?;
        return check(&text).map(|()| text.into());
    }
    if schema.get("type").is_some_and(Json::is_array) && format.is_empty() {
        let json = fits(schema, value).then(|| serde_json::to_value(value).ok()).flatten();
        return json.ok_or_else(nothing);
    }
    let read = match format {
        "size" => size(value).filter(|bytes| within(*bytes as f64)).map(Json::from),
        "seconds" => float(value).filter(|seconds| within(*seconds)).map(Json::from),
        "path" | "file" | "folder" => value.as_str().filter(|path| !path.is_empty()).map(Json::from),
        _ if has_type(schema, "boolean") => value.to_bool().map(Json::from),
        _ if has_type(schema, "integer") => {
            let number = whole(value).filter(|number| within(*number as f64));
            number.and_then(|number| u64::try_from(number).ok()).map(Json::from)
        }
        _ if has_type(schema, "number") => float(value).filter(|number| within(*number)).map(Json::from),
        _ if has_type(schema, "string") => value.as_str().map(Json::from),
        _ => None,
    };
    read.ok_or_else(nothing)
}

fn float(value: &Value) -> Option<f64> {
    value.to_num().and_then(|number| number.to_f64().or_else(|| number.to_i128().map(|whole| whole as f64)))
}

/// A number as decimal text. A float becomes the shortest decimal that parses to the same float.
fn decimal(value: &Value) -> Option<String> {
    let number = value.to_num()?;
    let float = number.to_f64().map(|float| float.to_string());
    float
        .or_else(|| number.to_i128().map(|whole| whole.to_string()))
        .or_else(|| number.to_u128().map(|whole| whole.to_string()))
}

/// A whole number from 0 on. A float without a fraction, such as `50e6`, is accepted, too.
pub(super) fn whole(value: &Value) -> Option<u128> {
    /// 2^53: up to here every integer is exact as a float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = value.to_num()?;
    number.to_u128_lossy().or_else(|| {
        let float = number.to_f64().filter(|float| (0.0..=EXACT).contains(float))?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let cut = float as u128;
        // In this range floats represent every integer exactly, so only a fraction makes the two differ.
        (cut as f64).total_cmp(&float).is_eq().then_some(cut)
    })
}

/// A size in bytes: a number, or a text with a unit.
pub(super) fn size(value: &Value) -> Option<u64> {
    match value.as_str() {
        Some(text) => text.trim().parse::<ByteUnit>().ok().map(|size| size.as_u64()),
        None => whole(value).and_then(|number| u64::try_from(number).ok()),
    }
}
