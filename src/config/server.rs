//! Rocket's own settings: address, port, shutdown and the like, as in any Rocket application.
//!
//! Layers, the lowest first: Rocket's defaults, the `Rocket.toml` inside the program, the one beside the
//! configuration folder, `ROCKET_` variables. Rocket ignores a key that it does not know and a file that
//! is not there; here both are errors, because a misspelt `address` must not go unnoticed. What would let a
//! client choose its own address, and what this build cannot do, is refused.

use std::path::{Path, PathBuf};

use figment::providers::Serialized;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::layer::Layer;
use super::problem::{ConfigError, Origin, Problem, nearest};
use super::source::{Source, disk_layer};

const FILE: &str = "Rocket.toml";
const PREFIX: &str = "ROCKET_";
static BUILT_IN: &str = include_str!("../../Rocket.toml");

/// Keys that Rocket knows but that must not be set, and why.
const REFUSED: &[(&str, &str)] = &[
    ("ip_header", "a client could choose its own address; `trusted_proxies` in pixcolor.toml is the way"),
    ("tls", "this program does not speak TLS; put a reverse proxy in front"),
    ("secret_key", "this program has no private cookies"),
];

const SHUTDOWN_KEYS: &[&str] = &["ctrlc", "signals", "grace", "mercy", "force"];
const PROFILES: &[&str] = &["default", "debug", "release", "global"];

/// Rocket's settings, for `rocket::custom`. They are valid: Rocket can extract its `Config` from them.
pub fn server_figment(source: &Source) -> Result<Figment, ConfigError> {
    let mut layers = Vec::new();
    let built_in = Layer::file(Path::new(FILE), true, BUILT_IN.to_owned(), &[]);
    layers.push(built_in.map_err(|problem| ConfigError::one(problem.origin, problem.message))?);
    if let Some((path, required)) = file(source)? {
        match disk_layer(&path, &[]) {
            Ok(Some(layer)) => layers.push(layer),
            Ok(None) if required => {
                let message = format!("there is no file {}", path.display());
                return Err(ConfigError::one(Origin::Env("ROCKET_CONFIG".to_owned()), message));
            }
            Ok(None) => {}
            Err(problem) => return Err(ConfigError::one(problem.origin, problem.message)),
        }
    }
    ConfigError::check(layers.iter().flat_map(file_problems).collect())?;

    let profile = source.var("ROCKET_PROFILE").map_or(rocket::Config::DEFAULT_PROFILE, Profile::new);
    let variables = env_layers(source);
    let figment = layers
        .iter()
        .fold(Figment::from(rocket::Config::default()), |figment, layer| figment.merge(Nested(layer)));
    let figment = variables.iter().fold(figment, |figment, layer| figment.merge(Global(layer)));
    let figment = figment.merge(Serialized::global("ip_header", false)).select(profile);
    layers.extend(variables);
    match rocket::Config::try_from(&figment) {
        Ok(_) => Ok(figment),
        Err(error) => Err(wrong_values(error, &layers)),
    }
}

/// The file beside the configuration folder, or the one that `ROCKET_CONFIG` names, which must be there.
fn file(source: &Source) -> Result<Option<(PathBuf, bool)>, ConfigError> {
    if let Some(path) = source.var("ROCKET_CONFIG") {
        return Ok(Some((source.resolve(path), true)));
    }
    let beside = |dir: PathBuf| match (dir.file_name(), dir.parent()) {
        (Some(_), Some(parent)) => parent.join(FILE),
        // The folder is written as `.` or ends in `..`.
        _ => dir.join("..").join(FILE),
    };
    Ok(source.folder()?.map(|dir| (beside(dir), false)))
}

fn env_layers(source: &Source) -> Vec<Layer> {
    let set = source.env.iter().filter_map(|(name, text)| {
        let key = name.strip_prefix(PREFIX)?.to_lowercase();
        // Rocket's own way to read a variable, which never fails.
        let value = text.parse::<Value>().ok()?;
        (!matches!(key.as_str(), "profile" | "config")).then(|| Layer::env(name, &[key], value))
    });
    set.collect()
}

/// A file whose tables are profiles.
struct Nested<'l>(&'l Layer);

impl Provider for Nested<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0.name())
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        let profiles = self.0.data.iter();
        Ok(profiles
            .filter_map(|(name, value)| Some((Profile::new(name), value.as_dict()?.clone())))
            .collect())
    }
}

/// A variable, which counts in every profile.
struct Global<'l>(&'l Layer);

impl Provider for Global<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0.name())
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Global, self.0.data.clone())]))
    }
}

/// What Rocket would not notice in a file.
fn file_problems(layer: &Layer) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut note = |path: &[&str], message: String| {
        let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
        problems.push(Problem { origin: layer.origin(&path), message });
    };
    let known: Vec<&str> = rocket::Config::PARAMETERS
        .iter()
        .copied()
        .filter(|key| REFUSED.iter().all(|(refused, _)| refused != key))
        .collect();
    for (profile, value) in &layer.data {
        let Some(settings) = value.as_dict() else {
            note(&[profile], format!("`{profile}` stands outside of a profile: put it under `[default]`"));
            continue;
        };
        let near = nearest(profile, PROFILES.iter().copied());
        if let Some(meant) = near.filter(|meant| meant != profile) {
            note(&[profile], format!("unknown profile `{profile}`: did you mean `{meant}`?"));
        }
        for (key, value) in settings {
            if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| refused == key) {
                // Off is what it is anyway.
                if value.to_bool() != Some(false) {
                    note(&[profile, key], format!("`{key}` cannot be set: {why}"));
                }
            } else if !known.contains(&key.as_str()) {
                note(&[profile, key], unknown(key, &known));
            }
        }
        for key in settings.get("shutdown").and_then(Value::as_dict).into_iter().flat_map(Dict::keys) {
            if !SHUTDOWN_KEYS.contains(&key.as_str()) {
                note(&[profile, "shutdown", key], unknown(key, SHUTDOWN_KEYS));
            }
        }
    }
    problems
}

fn unknown(key: &str, known: &[&str]) -> String {
    match nearest(key, known.iter().copied()) {
        Some(meant) => format!("unknown key `{key}`: did you mean `{meant}`?"),
        None => format!("unknown key `{key}`: the keys here are {}", known.join(", ")),
    }
}

/// Rocket's complaints about values, with the file and line or the variable of each.
fn wrong_values(error: figment::Error, layers: &[Layer]) -> ConfigError {
    let problems = error.into_iter().map(|error| {
        let key = error.path.join(".");
        let layer = error
            .metadata
            .as_ref()
            .and_then(|metadata| layers.iter().find(|layer| layer.name() == *metadata.name));
        let profile = error.profile.as_ref().map_or("default", |profile| profile.as_str().as_str());
        let path: Vec<String> = std::iter::once(profile.to_owned()).chain(error.path).collect();
        let origin = layer.map_or(Origin::Default, |layer| layer.origin(&path));
        Problem { origin, message: format!("`{key}`: {}", error.kind) }
    });
    match ConfigError::check(problems.collect()) {
        Err(error) => error,
        Ok(()) => ConfigError::one(Origin::Default, "Rocket refused its settings without saying why"),
    }
}
