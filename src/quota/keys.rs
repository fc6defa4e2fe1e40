//! API keys: all APIs of the gateway use one store, a file in the state folder. A key is shown once, when it is
//! created; only its SHA-256 is stored. Keys are random with 148 bits, so a slow hash would not make them harder to
//! guess.
//!
//! A key is `sim` and 25 letters and digits. Algorithmia's keys have this form, and its tools accept no other.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::files;
use crate::hex::{hex, unhex};

const PREFIX: &str = "sim";
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LENGTH: usize = 25;

/// How long a change of the file may go unnoticed.
const FRESH: Duration = Duration::from_secs(1);

/// The keys in a file, read again when it changes.
#[derive(Debug)]
pub struct KeyStore {
    file: PathBuf,
    read: tokio::sync::Mutex<KeyFileContent>,
    known: Mutex<Arc<KeyTable>>,
    /// Why the last read failed, if it did.
    trouble: Mutex<Option<String>>,
}

/// Names of keys by SHA-256; `None` for revoked keys.
type KeyTable = HashMap<[u8; 32], Option<String>>;

#[derive(Debug, Default)]
struct KeyFileContent {
    looked: Option<Instant>,
    /// The version of the file at the last read, or the error when its metadata was read.
    stamp: Option<Result<FileVersion, io::ErrorKind>>,
}

/// Inode, change time and length, which change with a file's content, owner or mode.
type FileVersion = (u64, i64, i64, u64);

/// The status of a client's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// A valid key with this name.
    Known(String),
    /// Unknown or revoked.
    Unknown,
    /// No key was sent, or no key was ever created. If keys were created but all are revoked, a sent key is `Unknown`.
    NoKeys,
    /// The file is unreadable, and no key was sent or the last successful read did not contain it.
    Unreadable,
}

/// A key in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredKey {
    pub name: String,
    /// RFC 3339, in UTC.
    pub created: String,
    /// When the key was revoked. Revoked keys stay in the file, so that their clients get a clear error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
    /// SHA-256 in hexadecimal.
    sha256: String,
}

impl StoredKey {
    /// Whether this is the active key of this name.
    fn is(&self, name: &str) -> bool {
        self.revoked.is_none() && self.name == name
    }
}

/// A new key, which is never shown again.
#[derive(Clone)]
pub struct NewKey(String);

impl NewKey {
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Minted(…)")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("{} cannot be used: {source}", file.display())]
    File { file: PathBuf, source: io::Error },
    #[error("{} is not a list of keys ({why}): restore a good copy, or remove the file and create new keys", file.display())]
    Broken { file: PathBuf, why: String },
    #[error("a key cannot be named {0:?}: a name is 1 to 64 of a-z, A-Z, 0-9, `.`, `_`, `@` and `-`")]
    Name(String),
    #[error("there is a key named `{0}` already: revoke it first, or choose another name")]
    Taken(String),
    #[error("there is no key named `{0}`: `pixcolor key list` shows the existing keys")]
    Missing(String),
    #[error("cannot get random numbers from the operating system: {0}")]
    Random(getrandom::Error),
}

impl KeyStore {
    /// The keys of a state folder; the file may be absent.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            file: folder.join("keys.json"),
            read: Default::default(),
            known: Default::default(),
            trouble: Default::default(),
        }
    }

    /// The path of the file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Looks up a client's key. While the file is unreadable, the keys of the last successful read stay valid, and
    /// all other requests are rejected.
    pub async fn find(&self, key: Option<&str>) -> KeyStatus {
        self.refresh().await;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let digest = |key: &str| -> [u8; 32] { Sha256::digest(key.as_bytes()).into() };
        match key.and_then(|key| known.get(&digest(key))) {
            Some(Some(name)) => KeyStatus::Known(name.clone()),
            Some(None) => KeyStatus::Unknown,
            None if self.trouble().is_some() => KeyStatus::Unreadable,
            None if key.is_none() || known.is_empty() => KeyStatus::NoKeys,
            None => KeyStatus::Unknown,
        }
    }

    /// Why the last read failed, if it did.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file again if it changed or was unreadable.
    async fn refresh(&self) {
        let mut read = self.read.lock().await;
        if read.looked.is_some_and(|looked| looked.elapsed() < FRESH) {
            return;
        }
        read.looked = Some(Instant::now());
        let stamp =
            tokio::fs::metadata(&self.file).await.map(|file| stamp(&file)).map_err(|error| error.kind());
        if Some(stamp) == read.stamp && self.trouble().is_none() {
            return;
        }
        read.stamp = Some(stamp);
        let before = self.trouble();
        let trouble = match known(&self.file, tokio::fs::read(&self.file).await) {
            Ok(keys) => {
                *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
                None
            }
            Err(error) => Some(error.to_string()),
        };
        match (&before, &trouble) {
            (before, Some(why)) if before.as_ref() != Some(why) => {
                tracing::error!("only clients with a key that was valid before are served, because {why}");
            }
            (Some(_), None) => tracing::info!("clients' keys can be read again"),
            _ => {}
        }
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// All keys including revoked ones, sorted by name and then by time of creation. Blocks on the disk.
    pub fn list(&self) -> Result<Vec<StoredKey>, KeysError> {
        let mut keys = parse(&self.file, fs::read(&self.file))?;
        keys.sort_by(|a, b| (&a.name, &a.created).cmp(&(&b.name, &b.created)));
        Ok(keys)
    }

    /// Creates a key. Blocks on the disk.
    pub fn mint(&self, name: &str) -> Result<NewKey, KeysError> {
        if !is_name(name) {
            return Err(KeysError::Name(name.to_owned()));
        }
        let key = random_key()?;
        self.change(|keys| {
            if keys.iter().any(|kept| kept.is(name)) {
                return Err(KeysError::Taken(name.to_owned()));
            }
            keys.push(StoredKey {
                name: name.to_owned(),
                created: now(),
                revoked: None,
                sha256: hex(&Sha256::digest(key.as_bytes())),
            });
            Ok(())
        })?;
        Ok(NewKey(key))
    }

    /// Revokes a key and returns its stored form. A new key may then have the same name. Blocks on the disk.
    pub fn revoke(&self, name: &str) -> Result<StoredKey, KeysError> {
        self.change(|keys| {
            let key = keys.iter_mut().find(|kept| kept.is(name));
            let key = key.ok_or_else(|| KeysError::Missing(name.to_owned()))?;
            key.revoked = Some(now());
            Ok(key.clone())
        })
    }

    /// Changes the file atomically; concurrent changes happen one after the other.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<StoredKey>) -> Result<T, KeysError>,
    ) -> Result<T, KeysError> {
        let failed = |file: &Path| {
            let file = file.to_owned();
            move |source| KeysError::File { file, source }
        };
        let folder = self.file.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(folder).map_err(failed(folder))?;
        let path = self.file.with_extension("lock");
        let lock = File::create(&path).map_err(failed(&path))?;
        files::give_to_owner_of(folder, &lock).map_err(failed(&path))?;
        lock.lock().map_err(failed(&path))?;
        let mut keys = parse(&self.file, fs::read(&self.file))?;
        let changed = change(&mut keys)?;
        self.write(folder, &keys).map_err(failed(&self.file))?;
        Ok(changed)
    }

    fn write(&self, folder: &Path, keys: &[StoredKey]) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(keys)?;
        let part = files::write_part(folder, &[&text, b"\n"])?;
        fs::rename(part, &self.file)?;
        files::sync(folder)
    }
}

/// The current time in whole seconds, as in RFC 3339.
fn now() -> String {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    // Formatting fails only for years of more than four digits.
    now.format(&Rfc3339).unwrap_or_default()
}

fn stamp(file: &fs::Metadata) -> FileVersion {
    (file.ino(), file.ctime(), file.ctime_nsec(), file.len())
}

fn parse(file: &Path, read: io::Result<Vec<u8>>) -> Result<Vec<StoredKey>, KeysError> {
    let text = match read {
        // If the file or its folder does not exist, no key has been created yet.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        read => read.map_err(|source| KeysError::File { file: file.to_owned(), source })?,
    };
    serde_json::from_slice(&text)
        .map_err(|error| KeysError::Broken { file: file.to_owned(), why: error.to_string() })
}

fn known(file: &Path, read: io::Result<Vec<u8>>) -> Result<KeyTable, KeysError> {
    let broken = |name: &str| KeysError::Broken {
        file: file.to_owned(),
        why: format!("the `sha256` of `{name}` is not 64 hexadecimal digits"),
    };
    let pair = |kept: StoredKey| {
        let digest = unhex(&kept.sha256).ok_or_else(|| broken(&kept.name))?;
        Ok((digest, kept.revoked.is_none().then_some(kept.name)))
    };
    parse(file, read)?.into_iter().map(pair).collect()
}

/// A new key: `sim` and 25 letters and digits, each with the same probability.
fn random_key() -> Result<String, KeysError> {
    // Bytes from 248, a multiple of 62, would make the first letters more likely.
    const FAIR: u8 = 248;
    let mut key = PREFIX.to_owned();
    let mut bytes = [0; 64];
    while key.len() < PREFIX.len() + LENGTH {
        getrandom::fill(&mut bytes).map_err(KeysError::Random)?;
        let letters = bytes.iter().filter(|byte| **byte < FAIR).map(|byte| LETTERS[usize::from(byte % 62)]);
        let missing = PREFIX.len() + LENGTH - key.len();
        key.extend(letters.take(missing).map(char::from));
    }
    Ok(key)
}

/// Whether a key may have this name. Names appear in logs, headers and URLs.
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-'))
}

#[cfg(test)]
mod tests;
