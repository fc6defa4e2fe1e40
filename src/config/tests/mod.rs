//! Tests of configurations as operators write them: folders with files, environments, and the resulting messages.

mod algorithmia;
mod exec;
mod facades;
mod hostile;
mod http;
mod layering;
mod money;
mod problems;
mod quota;
mod reference;
mod schema;
mod secrets;
mod server;
mod shipped;
mod store;

use std::path::PathBuf;

use tempfile::TempDir;

use super::{ConfigError, ConfigSource, Loaded, load};

/// A folder with a configuration, and an environment.
struct Setup {
    folder: TempDir,
    source: ConfigSource,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        std::fs::create_dir(&config).unwrap();
        let mut source = ConfigSource {
            dir: Some(config),
            cwd: Some(folder.path().to_owned()),
            ..ConfigSource::default()
        };
        source.env.insert("HOME".into(), "/home/me".into());
        Self { folder, source }
    }

    /// Writes a file; its path is relative to the folder that `config` is in.
    fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn main(self, text: &str) -> Self {
        self.file("config/pixcolor.toml", text)
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.source.env.insert(name.into(), value.into());
        self
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn load(&self) -> Loaded {
        load(&self.source).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The problems, one line each, with paths relative to the folder.
    fn problems(&self) -> Vec<String> {
        self.relative(load(&self.source).err().unwrap())
    }

    fn relative(&self, error: ConfigError) -> Vec<String> {
        let folder = format!("{}/", self.folder.path().display());
        error.to_string().replace(&folder, "").lines().map(str::to_owned).collect()
    }

    /// Where a key comes from, with paths relative to the folder.
    fn from(&self, key: &str) -> String {
        let folder = format!("{}/", self.folder.path().display());
        self.load().provenance(key).unwrap().to_string().replace(&folder, "")
    }
}
