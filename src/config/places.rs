//! Finds all paths whose changes affect a configuration: its folders, the files that it names, and the symbolic
//! links in their paths.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::source::{MAIN_FILE, PROVIDERS, provider_files};

/// Maximum number of symbolic links that are followed in one path; Linux has the same limit.
const MOST_LINKS: usize = 40;

/// Paths to watch, each without links in its parent folders.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// The configuration folder and its providers folder.
    own: [PathBuf; 2],
    /// Single links and files to watch.
    single: BTreeSet<PathBuf>,
}

/// Finds the paths of a configuration folder and of the files in `named`.
pub(super) fn places(dir: &Path, named: &BTreeSet<PathBuf>) -> Places {
    let mut single = BTreeSet::new();
    let providers = dir.join(PROVIDERS);
    let own = [dir, &providers].map(|folder| follow(folder, &mut single));
    let files = provider_files(&providers).unwrap_or_default().into_iter().map(|(_, path)| path);
    for file in files.chain([dir.join(MAIN_FILE)]) {
        follow(&file, &mut single);
    }
    for file in named {
        follow(file, &mut single);
    }
    Places { own, single }
}

impl Places {
    /// All folders to watch: the parent folder of each link and file, the configuration folder and its providers
    /// folder.
    pub(super) fn folders(&self) -> BTreeSet<&Path> {
        self.single
            .iter()
            .filter_map(|path| path.parent())
            .chain(self.own.iter().map(PathBuf::as_path))
            .collect()
    }

    /// Whether the folder is the configuration folder or its providers folder.
    pub(super) fn is_own(&self, folder: &Path) -> bool {
        self.own.iter().any(|own| own == folder)
    }

    /// Whether a change of this path affects the configuration.
    pub(super) fn count(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default();
        let own = path.parent().is_some_and(|folder| self.is_own(folder));
        let ours = path.extension() == Some(OsStr::new("toml")) || name.as_encoded_bytes().starts_with(b"..");
        own && ours || self.single.contains(path)
    }
}

/// Follows the links in a path. Adds each of them and the final target to `noted`. Returns the final target, which need
/// not exist.
fn follow(path: &Path, noted: &mut BTreeSet<PathBuf>) -> PathBuf {
    let Ok(path) = std::path::absolute(path) else { return path.to_owned() };
    let mut left: Vec<PathBuf> = parts(&path);
    let (mut here, mut links) = (PathBuf::from("/"), 0);
    while let Some(part) = left.pop() {
        let next = match part.components().next() {
            Some(Component::Normal(name)) => here.join(name),
            Some(Component::ParentDir) => {
                here.pop();
                continue;
            }
            _ => continue,
        };
        match std::fs::read_link(&next) {
            Ok(target) if links < MOST_LINKS => {
                links += 1;
                noted.insert(next);
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                left.extend(parts(&target));
            }
            _ => here = next,
        }
    }
    noted.insert(here.clone());
    here
}

/// The components of a path, in reverse order.
fn parts(path: &Path) -> Vec<PathBuf> {
    path.components().rev().map(|part| PathBuf::from(part.as_os_str())).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_in_a_path_are_watched_and_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let at = |path: &str| root.join(path);
        for path in ["rel1/config/providers", "shared", "models"] {
            std::fs::create_dir_all(at(path)).unwrap();
        }
        for path in ["rel1/config/pixcolor.toml", "shared/b.toml", "models/key"] {
            std::fs::write(at(path), "").unwrap();
        }
        symlink("rel1", at("current")).unwrap();
        symlink("../../../shared/b.toml", at("rel1/config/providers/it.toml")).unwrap();
        symlink(at("round"), at("round")).unwrap();
        let named = BTreeSet::from([at("current/../models/key"), at("round")]);
        let places = places(&at("current/config"), &named);
        for counts in [
            "current",
            "rel1/config",
            "rel1/config/providers",
            "rel1/config/pixcolor.toml",
            "rel1/config/other.toml",
            "rel1/config/..data",
            "rel1/config/providers/it.toml",
            "rel1/config/providers/new.toml",
            "shared/b.toml",
            "models/key",
            "round",
        ] {
            assert!(places.count(&at(counts)), "{counts} {places:?}");
            assert!(places.folders().contains(at(counts).parent().unwrap()), "{counts}");
        }
        for other in
            ["rel1/config/serve.log", "rel1/config/providers/it.toml~", "shared/c.toml", "models/other", "x"]
        {
            assert!(!places.count(&at(other)), "{other}");
        }
    }
}
