//! API keys and passwords: the configuration says where they are stored, and no output ever shows them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use figment::value::Value;
use secrecy::SecretString;
use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use super::layer::Layer;
use super::problem::{ConfigProblem, ValueOrigin, dotted};
use super::table::Table;

/// Maximum size of a secret file, in bytes.
const MAX_BYTES: u64 = 64 * 1024;
/// What a secret must be, for error messages.
const WANTED: &str = "{ env = \"NAME\" } or { file = \"path\" }";

/// Where a secret is stored, and its value if it was readable when the configuration was loaded. Printing, formatting
/// and serialising show only where it is stored.
#[derive(Clone)]
pub struct Secret {
    keeper: Keeper,
    value: Result<SecretString, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Keeper {
    Env(String),
    File(PathBuf),
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

    /// The value, wrapped so that it is not printed by accident (see `secrecy::ExposeSecret`); none if it is not set.
    pub fn expose(&self) -> Option<&SecretString> {
        self.value.as_ref().ok()
    }

    /// The reason why there is no value, for the operator; none if there is one.
    pub fn why_unset(&self) -> Option<String> {
        self.value.as_ref().err().cloned()
    }
}

impl Table<'_> {
    /// Reads a secret: `{ env = "NAME" }` or `{ file = "path" }`.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<Secret> {
        let (value, origin) = self.take(key, Json::Null, true, || WANTED.to_owned())?;
        match self.kept(value) {
            Ok(secret) => {
                self.note_entry(key, Json::from(secret.to_string()), true, origin.clone());
                self.note_unset(&[key], &secret, origin);
                Some(secret)
            }
            Err(wrong) => {
                // The message does not quote the value, because it may be the secret itself.
                self.note_problem(origin, format!("`{}` {wrong}", dotted(&self.at(&[key]))));
                None
            }
        }
    }

    /// Reads a table of secrets whose names the operator chooses.
    pub(super) fn secrets(&mut self, key: &'static str) -> BTreeMap<String, Secret> {
        self.table(key, |table| {
            let mut secrets = BTreeMap::new();
            for (name, value, origin) in table.chosen(WANTED) {
                match table.kept(value) {
                    Ok(secret) => {
                        table.note_entry(name, Json::from(secret.to_string()), true, origin.clone());
                        table.note_unset(&[name], &secret, origin);
                        secrets.insert(name.to_owned(), secret);
                    }
                    Err(wrong) => {
                        table.note_problem(origin, format!("`{}` {wrong}", dotted(&table.at(&[name]))))
                    }
                }
            }
            secrets
        })
    }

    /// Notes a configured secret that has no value.
    pub(super) fn note_unset(&self, tail: &[&str], secret: &Secret, origin: ValueOrigin) {
        if let Some(why) = secret.why_unset() {
            let path = self.at(tail);
            let message = format!("`{}` has no value: {why}", dotted(&path));
            self.reader.notes.borrow_mut().unset.push((path, ConfigProblem { origin, message }));
        }
    }

    /// Reads a secret. If the key is not set, the first of these variables that is set supplies the secret.
    pub(super) fn secret_or_variables(&mut self, key: &'static str, variables: &[&str]) -> Secret {
        let source = self.reader.source;
        let set = variables.iter().find(|name| source.var(name).is_some());
        let name = set.or(variables.first()).copied().unwrap_or_default();
        let kept = Secret::from_env(name, source.var(name));
        if self.has(key) {
            // If the key is invalid, the problem is already noted and the value is irrelevant.
            return self.secret(key).unwrap_or(kept);
        }
        self.miss(key);
        let (shown, origin) = match set {
            Some(name) => (Json::from(kept.to_string()), ValueOrigin::Env((*name).to_owned())),
            None => (Json::Null, ValueOrigin::Default),
        };
        self.note_entry(key, shown, true, origin);
        kept
    }

    /// Converts a value to a secret; an error says what the value must be.
    pub(super) fn kept(&self, value: &Value) -> Result<Secret, &'static str> {
        const FORM: &str = "must be either { env = \"NAME\" } or { file = \"path\" }";
        const LITERAL: &str = "must not be written here: a configuration file is copied, committed and shown. \
                               Write { env = \"NAME\" } or { file = \"path\" }";
        let env = &self.reader.source.env;
        let layer = |value: &Value| self.reader.layer(value);
        let Some(dict) = value.as_dict() else {
            // The variable that sets the key may contain the secret itself instead of the name of another variable.
            let Some(ValueOrigin::Env(name)) = layer(value).map(|layer| layer.origin(&[])) else {
                return Err(LITERAL);
            };
            let text = value.as_str().or_else(|| env.get(&name).map(String::as_str));
            return Ok(Secret::from_env(&name, text));
        };
        // A variable overrides a file, no matter whether each contains `env` or `file`.
        let said = |loud: bool| {
            dict.iter()
                .filter(|(_, place)| !loud || layer(place).is_some_and(Layer::is_env))
                .collect::<Vec<_>>()
        };
        let loud = said(true);
        let said = if loud.is_empty() { said(false) } else { loud };
        let [(keeper, place)] = said.as_slice() else { return Err(FORM) };
        match (keeper.as_str(), place.as_str()) {
            ("env", Some(name)) if !name.is_empty() => {
                self.reader.notes.borrow_mut().keepers.insert(name.to_owned());
                Ok(Secret::from_env(name, env.get(name).map(String::as_str)))
            }
            ("file", Some(path)) if !path.is_empty() => {
                let path = self.resolve(place, path);
                self.note_file(&path);
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

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

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
