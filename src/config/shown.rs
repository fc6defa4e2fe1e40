//! Formats values for error messages: short, on one line, and without the parts of addresses that may
//! contain passwords.

use figment::value::Value;
use serde_json::Value as Json;

/// If the text is an address, replaces its user, password, query and fragment by `…`.
fn without_secrets(text: &str) -> String {
    let (scheme, rest) = text.find("://").map_or(("", text), |at| text.split_at(at + 3));
    let rest = match rest.rsplit_once('@') {
        Some((login, rest)) if !scheme.is_empty() || login.contains(':') => format!("…@{rest}"),
        _ => rest.to_owned(),
    };
    match rest.find(['?', '#']).filter(|_| !scheme.is_empty()) {
        Some(at) => format!("{scheme}{}…", rest.split_at(at + 1).0),
        None => format!("{scheme}{rest}"),
    }
}

/// Formats a value for an error message.
pub(super) fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    match value {
        Value::Dict(..) => "a table".to_owned(),
        Value::Array(..) => "a list".to_owned(),
        Value::String(_, text) => {
            let text = without_secrets(text);
            match text.chars().count() > LONGEST {
                true => format!("{:?}...", text.chars().take(LONGEST).collect::<String>()),
                false => Json::from(text).to_string(),
            }
        }
        // JSON has no infinity, so a float is not converted to JSON.
        Value::Num(_, number) if number.to_f64().is_some() => {
            number.to_f64().map_or_else(String::new, |float| format!("{float:?}"))
        }
        other => serde_json::to_value(other).map_or_else(|_| "that".to_owned(), |json| json.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_an_error_is_shown_without_secrets() {
        for (text, told) in [
            ("https://user:s3cret@h:9000/x", "https://…@h:9000/x"),
            ("https://user:s3/c@ret@h", "https://…@h"),
            ("https://token@h", "https://…@h"),
            ("user:s3cret@h", "…@h"),
            ("https://h/?token=s3cret", "https://h/?…"),
            ("https://h/#s3cret", "https://h/#…"),
            ("bob@example.org", "bob@example.org"),
            ("what?", "what?"),
        ] {
            assert_eq!(without_secrets(text), told);
            assert_eq!(shown(&Value::from(text)), format!("\"{told}\""));
        }
    }
}
