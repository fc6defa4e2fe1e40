//! API keys and passwords: the configuration says where they are stored, and no output ever shows them.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use figment::value::Value;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

use super::layer::Layer;
use super::problem::ValueOrigin;
use super::reader::Reader;

/// Maximum size of a secret file, in bytes.
const MAX_BYTES: u64 = 64 * 1024;
/// What a secret must be, for error messages.
pub(super) const WANTED: &str = "{ env = \"NAME\" } or { file = \"path\" }";

/// Where a secret is stored, and its value if it was readable when the configuration was loaded. Printing, formatting
/// and serialising show only where it is stored.
#[derive(Clone)]
pub struct Secret {
    keeper: Keeper,
    value: Result<SecretString, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Keeper {
    Env(String),
    File(PathBuf),
}

/// The JSON form in which a secret and its value are passed to [`Secret`]'s `Deserialize`.
#[derive(Serialize, Deserialize)]
struct ReadSecret {
    keeper: Keeper,
    value: Result<String, String>,
}

impl Secret {
    /// A secret in the environment variable `name`, whose value is `text`.
    pub(super) fn from_env(name: &str, text: Option<&str>) -> Self {
        let value = text.ok_or("is not set").and_then(usable);
        let value = value.map_err(|why| format!("environment variable {name} {why}"));
        Self { keeper: Keeper::Env(name.to_owned()), value }
    }

    /// A secret in a file; leading and trailing white space is removed.
    pub(super) fn from_file(path: PathBuf) -> Self {
        let value = read(&path).and_then(|text| usable(&text).map_err(str::to_owned));
        let value = value.map_err(|why| format!("file {} {why}", path.display()));
        Self { keeper: Keeper::File(path), value }
    }

    /// The value, wrapped so that it is not printed by accident (see `secrecy::ExposeSecret`); `None` if there is none.
    pub fn expose(&self) -> Option<&SecretString> {
        self.value.as_ref().ok()
    }

    /// The secret with its value, for its `Deserialize` only.
    pub(super) fn to_json(&self) -> Json {
        let value = self.value.as_ref().map(|value| value.expose_secret().to_owned()).map_err(Clone::clone);
        serde_json::to_value(ReadSecret { keeper: self.keeper.clone(), value }).unwrap_or_default()
    }

    /// Why there is no value, for the operator; `None` if there is a value.
    pub fn why_unset(&self) -> Option<String> {
        self.value.as_ref().err().cloned()
    }
}

impl Reader<'_> {
    /// Converts a value to a secret; an error says what the value must be.
    pub(super) fn secret(&self, value: &Value) -> Result<Secret, &'static str> {
        const FORM: &str = "must be either { env = \"NAME\" } or { file = \"path\" }";
        const LITERAL: &str = "must not be written here: a configuration file is copied, committed and shown. \
                               Write { env = \"NAME\" } or { file = \"path\" }";
        let env = &self.source.env;
        let layer = |value: &Value| self.layer(value);
        let Some(dict) = value.as_dict() else {
            // The variable that sets the key may contain the secret itself instead of the name of another variable.
            let Some(ValueOrigin::Env(name)) = layer(value).map(|layer| layer.origin(&[])) else {
                return Err(LITERAL);
            };
            let text = value.as_str().or_else(|| env.get(&name).map(String::as_str));
            return Ok(Secret::from_env(&name, text));
        };
        // A variable overrides a file, even if one sets `env` and the other sets `file`.
        let (of_variables, of_files): (Vec<_>, Vec<_>) =
            dict.iter().partition(|(_, name)| layer(name).is_some_and(Layer::is_env));
        let keys = if of_variables.is_empty() { of_files } else { of_variables };
        let [(keeper, name)] = keys.as_slice() else { return Err(FORM) };
        match (keeper.as_str(), name.as_str()) {
            ("env", Some(name)) if !name.is_empty() => {
                self.notes.borrow_mut().keepers.insert(name.to_owned());
                Ok(Secret::from_env(name, env.get(name).map(String::as_str)))
            }
            ("file", Some(path)) if !path.is_empty() => {
                let path = self.resolve(name, path);
                if path.to_str().is_none() {
                    return Err("must be a file whose path is UTF-8");
                }
                self.notes.borrow_mut().files.insert(path.clone());
                Ok(Secret::from_file(path))
            }
            _ => Err(FORM),
        }
    }
}

/// Returns an error unless the path is a regular file. Reading a pipe or a device could block forever.
fn regular(path: &Path) -> Result<(), String> {
    let found = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if found.is_file() { Ok(()) } else { Err("cannot be read: it is no regular file".to_owned()) }
}

fn read(path: &PathBuf) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    regular(path)?;
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("is longer than {MAX_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

/// Checks that the secret is one line of text, because it is sent in HTTP headers.
fn usable(text: &str) -> Result<SecretString, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        Err("is empty")
    } else if text.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER) {
        Err("holds line breaks or bytes that are not text")
    } else {
        Ok(SecretString::from(text))
    }
}

/// Prints `(set, from env NAME)` or `(unset: environment variable NAME is not set)`.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.value, &self.keeper) {
            (Err(why), _) => write!(f, "(unset: {why})"),
            (Ok(_), Keeper::Env(name)) => write!(f, "(set, from env {name})"),
            (Ok(_), Keeper::File(path)) => write!(f, "(set, from file {})", path.display()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret{self}")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ReadSecret { keeper, value } = ReadSecret::deserialize(deserializer)?;
        Ok(Self { keeper, value: value.map(SecretString::from) })
    }
}

/// The schema of a secret as it is written: where the secret is stored.
impl JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "format": "secret",
            "additionalProperties": { "type": "string", "minLength": 1 },
            "propertyNames": { "enum": ["env", "file"] },
            "minProperties": 1,
            "maxProperties": 1,
        })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLANTED: &str = "hunter2-planted";

    fn env(value: &str) -> Secret {
        Secret::from_env("KEY", Some(value))
    }

    #[test]
    fn a_secret_is_read_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, format!("  {PLANTED}\n")).unwrap();
        for secret in [env(PLANTED), Secret::from_file(path)] {
            assert_eq!(secret.expose().unwrap().expose_secret(), PLANTED);
            assert_eq!(secret.why_unset(), None);
            let json = serde_json::to_string(&secret).unwrap();
            for shown in [secret.to_string(), format!("{secret:?}"), format!("{secret:#?}"), json] {
                assert!(shown.contains("(set, from "), "{shown}");
                assert!(!shown.contains(PLANTED), "{shown}");
            }
        }
    }

    #[test]
    fn an_unset_secret_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("binary");
        std::fs::write(&binary, [0xff, 0xfe]).unwrap();
        let long = folder.path().join("long");
        std::fs::write(&long, "x".repeat(70_000)).unwrap();
        for (secret, why) in [
            (Secret::from_env("KEY", None), "environment variable KEY is not set"),
            (env(" \n"), "environment variable KEY is empty"),
            (env("a\nb"), "environment variable KEY holds line breaks"),
            (env("a\u{fffd}"), "bytes that are not text"),
            (Secret::from_file(folder.path().join("absent")), "absent cannot be read"),
            (Secret::from_file(folder.path().to_owned()), "cannot be read"),
            (Secret::from_file(binary), "is not UTF-8"),
            (Secret::from_file(long), "is longer than 65536 bytes"),
        ] {
            assert!(secret.expose().is_none());
            let said = secret.why_unset().unwrap();
            assert!(said.contains(why), "{said} / {why}");
            assert_eq!(secret.to_string(), format!("(unset: {said})"));
        }
    }
}
