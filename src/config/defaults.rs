//! The layers below the configuration. The lowest one contains the defaults that depend on the machine or on other
//! keys, and the entries that exist by default in tables whose names the operator chooses; all other defaults are in
//! the schema. Above it are the variables of AWS and of Algorithmia's clients.

use figment::value::{Dict, Value};

use super::algorithmia;
use super::facades::ALGORITHMS;
use super::kinds::Size;
use super::layer::{Layer, env_value, toml};
use super::limits::LimitsConfig;
use super::quota::SHIPPED;
use super::source::{ConfigSource, PROVIDERS};
use super::store;
use super::values::{size, whole};

/// Creates these layers. `set` is the merged configuration above them. Warnings are added to `warnings`.
pub(super) fn layers(source: &ConfigSource, set: &Dict, warnings: &mut Vec<String>) -> Vec<Layer> {
    let mut layers = vec![defaults(source, set)];
    layers.extend(aws(source, set));
    for (name, provider) in providers_of(set, "algorithmia") {
        let mut add = |variable: &str, key: &str, value: Value| {
            if provider.find_ref(key).is_none() {
                layers.push(Layer::env(variable, &[PROVIDERS, name, key].map(str::to_owned), value));
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
    layers
}

/// AWS's own variables, if a bucket is configured.
fn aws(source: &ConfigSource, set: &Dict) -> Vec<Layer> {
    let mut layers = Vec::new();
    if find(set, &["cache", "store"]).is_none() {
        return layers;
    }
    let mut add = |key: &str, variables: &[&'static str], value: fn(&str, &str) -> Value| {
        let variable = variables.iter().find_map(|name| Some((*name, source.var(name)?)));
        if let Some((name, text)) = variable.filter(|_| find(set, &["cache", "s3", key]).is_none()) {
            let path = ["cache", "s3", key].map(str::to_owned);
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

fn defaults(source: &ConfigSource, set: &Dict) -> Layer {
    let mut data = Dict::new();
    let mut add = |path: &[&str], value: Option<Value>| {
        if let Some(value) = value.filter(|_| find(set, path).is_none()) {
            insert(&mut data, path, value);
        }
    };
    let path = |path: std::path::PathBuf| Value::from(path.to_string_lossy().into_owned());
    add(&["state_dir"], Some(path(source.state_dir().0)));
    add(&["cache", "dir"], source.cache_dir().map(path));
    // The largest allowed upload must fit into these two limits, so their defaults grow with it.
    let usual = LimitsConfig::default();
    let largest = |key: &str, read: fn(&Value) -> Option<u64>| find(set, &["limits", key]).and_then(read);
    let pixels = largest("pixels", |value| whole(value)?.try_into().ok());
    let pixels = pixels.filter(|more| *more > usual.decoding_pixels);
    add(&["limits", "decoding_pixels"], pixels.map(Value::from));
    let bytes = largest("upload_bytes", size);
    let bytes = bytes.filter(|more| *more > usual.upload_memory).map(Size::shown);
    add(&["limits", "upload_memory"], bytes.and_then(|bytes| Value::serialize(bytes).ok()));
    for (algorithm, serves) in ALGORITHMS {
        add(&["facades", "algorithmia", "algorithms", algorithm], Some(Value::from(serves)));
    }
    limits(set, &mut add);
    for (name, _) in providers_of(set, "algorithmia") {
        for (key, value) in toml(algorithmia::PRICE) {
            add(&[PROVIDERS, name, "price", &key], Some(value));
        }
    }
    Layer::defaults(data)
}

/// The default rate limits. A rate limit of an API key takes missing `of`, `rate` and `per` from the general limit of
/// the same name.
fn limits(set: &Dict, add: &mut impl FnMut(&[&str], Option<Value>)) {
    for (name, of, by, rate) in SHIPPED {
        let path = ["quota", "limits", name];
        let own = find(set, &[&path[..], &["of"]].concat()).and_then(Value::as_str);
        add(&[&path[..], &["of"]].concat(), Some(Value::from(of)));
        add(&[&path[..], &["by"]].concat(), Some(Value::from(by)));
        if own.is_none_or(|own| own == of) {
            add(&[&path[..], &["rate"]].concat(), Some(env_value(rate)));
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
            // A rate is an amount of what the limit counts.
            if own.is_none_or(|own| Some(own.as_str()) == of.as_ref().map(Value::as_str)) {
                add(&at("rate"), part("rate").or_else(|| Some(env_value(shipped?.3))));
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

/// The value at a path.
fn find<'d>(dict: &'d Dict, path: &[&str]) -> Option<&'d Value> {
    let (last, tables) = path.split_last()?;
    let table = tables.iter().try_fold(dict, |dict, key| dict.get(*key)?.as_dict())?;
    table.get(*last)
}

fn insert(dict: &mut Dict, path: &[&str], value: Value) {
    match path {
        [] => {}
        [key] => {
            dict.insert((*key).to_owned(), value);
        }
        [key, rest @ ..] => {
            let table = dict.entry((*key).to_owned()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, table) = table {
                insert(table, rest, value);
            }
        }
    }
}
