use std::collections::BTreeSet;
use std::path::Path;

use super::Setup;
use crate::config::{ConfigSource, KindConfig, ValueOrigin, load};

pub(super) const MAIN: &str = include_str!("../../../config/pixcolor.toml");

/// Keys that have no default, or one that depends on the machine: the file shows an example.
const EXAMPLES: [&str; 22] = [
    "state_dir",
    "cache.dir",
    "cache.store",
    "endpoint",
    "region",
    "access_key_id",
    "secret_access_key",
    "session_token",
    "admin.token",
    "shared.redis",
    "shared.password",
    "metrics.address",
    "metrics.token",
    "assets.templates",
    "assets.static",
    "model",
    "recipe",
    "price.worth",
    "price.currency",
    "base_url",
    "api_key",
    "first_byte_timeout",
];

pub(super) fn shipped(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// A file in which every key that was commented out is active.
pub(super) fn uncommented(text: &str) -> String {
    text.lines()
        .map(|line| line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase())))
        .zip(text.lines())
        .map(|(shown, line)| format!("{}\n", shown.unwrap_or(line)))
        .collect()
}

/// The shipped files with every key active that is commented out in them.
fn all_keys_active() -> Setup {
    Setup::new()
        .main(&uncommented(MAIN))
        .file("config/providers/local.toml", uncommented(&shipped("config/providers/local.toml")))
        .file("config/providers/algorithmia.toml", uncommented(&shipped("config/providers/algorithmia.toml")))
        .env("AWS_ACCESS_KEY_ID", "me")
        .env("AWS_SECRET_ACCESS_KEY", "mine")
        .env("AWS_SESSION_TOKEN", "for now")
        .file("templates/a", "")
        .file("static/a", "")
        .file("models/my-model.onnx", "")
        .file("models/my-model.toml", "")
}

#[test]
fn every_key_shown_in_a_file_is_a_key_with_its_true_default() {
    let (shown, plain) = (all_keys_active().load(), load(&ConfigSource::default()).unwrap());
    let values = |loaded: &crate::config::Loaded| {
        let keys: Vec<_> = loaded.to_json()["keys"].as_array().unwrap().clone();
        let example = |key: &str| {
            EXAMPLES.iter().any(|example| key == *example || key.ends_with(&format!(".{example}")))
        };
        keys.into_iter()
            .filter(|key| !example(key["key"].as_str().unwrap()))
            .map(|key| key["key"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(values(&shown), values(&plain));
    assert_eq!(format!("{:?}", shown.config.limits), format!("{:?}", plain.config.limits));
    assert_eq!(format!("{:?}", shown.config.output), format!("{:?}", plain.config.output));
    assert_eq!(format!("{:?}", shown.config.clients), format!("{:?}", plain.config.clients));
    assert_eq!(shown.config.quota, plain.config.quota);
    let store = shown.config.cache.store.as_ref().unwrap().to_string();
    assert_eq!(store, "s3://photos/pixcolor");
    let without_places = |loaded: &crate::config::Loaded| {
        let cache = loaded.config.cache.clone();
        format!("{:?}", (cache.enabled, cache.memory, cache.max_bytes, cache.ttl, cache.share))
    };
    assert_eq!(without_places(&shown), without_places(&plain));
    assert_eq!(shown.config.route, plain.config.route);
    let without_paths = |loaded: &crate::config::Loaded| {
        let local = &loaded.config.providers["local"];
        let (KindConfig::Onnx(mut onnx), KindConfig::Algorithmia(mut algorithmia)) =
            (local.kind.clone(), loaded.config.providers["algorithmia"].kind.clone())
        else {
            panic!("of other kinds")
        };
        (onnx.model, onnx.recipe) = (None, None);
        (algorithmia.base_url, algorithmia.remote.first_byte_timeout) = (None, None);
        (local.common, onnx, format!("{algorithmia:?}"))
    };
    assert_eq!(without_paths(&shown), without_paths(&plain));
}

/// Whether a key belongs to a provider of kind `http`. docs/providers.md shows these keys, and `http.rs` tests them.
fn described(key: &str, loaded: &crate::config::Loaded) -> bool {
    let name = key.strip_prefix("providers.").and_then(|rest| rest.split('.').next());
    let kind = name.and_then(|name| loaded.config.providers.get(name)).map(|provider| &provider.kind);
    matches!(kind, Some(KindConfig::Http(_)))
}

#[test]
fn every_key_is_shown_in_a_file() {
    let setup = all_keys_active();
    let loaded = setup.load();
    let hidden: Vec<&str> = loaded
        .entries
        .iter()
        .filter(|entry| !matches!(entry.origin, ValueOrigin::File { .. }) && !described(&entry.key, &loaded))
        .map(|entry| entry.key.as_str())
        .collect();
    assert_eq!(hidden, Vec::<&str>::new());
}

#[test]
fn the_shipped_files_equal_the_built_in_configuration() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let from_disk = load(&ConfigSource { dir: Some(folder.clone()), ..ConfigSource::default() }).unwrap();
    let built_in = load(&ConfigSource::default()).unwrap();
    assert_eq!(format!("{:?}", from_disk.config), format!("{:?}", built_in.config));
    assert_eq!(from_disk.warnings, built_in.warnings);
    let names = |origin: &dyn Fn(&str) -> bool| -> BTreeSet<String> {
        std::fs::read_dir(folder.join("providers"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| origin(name))
            .collect()
    };
    let on_disk = names(&|name| name.ends_with(".toml"));
    let inside: BTreeSet<String> =
        built_in.config.providers.keys().map(|name| format!("{name}.toml")).collect();
    assert_eq!(on_disk, inside, "a file was added: build again");
}
