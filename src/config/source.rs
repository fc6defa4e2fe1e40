//! Finds the configuration: the folder, the files in it, and the files that are built into the program.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use super::layer::Layer;
use super::problem::{ConfigError, ConfigProblem, ValueOrigin};

/// The main file of a configuration folder.
pub(super) const MAIN_FILE: &str = "pixcolor.toml";
/// The folder with one file per provider, inside a configuration folder.
pub(super) const PROVIDERS: &str = "providers";
/// The default configuration folder, relative to the working folder.
const DEFAULT_FOLDER: &str = "config";
/// The environment variable with the path of the configuration folder.
pub(super) const FOLDER_VARIABLE: &str = "PIXCOLOR_CONFIG";
/// The environment variable of the key `state_dir`.
const STATE_VARIABLE: &str = "PIXCOLOR_STATE_DIR";

/// Maximum size of a configuration file, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

static BUILT_IN_MAIN: &str = include_str!("../../config/pixcolor.toml");
static BUILT_IN_PROVIDERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config/providers");

/// Where to look for the configuration. The default value uses only the built-in files.
#[derive(Clone, Debug, Default)]
pub struct ConfigSource {
    /// The configuration folder given on the command line. If `None`, `PIXCOLOR_CONFIG` in `env` may name one.
    pub dir: Option<PathBuf>,
    pub env: BTreeMap<String, String>,
    /// The base of relative paths that are not in a file, and the parent of the default folder `config/`. If `None`, no
    /// default folder is looked up.
    pub cwd: Option<PathBuf>,
}

impl ConfigSource {
    /// The source for this process: its environment, its working folder, and the configuration folder and state
    /// folder from the command line.
    pub fn from_process(dir: Option<PathBuf>, state_dir: Option<PathBuf>) -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let mut env: BTreeMap<_, _> =
            std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        // Quoted, because variables are parsed as TOML and a folder named `2024` would be a number.
        let quoted = |dir: PathBuf| serde_json::Value::from(text(dir.into())).to_string();
        env.extend(state_dir.map(|dir| (STATE_VARIABLE.to_owned(), quoted(dir))));
        Self { dir, env, cwd: Some(PathBuf::new()) }
    }

    /// The value of an environment variable; `None` if it is unset or empty.
    pub(super) fn var(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Resolves a path that is not in a file.
    pub(super) fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.cwd.clone().unwrap_or_default().join(path)
    }

    /// The configuration folder: the one that was named, which must exist; otherwise `config`, if it exists.
    pub(super) fn folder(&self) -> Result<Option<PathBuf>, ConfigError> {
        let asked = match (&self.dir, self.var(FOLDER_VARIABLE)) {
            (Some(dir), _) => (ValueOrigin::Default, dir.clone()),
            (None, Some(dir)) => (ValueOrigin::Env(FOLDER_VARIABLE.to_owned()), dir.into()),
            (None, None) => return self.default_folder(),
        };
        let (origin, dir) = (asked.0, self.resolve(asked.1));
        match fs::metadata(&dir) {
            Ok(found) if found.is_dir() => Ok(Some(dir)),
            Ok(_) => Err(unusable(
                origin,
                &dir,
                &format!("is not a folder: name the folder that holds {MAIN_FILE}"),
            )),
            Err(error) => Err(unusable(origin, &dir, &format!("cannot be used: {error}"))),
        }
    }

    /// The folder `config` in the working folder; `None` only if it does not exist. A folder that cannot be read or has
    /// no `pixcolor.toml` is an error, because it may be the operator's with a wrong owner or mount. The built-in
    /// configuration must not replace the operator's, because the built-in one accepts every client.
    fn default_folder(&self) -> Result<Option<PathBuf>, ConfigError> {
        let Some(dir) = self.cwd.as_ref().map(|cwd| cwd.join(DEFAULT_FOLDER)) else { return Ok(None) };
        match fs::metadata(dir.join(MAIN_FILE)) {
            Ok(_) => Ok(Some(dir)),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(unusable(ValueOrigin::Default, &dir, &format!("cannot be used: {error}")))
            }
            // A broken link counts as existing.
            Err(_) if dir.symlink_metadata().is_err() => Ok(None),
            Err(_) => {
                let missing = format!(
                    "has no {MAIN_FILE}: create one (it may be empty), or name another folder with --config"
                );
                Err(unusable(ValueOrigin::Default, &dir, &missing))
            }
        }
    }

    /// For commands that work on a gateway's files: uses the folders of the installed service (as in
    /// `deploy/systemd/pixcolor.service`) if there is one, unless other folders are meant. Other folders are meant if
    /// another configuration folder is named, or if the user is not root and the working folder has a `config`.
    pub fn or_of_the_service(mut self) -> Self {
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        let config = Path::new("/etc/pixcolor").join(DEFAULT_FOLDER);
        let own = self.cwd.as_ref().map(|cwd| cwd.join(DEFAULT_FOLDER)).filter(|own| is_there(own));
        let named = self.dir.clone().or_else(|| self.var(FOLDER_VARIABLE).map(PathBuf::from));
        let is_root = rustix::process::geteuid().is_root();
        let meant = named.map(|named| self.resolve(named)).or_else(|| own.filter(|_| !is_root));
        let same = |meant: &PathBuf| {
            let of = |path: &Path| path.canonicalize().ok();
            of(meant).is_some_and(|meant| Some(meant) == of(&config))
        };
        let state = ("XDG_STATE_HOME", Path::new("/var/lib"));
        let installed = is_there(&config) || is_there(&state.1.join("pixcolor"));
        if !installed || meant.as_ref().is_some_and(|meant| !same(meant)) {
            return self;
        }
        if meant.is_none() && is_there(&config) {
            self.dir = Some(config);
        }
        for (variable, folder) in [state, ("XDG_CACHE_HOME", Path::new("/var/cache"))] {
            if self.var(variable).is_none() {
                self.env.insert(variable.to_owned(), folder.display().to_string());
            }
        }
        self
    }

    /// Removes the configuration folder's path from a text, because clients must not learn it.
    pub fn without_folder(&self, text: &str) -> String {
        match self.place() {
            Some(dir) => {
                let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
                text.replace(&format!("{}/", dir.display()), "").replace(&dir.display().to_string(), &name)
            }
            None => text.to_owned(),
        }
    }

    /// The path of the configuration folder, which need not exist; `None` if no folder is named and there is no working
    /// folder.
    pub(super) fn place(&self) -> Option<PathBuf> {
        let asked = self.dir.clone().or_else(|| self.var(FOLDER_VARIABLE).map(PathBuf::from));
        asked.map(|dir| self.resolve(dir)).or_else(|| Some(self.cwd.as_ref()?.join(DEFAULT_FOLDER)))
    }

    /// The default state folder according to the XDG Base Directory Specification, and whether it is only temporary.
    pub(super) fn state_dir(&self) -> (PathBuf, bool) {
        match self.user_dir("XDG_STATE_HOME", ".local/state") {
            Some(state) => (state, false),
            None => (std::env::temp_dir().join("pixcolor"), true),
        }
    }

    /// The default cache folder according to the XDG Base Directory Specification; `None` if neither
    /// `XDG_CACHE_HOME` (an absolute path) nor `HOME` is set.
    pub(super) fn cache_dir(&self) -> Option<PathBuf> {
        self.user_dir("XDG_CACHE_HOME", ".cache")
    }

    fn user_dir(&self, variable: &str, under_home: &str) -> Option<PathBuf> {
        let named = self.var(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || self.var("HOME").map(|home| Path::new(home).join(under_home));
        named.or_else(home).map(|folder| folder.join("pixcolor"))
    }
}

/// The built-in files and the files on disk, lowest priority first, and the configuration folder.
pub(super) struct ConfigFiles {
    pub(super) dir: Option<PathBuf>,
    pub(super) layers: Vec<Layer>,
}

/// Reads every file of a configuration. The error lists all files that cannot be read or parsed, and all
/// providers that are defined twice.
pub(super) fn read_files(source: &ConfigSource) -> Result<ConfigFiles, ConfigError> {
    let dir = source.folder()?;
    let mut problems = Vec::new();
    let mut keep = |layer: Result<Option<Layer>, ConfigProblem>| match layer {
        Ok(layer) => layer,
        Err(problem) => {
            problems.push(problem);
            None
        }
    };

    let main = dir.as_ref().and_then(|dir| keep(disk_layer(&dir.join(MAIN_FILE), &[])));
    let mut providers = Vec::new();
    match dir.as_ref().map_or(Ok(Vec::new()), |dir| provider_files(&dir.join(PROVIDERS))) {
        Ok(files) => {
            for (name, path) in files {
                let layer = keep(disk_layer(&path, &[PROVIDERS, &name]));
                providers.extend(layer.map(|layer| (name, layer)));
            }
        }
        Err(problem) => problems.push(problem),
    }
    if let Some(main) = &main {
        problems.extend(providers.iter().filter_map(|(name, layer)| defined_twice(name, layer, main)));
    }
    ConfigError::check(problems)?;

    let mut layers = built_in(|name| {
        providers.iter().any(|(disk, _)| disk == name)
            || main.as_ref().is_some_and(|main| defines(main, name))
    })?;
    layers.extend(main);
    layers.extend(providers.into_iter().map(|(_, layer)| layer));
    Ok(ConfigFiles { dir, layers })
}

/// The built-in files, except providers that a file on disk replaces.
fn built_in(replaced: impl Fn(&str) -> bool) -> Result<Vec<Layer>, ConfigError> {
    let main = (PathBuf::from("config").join(MAIN_FILE), BUILT_IN_MAIN, None);
    let providers = BUILT_IN_PROVIDERS.files().filter_map(|file| {
        let name = provider_name(file.path())?;
        let path = Path::new("config").join(PROVIDERS).join(file.path());
        (!replaced(&name)).then_some((path, file.contents_utf8()?, Some(name)))
    });
    let (mut layers, mut problems) = (Vec::new(), Vec::new());
    for (path, text, name) in std::iter::once(main).chain(providers) {
        let prefix: Vec<&str> = name.as_deref().map_or(Vec::new(), |name| vec![PROVIDERS, name]);
        match Layer::file(&path, true, text.to_owned(), &prefix) {
            Ok(layer) => layers.push(layer),
            Err(problem) => problems.push(problem),
        }
    }
    ConfigError::check(problems).map(|()| layers)
}

fn defines(main: &Layer, provider: &str) -> bool {
    main.data.get(PROVIDERS).and_then(|all| all.as_dict()).is_some_and(|all| all.contains_key(provider))
}

fn defined_twice(name: &str, layer: &Layer, main: &Layer) -> Option<ConfigProblem> {
    defines(main, name).then(|| ConfigProblem {
        origin: main.origin(&[PROVIDERS.to_owned(), name.to_owned()]),
        message: format!("provider `{name}` is defined here and in {}: remove one of them", layer.name()),
    })
}

/// The provider files of a folder, by provider name. Hidden files and files without `.toml` are skipped: editors and
/// Kubernetes create them, and operators rename files to disable them.
pub(super) fn provider_files(folder: &Path) -> Result<Vec<(String, PathBuf)>, ConfigProblem> {
    let unreadable = |error: std::io::Error| unreadable(folder, &error.to_string());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound && folder.symlink_metadata().is_err() => {
            return Ok(Vec::new());
        }
        entries => entries.map_err(unreadable)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        files.extend(provider_name(&path).filter(|_| !path.is_dir()).map(|name| (name, path)));
    }
    files.sort();
    Ok(files)
}

/// The provider that a file defines; `None` if it is not a provider file.
fn provider_name(path: &Path) -> Option<String> {
    let name = path.file_stem()?.to_string_lossy();
    (path.extension() == Some(OsStr::new("toml")) && !name.starts_with('.')).then(|| name.into_owned())
}

/// Reads a file on disk as a layer; `None` if it does not exist.
pub(super) fn disk_layer(path: &Path, prefix: &[&str]) -> Result<Option<Layer>, ConfigProblem> {
    match read_text(path) {
        Ok(Some(text)) => Layer::file(path, false, text, prefix).map(Some),
        Ok(None) => Ok(None),
        Err(why) => Err(unreadable(path, &why)),
    }
}

fn unusable(origin: ValueOrigin, dir: &Path, why: &str) -> ConfigError {
    ConfigError::one(origin, format!("configuration folder {} {why}", dir.display()))
}

fn unreadable(path: &Path, why: &str) -> ConfigProblem {
    let origin = ValueOrigin::File { path: path.to_owned(), line: None, built_in: false };
    ConfigProblem { origin, message: format!("cannot be read: {why}") }
}

fn read_text(path: &Path) -> Result<Option<String>, String> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && path.symlink_metadata().is_err() => {
            return Ok(None);
        }
        // Reading a pipe could block forever.
        Ok(found) if !found.is_file() => return Err("it is no regular file".to_owned()),
        found => found.map_err(|error| error.to_string())?,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it is longer than {MAX_BYTES} bytes"));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| "it is not UTF-8 text".to_owned())
}
