//! The layers below the files. The lowest layers contain the defaults that depend on the machine or on other keys, and
//! the entries that exist by default in tables whose names the operator chooses. Above these layers are the variables
//! of AWS and of Algorithmia's clients. Other defaults are in the schema, or are computed by the functions of the
//! sections.

use figment::value::{Dict, Value};

use super::algorithmia;
use super::facades::ALGORITHMS;
use super::kinds::{Shown, Size};
use super::layer::{Layer, parse_table, parse_value};
use super::limits::LimitsConfig;
use super::quota::SHIPPED;
use super::reader::find;
use super::source::{ConfigSource, PROVIDERS};
use super::store;
use super::values::{size, whole};

/// Returns these layers, and warnings about variables that are ignored. `set` is the configuration that is merged from
/// all higher layers.
pub(super) fn layers(source: &ConfigSource, set: &Dict) -> (Vec<Layer>, Vec<String>) {
    let (mut layers, mut warnings) = (defaults(source, set), Vec::new());
    layers.extend(aws(source, set));
    for (name, provider) in providers_of(set, "algorithmia") {
        let mut add = |variable: &str, key: &str, value: Value| {
            if provider.find_ref(key).is_none() {
                layers.push(Layer::env(variable, &[PROVIDERS, name, key], value));
            }
        };
        match algorithmia::address_of_clients(source) {
            Some(Ok(address)) => add(algorithmia::ADDRESS_VARIABLE, "base_url", Value::from(address)),
            Some(Err(warning)) if provider.find_ref("base_url").is_none() => warnings.push(warning),
            Some(Err(_)) | None => {}
        }
        let key = algorithmia::KEY_VARIABLES.into_iter().find(|name| source.var(name).is_some());
        if let Some(variable) = key {
            add(variable, "api_key", named_secret(variable));
        }
    }
    (layers, warnings)
}

/// Returns the layers of AWS's own variables; none if no bucket is configured.
fn aws(source: &ConfigSource, set: &Dict) -> Vec<Layer> {
    let mut layers = Vec::new();
    if find(set, &["cache", "store"]).is_none() {
        return layers;
    }
    let mut add = |key: &str, variables: &[&'static str], value: fn(&str, &str) -> Value| {
        let variable = variables.iter().find_map(|name| Some((*name, source.var(name)?)));
        let path = ["cache", "s3", key];
        if let Some((name, text)) = variable.filter(|_| find(set, &path).is_none()) {
            layers.push(Layer::env(name, &path, value(name, text)));
        }
    };
    add("endpoint", &store::ENDPOINT_VARIABLES, |_, text| Value::from(text));
    add("region", &store::REGION_VARIABLES, |_, text| Value::from(text));
    if find(set, &["cache", "s3", "credentials"]).and_then(Value::as_str) != Some("role") {
        let [id, secret, token] = store::KEY_VARIABLES;
        let named: fn(&str, &str) -> Value = |name, _| named_secret(name);
        add("access_key_id", &[id], named);
        add("secret_access_key", &[secret], named);
        // A session token belongs to its access key, so both must come from the same source.
        if find(set, &["cache", "s3", "access_key_id"]).is_none() {
            add("session_token", &[token], named);
        }
    }
    layers
}

/// A secret in an environment variable.
fn named_secret(variable: &str) -> Value {
    Value::from(Dict::from([("env".to_owned(), Value::from(variable))]))
}

fn defaults(source: &ConfigSource, set: &Dict) -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut add = |path: &[&str], value: Option<Value>| {
        let value = value.filter(|_| find(set, path).is_none());
        layers.extend(value.map(|value| Layer::default(path, value)));
    };
    let path = |path: std::path::PathBuf| Value::from(path.to_string_lossy().into_owned());
    add(&["state_dir"], Some(path(source.state_dir().0)));
    add(&["cache", "dir"], source.cache_dir().map(path));
    // The largest allowed photo and upload must fit into these two limits, so their defaults rise with `limits.pixels`
    // and `limits.upload_bytes`.
    let usual = LimitsConfig::default();
    let largest = |key: &str, read: fn(&Value) -> Option<u64>| find(set, &["limits", key]).and_then(read);
    let pixels = largest("pixels", |value| whole(value)?.try_into().ok());
    let pixels = pixels.filter(|more| *more > usual.decoding_pixels);
    add(&["limits", "decoding_pixels"], pixels.map(Value::from));
    let bytes = largest("upload_bytes", size);
    let bytes = bytes.filter(|more| *more > usual.upload_memory).map(|bytes| Size::shown(&bytes));
    add(&["limits", "upload_memory"], bytes.and_then(|bytes| Value::serialize(bytes).ok()));
    for (algorithm, serves) in ALGORITHMS {
        add(&["facades", "algorithmia", "algorithms", algorithm], Some(Value::from(serves)));
    }
    limits(set, &mut add);
    for (name, _) in providers_of(set, "algorithmia") {
        for (key, value) in parse_table(algorithmia::PRICE) {
            add(&[PROVIDERS, name, "price", &key], Some(value));
        }
    }
    layers
}

/// Adds the default rate limits. A rate limit of an API key takes missing `of`, `rate` and `per` from the general limit
/// of the same name.
fn limits(set: &Dict, add: &mut impl FnMut(&[&str], Option<Value>)) {
    for (name, of, by, rate) in SHIPPED {
        let path = ["quota", "limits", name];
        let own = find(set, &[&path[..], &["of"]].concat()).and_then(Value::as_str);
        add(&[&path[..], &["of"]].concat(), Some(Value::from(of)));
        add(&[&path[..], &["by"]].concat(), Some(Value::from(by)));
        if own.is_none_or(|own| own == of) {
            add(&[&path[..], &["rate"]].concat(), Some(parse_value(rate)));
        }
    }
    let keys = set.get("keys").and_then(Value::as_dict).into_iter().flatten();
    for (key, table) in keys {
        let names = table.find_ref("limits").and_then(Value::as_dict).into_iter().flat_map(Dict::keys);
        for name in names {
            let shipped = SHIPPED.iter().find(|(shipped, ..)| shipped == name);
            let part = |key: &str| find(set, &["quota", "limits", name, key]).cloned();
            let path = ["keys", key, "limits", name];
            let at = |key: &'static str| [&path[..], &[key]].concat();
            let of = part("of").or_else(|| Some(Value::from(shipped?.1)));
            let own = find(set, &at("of"));
            // A rate is an amount in the unit `of`, so it is not taken over if `of` differs.
            if own.is_none_or(|own| Some(own.as_str()) == of.as_ref().map(Value::as_str)) {
                add(&at("rate"), part("rate").or_else(|| Some(parse_value(shipped?.3))));
            }
            add(&at("of"), of);
            add(&at("per"), part("per"));
        }
    }
}

fn providers_of<'s>(set: &'s Dict, kind: &'s str) -> impl Iterator<Item = (&'s str, &'s Value)> {
    let providers = set.get(PROVIDERS).and_then(Value::as_dict).into_iter().flatten();
    let of_kind = move |provider: &Value| provider.find_ref("kind").and_then(Value::as_str) == Some(kind);
    providers.filter(move |(_, provider)| of_kind(provider)).map(|(name, provider)| (name.as_str(), provider))
}
