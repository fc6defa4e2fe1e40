//! Where a configuration is looked for: the folder, the files in it, and what is built into the program.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use super::layer::Layer;
use super::problem::{ConfigError, Origin, Problem};

/// The gateway's file in a configuration folder.
pub(super) const MAIN_FILE: &str = "pixcolor.toml";
/// The folder of providers, one a file, in a configuration folder.
pub(super) const PROVIDERS: &str = "providers";
/// The environment variable that names the configuration folder.
pub(super) const FOLDER_VARIABLE: &str = "PIXCOLOR_CONFIG";

/// Longest configuration file that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

static BUILT_IN_MAIN: &str = include_str!("../../config/pixcolor.toml");
static BUILT_IN_PROVIDERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config/providers");

/// Where to look. The default looks nowhere: only what is built in.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The configuration folder that was asked for; else `PIXCOLOR_CONFIG` in `env` names it.
    pub dir: Option<PathBuf>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// What relative paths outside of files are relative to, and where `config/` is looked for when no
    /// folder was asked for. None looks for no such folder.
    pub cwd: Option<PathBuf>,
}

impl Source {
    /// This process: its environment, its working folder, and the folder given on the command line.
    pub fn from_process(dir: Option<PathBuf>) -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let env = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        Self { dir, env, cwd: Some(PathBuf::new()) }
    }

    /// An environment variable, unless it is unset or empty.
    pub(super) fn var(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A path that was not written in a file.
    pub(super) fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.cwd.clone().unwrap_or_default().join(path)
    }

    /// The configuration folder: the one asked for, which must be there, else `config` if it has a
    /// `pixcolor.toml`, else none.
    pub(super) fn folder(&self) -> Result<Option<PathBuf>, ConfigError> {
        let asked = match (&self.dir, self.var(FOLDER_VARIABLE)) {
            (Some(dir), _) => Some((Origin::Default, dir.clone())),
            (None, Some(dir)) => Some((Origin::Env(FOLDER_VARIABLE.to_owned()), dir.into())),
            (None, None) => None,
        };
        let Some((origin, dir)) = asked else {
            let default = self.cwd.as_ref().map(|cwd| cwd.join("config"));
            return Ok(default.filter(|dir| dir.join(MAIN_FILE).is_file()));
        };
        let dir = self.resolve(dir);
        let wrong = match fs::metadata(&dir) {
            Ok(found) if found.is_dir() => return Ok(Some(dir)),
            Ok(_) => format!("is not a folder: name the folder that holds {MAIN_FILE}"),
            Err(error) => format!("cannot be used: {error}"),
        };
        Err(ConfigError::one(origin, format!("configuration folder {} {wrong}", dir.display())))
    }

    /// A text about this configuration without the path of its folder, which is nobody else's business.
    pub fn without_folder(&self, text: &str) -> String {
        match self.place() {
            Some(dir) => text.replace(&format!("{}/", dir.display()), ""),
            None => text.to_owned(),
        }
    }

    /// Where the configuration folder is, or would be; none if none is looked for.
    pub(super) fn place(&self) -> Option<PathBuf> {
        let asked = self.dir.clone().or_else(|| self.var(FOLDER_VARIABLE).map(PathBuf::from));
        asked.map(|dir| self.resolve(dir)).or_else(|| Some(self.cwd.as_ref()?.join("config")))
    }

    /// A folder that looks like a configuration but is none.
    pub(super) fn overlooked(&self) -> Option<String> {
        let dir = self.cwd.as_ref()?.join("config");
        let files = provider_files(&dir.join(PROVIDERS)).ok()?;
        (!files.is_empty() && !dir.join(MAIN_FILE).exists()).then(|| {
            let dir = dir.display();
            format!(
                "{dir}/{PROVIDERS} is ignored, because there is no {dir}/{MAIN_FILE}: an empty one will do"
            )
        })
    }

    /// Where what must outlive the process is kept unless the configuration says otherwise, after the
    /// XDG Base Directory Specification; and whether that is only a temporary folder.
    pub(super) fn state_dir(&self) -> (PathBuf, bool) {
        match self.user_dir("XDG_STATE_HOME", ".local/state") {
            Some(state) => (state, false),
            None => (std::env::temp_dir().join("pixcolor"), true),
        }
    }

    /// Where what can be made again is kept unless the configuration says otherwise, after the same
    /// specification; none without a home.
    pub(super) fn cache_dir(&self) -> Option<PathBuf> {
        self.user_dir("XDG_CACHE_HOME", ".cache")
    }

    fn user_dir(&self, variable: &str, under_home: &str) -> Option<PathBuf> {
        let named = self.var(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || self.var("HOME").map(|home| Path::new(home).join(under_home));
        named.or_else(home).map(|folder| folder.join("pixcolor"))
    }
}

/// The files of a configuration, lowest first, and where they were found.
pub(super) struct Files {
    pub(super) dir: Option<PathBuf>,
    pub(super) layers: Vec<Layer>,
}

/// Reads every file of a configuration. All files that cannot be read or parsed are named together.
pub(super) fn read_files(source: &Source) -> Result<Files, ConfigError> {
    let dir = source.folder()?;
    let mut problems = Vec::new();
    let mut keep = |layer: Result<Option<Layer>, Problem>| match layer {
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
    Ok(Files { dir, layers })
}

/// What is inside the program, less the providers that a file on disk replaces as a whole.
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

fn defined_twice(name: &str, layer: &Layer, main: &Layer) -> Option<Problem> {
    defines(main, name).then(|| Problem {
        origin: main.origin(&[PROVIDERS.to_owned(), name.to_owned()]),
        message: format!("provider `{name}` is defined here and in {}: keep one of them", layer.name()),
    })
}

/// The provider files of a folder, by provider name. Hidden files and everything that does not end in
/// `.toml` are what editors and Kubernetes leave behind, or a file put out of use.
pub(super) fn provider_files(folder: &Path) -> Result<Vec<(String, PathBuf)>, Problem> {
    let unreadable = |error: std::io::Error| unreadable(folder, &error.to_string());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
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

/// The name of the provider that a file defines, if it is a provider's file.
fn provider_name(path: &Path) -> Option<String> {
    let name = path.file_stem()?.to_string_lossy();
    (path.extension() == Some(OsStr::new("toml")) && !name.starts_with('.')).then(|| name.into_owned())
}

/// A file on disk as a layer; none if it is not there.
pub(super) fn disk_layer(path: &Path, prefix: &[&str]) -> Result<Option<Layer>, Problem> {
    match read_text(path) {
        Ok(Some(text)) => Layer::file(path, false, text, prefix).map(Some),
        Ok(None) => Ok(None),
        Err(why) => Err(unreadable(path, &why)),
    }
}

fn unreadable(path: &Path, why: &str) -> Problem {
    let origin = Origin::File { path: path.to_owned(), line: None, built_in: false };
    Problem { origin, message: format!("cannot be read: {why}") }
}

fn read_text(path: &Path) -> Result<Option<String>, String> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && path.symlink_metadata().is_err() => {
            return Ok(None);
        }
        // A pipe would be waited for for ever.
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
