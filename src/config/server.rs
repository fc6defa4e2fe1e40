//! Reads Rocket's own settings: address, port, shutdown and others, as in any Rocket application.
//!
//! Layers, lowest priority first: Rocket's defaults, the built-in `Rocket.toml`, the `Rocket.toml` next to the
//! configuration folder, `ROCKET_` variables. Rocket ignores unknown keys and missing files. Here an unknown key in a
//! file is an error, because a misspelt `address` must not go unnoticed, and so is a missing file that `ROCKET_CONFIG`
//! names. Settings in a file that would let a client choose its own address, or that this build does not support, are
//! errors too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::providers::Serialized;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde_json::Value as Json;

use super::layer::{Layer, parse_value};
use super::problem::{ConfigError, ConfigProblem, ValueOrigin, dotted};
use super::report::{ReportedValues, to_toml};
use super::server_keys::{SHUTDOWN_KEYS, WORDS, file_problems, known_keys};
use super::source::{ConfigSource, disk_layer};

const FILE: &str = "Rocket.toml";
const PREFIX: &str = "ROCKET_";
/// The variable that names another file than `Rocket.toml`, as in any Rocket application.
const FILE_VARIABLE: &str = "ROCKET_CONFIG";
static BUILT_IN: &str = include_str!("../../Rocket.toml");

/// Rocket's settings for `rocket::custom`. They are validated: Rocket can extract its `Config` from them.
pub fn server_figment(source: &ConfigSource) -> Result<Figment, ConfigError> {
    Server::read(source).map(|server| server.figment)
}

/// Rocket's configurable settings with value and source, one per line.
pub fn server_report(source: &ConfigSource) -> Result<String, ConfigError> {
    Ok(lines(Server::read(source)?.entries()))
}

/// The same report, limited to settings that a file or a variable changes from their defaults.
pub(super) fn server_report_of_changes(source: &ConfigSource) -> Result<String, ConfigError> {
    let defaults = server_values(&ConfigSource::default())?;
    let mut entries = Server::read(source)?.entries();
    entries.retain(|(key, value, origin)| origin.is_the_operators() && defaults.get(key) != Some(value));
    Ok(lines(entries))
}

fn lines(entries: Vec<(String, Json, ValueOrigin)>) -> String {
    entries.iter().map(|(key, value, origin)| format!("{key} = {value}  # {origin}\n")).collect()
}

/// The values of Rocket's settings. A change of any of them takes effect only after a restart.
pub fn server_values(source: &ConfigSource) -> Result<ReportedValues, ConfigError> {
    let entries = Server::read(source)?.entries().into_iter();
    Ok(entries.map(|(key, value, _)| (key, value)).collect())
}

/// The file on disk with Rocket's settings, if there is one.
pub fn server_file(source: &ConfigSource) -> Result<Option<PathBuf>, ConfigError> {
    let layers = file_layers(source)?;
    Ok(layers.iter().find_map(Layer::on_disk).map(PathBuf::from))
}

/// The phases of a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopTimes {
    /// From the signal until the server accepts no new connections.
    pub delay: Duration,
    /// How long running requests may take after that.
    pub grace: Duration,
    /// How long sending the remaining responses may take after that.
    pub mercy: Duration,
}

pub fn stop_times(figment: &Figment) -> StopTimes {
    let seconds = |key: &str| {
        let seconds = figment.extract_inner::<u32>(&format!("shutdown.{key}"));
        // The settings are already validated.
        Duration::from_secs(seconds.unwrap_or_default().into())
    };
    StopTimes { delay: seconds("delay"), grace: seconds("grace"), mercy: seconds("mercy") }
}

/// The reference's entries: key, description, default.
pub(super) fn server_words() -> Result<Vec<(&'static str, &'static str, String)>, ConfigError> {
    let figment = Server::read(&ConfigSource::default())?.figment;
    let default = |key: &str| {
        let value = figment.find_value(key).ok().and_then(|value| serde_json::to_value(value).ok());
        value.map_or_else(|| "not set".to_owned(), |value| format!("`{}`", to_toml(&value)))
    };
    let row = |(key, about, fixed): &(&'static str, &'static str, Option<&str>)| {
        (*key, *about, fixed.map_or_else(|| default(key), str::to_owned))
    };
    Ok(WORDS.iter().map(row).collect())
}

struct Server {
    figment: Figment,
    layers: Vec<Layer>,
}

impl Server {
    fn read(source: &ConfigSource) -> Result<Self, ConfigError> {
        let profile = source.var("ROCKET_PROFILE").map_or(rocket::Config::DEFAULT_PROFILE, Profile::new);
        let mut layers = file_layers(source)?;
        ConfigError::check(layers.iter().flat_map(|layer| file_problems(layer, &profile)).collect())?;

        let figment = Figment::from(rocket::Config::default());
        let figment = layers.iter().fold(figment, |figment, layer| figment.merge(Nested(layer)));
        let variables = env_layers(source);
        let figment = variables.iter().fold(figment, |figment, layer| figment.merge(Global(layer)));
        let figment = figment
            .merge(Serialized::global("ip_header", false))
            .merge(Serialized::global("shutdown.ctrlc", false))
            .merge(Serialized::global("shutdown.signals", Vec::<String>::new()))
            .select(profile);
        layers.extend(variables);

        let server = Self { figment, layers };
        ConfigError::check(server.wrong_values()).map(|()| server)
    }

    /// Collects Rocket's own errors about values, and errors in values that Rocket does not check: no threads, with
    /// which Rocket panics, and `shutdown.delay`, which Rocket does not know.
    fn wrong_values(&self) -> Vec<ConfigProblem> {
        let config = match rocket::Config::try_from(&self.figment) {
            Ok(config) => config,
            Err(error) => {
                let problems = error.into_iter().map(|error| {
                    let message = format!("`{}`: {}", error.path.join("."), error.kind);
                    let name = error.metadata.as_ref().map(|metadata| &*metadata.name);
                    ConfigProblem { origin: self.origin(name, error.profile.as_ref(), &error.path), message }
                });
                return problems.collect();
            }
        };
        let threads = [("workers", config.workers), ("max_blocking", config.max_blocking)];
        let none = threads.iter().filter(|(_, count)| *count == 0).map(|(key, _)| ConfigProblem {
            origin: self.figment.find_value(key).map_or(ValueOrigin::Default, |value| {
                let name = self.figment.get_metadata(value.tag()).map(|metadata| &*metadata.name);
                self.origin(name, value.tag().profile().as_ref(), &[(*key).to_owned()])
            }),
            message: format!("`{key}` must be 1 or more"),
        });
        let delay = self.figment.extract_inner::<u32>("shutdown.delay").err();
        let delay = delay.into_iter().flatten().map(|error| {
            let path = ["shutdown".to_owned(), "delay".to_owned()];
            let name = error.metadata.as_ref().map(|metadata| &*metadata.name);
            let origin = self.origin(name, error.profile.as_ref(), &path);
            ConfigProblem { origin, message: format!("`{}`: {}", path.join("."), error.kind) }
        });
        none.chain(delay).collect()
    }

    /// The source of a key in the named layer, in the given profile or else the selected one.
    fn origin(&self, layer: Option<&str>, profile: Option<&Profile>, path: &[String]) -> ValueOrigin {
        let layer = self.layers.iter().find(|candidate| Some(candidate.name().as_str()) == layer);
        let profile = profile.unwrap_or(self.figment.profile()).as_str().to_string();
        let path = [&[profile], path].concat();
        layer.map_or(ValueOrigin::Default, |layer| layer.origin(&path))
    }

    /// Each setting with its value and source.
    fn entries(&self) -> Vec<(String, Json, ValueOrigin)> {
        let mut entries = Vec::new();
        for key in known_keys() {
            if let Ok(value) = self.figment.find_value(key) {
                self.note(&mut vec![key.to_owned()], &value, &mut entries);
            }
        }
        entries
    }

    fn note(&self, path: &mut Vec<String>, value: &Value, entries: &mut Vec<(String, Json, ValueOrigin)>) {
        if let Some(table) = value.as_dict() {
            let shutdown = path.len() == 1 && path[0] == "shutdown";
            // Rocket's other settings of this table cannot be configured.
            for (key, value) in
                table.iter().filter(|(key, _)| !shutdown || SHUTDOWN_KEYS.contains(&key.as_str()))
            {
                path.push(key.clone());
                self.note(path, value, entries);
                path.pop();
            }
            return;
        }
        let name = self.figment.get_metadata(value.tag()).map(|metadata| &*metadata.name);
        let origin = self.origin(name, value.tag().profile().as_ref(), path);
        let value = serde_json::to_value(value).unwrap_or_default();
        entries.push((format!("server.{}", dotted(path)), value, origin));
    }
}

/// The built-in file, and the file on disk if there is one.
fn file_layers(source: &ConfigSource) -> Result<Vec<Layer>, ConfigError> {
    let alone = |problem: ConfigProblem| ConfigError::one(problem.origin, problem.message);
    let mut layers = vec![Layer::file(Path::new(FILE), true, BUILT_IN.to_owned(), &[]).map_err(alone)?];
    if let Some((path, required)) = file(source)? {
        let layer = disk_layer(&path, &[]).map_err(alone)?;
        if required && layer.is_none() {
            let message = format!("there is no file {}", path.display());
            return Err(ConfigError::one(ValueOrigin::Env(FILE_VARIABLE.to_owned()), message));
        }
        layers.extend(layer);
    }
    Ok(layers)
}

/// The file next to the configuration folder, or the file that `ROCKET_CONFIG` names; and whether the file must exist.
fn file(source: &ConfigSource) -> Result<Option<(PathBuf, bool)>, ConfigError> {
    if let Some(path) = source.var(FILE_VARIABLE) {
        return Ok(Some((source.resolve(path), true)));
    }
    let beside = |dir: PathBuf| match (dir.file_name(), dir.parent()) {
        (Some(_), Some(parent)) => parent.join(FILE),
        // The folder's path is `.` or ends in `..`.
        _ => dir.join("..").join(FILE),
    };
    Ok(source.folder()?.map(|dir| (beside(dir), false)))
}

fn env_layers(source: &ConfigSource) -> Vec<Layer> {
    let set = source.env.iter().filter_map(|(name, text)| {
        let key = name.strip_prefix(PREFIX)?.to_lowercase();
        // `parse_value` is used because figment's own parser panics at an escape after a non-ASCII letter.
        (!matches!(key.as_str(), "profile" | "config")).then(|| Layer::env(name, &[key], parse_value(text)))
    });
    set.collect()
}

/// A file whose top-level tables are profiles.
struct Nested<'l>(&'l Layer);

impl Provider for Nested<'_> {
    fn metadata(&self) -> Metadata {
        // Rocket resolves relative paths against the folder of this file.
        let named = Metadata::named(self.0.name());
        match self.0.path() {
            Some(path) => named.source(path),
            None => named,
        }
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        let profiles = self.0.data.iter();
        Ok(profiles
            .filter_map(|(name, value)| Some((Profile::new(name), value.as_dict()?.clone())))
            .collect())
    }
}

/// A variable, which applies to every profile.
struct Global<'l>(&'l Layer);

impl Provider for Global<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0.name())
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Global, self.0.data.clone())]))
    }
}
