//! Environment variables as layers: `PIXCOLOR_A__B` sets the key `a.b`, and its value is TOML or text.
//!
//! An unknown variable causes a warning and not an error, because for a Service named `pixcolor` Kubernetes sets
//! `PIXCOLOR_PORT` and others in every container of the namespace.

use figment::value::Dict;

use super::layer::{Layer, parse_value};
use super::source::{ConfigSource, FOLDER_VARIABLE, PROVIDERS};

/// The prefix of the program's variables.
pub(super) const PREFIX: &str = "PIXCOLOR_";

pub(super) struct Env {
    pub(super) layers: Vec<Layer>,
    /// Variables with the prefix that cannot set a key.
    pub(super) ignored: Vec<String>,
}

/// Converts the environment to layers. An underscore may stand for a hyphen in a key of `files`, the
/// merged files.
pub(super) fn env_layers(source: &ConfigSource, files: &Dict) -> Env {
    let mut env = Env { layers: Vec::new(), ignored: Vec::new() };
    let named: Vec<(&str, Vec<String>, &str)> = source
        .env
        .iter()
        .filter(|(name, text)| *name != FOLDER_VARIABLE && !text.is_empty())
        .filter_map(|(name, text)| {
            Some((name.as_str(), path(name.strip_prefix(PREFIX)?, files), text.as_str()))
        })
        .collect();
    for (name, path, text) in &named {
        if path.iter().any(String::is_empty) || of_no_provider(path, files, &named) {
            env.ignored.push((*name).to_owned());
        } else {
            env.layers.push(Layer::env(name, path, parse_value(text)));
        }
    }
    env
}

/// The name of the variable that sets a dotted key.
pub(super) fn variable(key: &str) -> String {
    PREFIX.to_owned() + &key.to_uppercase().replace('.', "__").replace('-', "_")
}

/// The key that a variable sets. Names of variables cannot contain a hyphen, so an underscore also matches a hyphen
/// in a key that exists.
fn path(name: &str, files: &Dict) -> Vec<String> {
    let mut here = Some(files);
    name.to_lowercase()
        .split("__")
        .map(|written| {
            let exact = here.and_then(|dict| dict.get_key_value(written));
            let found = exact.or_else(|| here?.iter().find(|(key, _)| key.replace('-', "_") == written));
            here = found.and_then(|(_, value)| value.as_dict());
            found.map_or(written, |(key, _)| key).to_owned()
        })
        .collect()
}

/// Whether the variable belongs to a provider that no file defines and for which no variable sets `kind`.
fn of_no_provider(path: &[String], files: &Dict, named: &[(&str, Vec<String>, &str)]) -> bool {
    let [all, provider, ..] = path else { return false };
    let in_file = || files.get(all)?.as_dict()?.get(provider);
    let with_kind = || named.iter().any(|(_, path, _)| path.as_slice() == [PROVIDERS, provider, "kind"]);
    all == PROVIDERS && in_file().is_none() && !with_kind()
}

#[cfg(test)]
mod tests {
    use figment::value::{Tag, Value};

    use super::*;

    #[test]
    fn a_name_is_a_path_and_an_underscore_may_stand_for_a_hyphen() {
        let table =
            |key: &str, value: Value| Value::Dict(Tag::Default, Dict::from([(key.to_owned(), value)]));
        let files = Dict::from([(
            PROVIDERS.to_owned(),
            table("deep-ai", table("send_max_pixels", Value::from(1_i64))),
        )]);
        for (name, expected) in [
            ("ROUTE", &["route"][..]),
            ("LIMITS__UPLOAD_BYTES", &["limits", "upload_bytes"]),
            ("PROVIDERS__DEEP_AI__SEND_MAX_PIXELS", &["providers", "deep-ai", "send_max_pixels"]),
            ("PROVIDERS__DEEP_AI__KIND", &["providers", "deep-ai", "kind"]),
            ("PROVIDERS__DEEP_BLUE__KIND", &["providers", "deep_blue", "kind"]),
        ] {
            assert_eq!(path(name, &files), expected, "{name}");
        }
        assert_eq!(variable("providers.deep-ai.kind"), "PIXCOLOR_PROVIDERS__DEEP_AI__KIND");
    }
}
