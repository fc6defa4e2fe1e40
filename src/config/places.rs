//! Where the files of a configuration are, and the links that lead there: what a change of counts.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::source::{MAIN_FILE, PROVIDERS, provider_files};

/// Most links on the way to one file, as for the system.
const MOST_LINKS: usize = 40;

/// The places, without any link in the way to each.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// The configuration's own folder, and that of its providers.
    own: [PathBuf; 2],
    /// Links and files that count one by one.
    single: BTreeSet<PathBuf>,
}

/// The places of a configuration folder, and of files that it names.
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
    /// Every folder in which something counts.
    pub(super) fn folders(&self) -> BTreeSet<&Path> {
        self.single
            .iter()
            .filter_map(|path| path.parent())
            .chain(self.own.iter().map(PathBuf::as_path))
            .collect()
    }

    /// Whether it is the configuration's own folder, or that of its providers.
    pub(super) fn is_own(&self, folder: &Path) -> bool {
        self.own.iter().any(|own| own == folder)
    }

    /// Whether something that happened to this path counts.
    pub(super) fn count(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default();
        let own = path.parent().is_some_and(|folder| self.is_own(folder));
        let ours = path.extension() == Some(OsStr::new("toml")) || name.as_encoded_bytes().starts_with(b"..");
        own && ours || self.single.contains(path)
    }
}

/// Notes every link on the way to a path, and where it leads to at last, whether that is there or not.
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

/// The parts of a path, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    path.components().rev().map(|part| PathBuf::from(part.as_os_str())).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_count_wherever_they_are_and_files_beside_do_not() {
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
