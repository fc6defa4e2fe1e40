//! Finds the photographs that the arguments name: files, folders, glob patterns, and lists on standard input.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use glob::MatchOptions;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use tokio_util::sync::CancellationToken;
use walkdir::{DirEntry, WalkDir};

use super::super::CliError;
use super::entries;

/// Wildcards do not match a dot at the start of a name.
const LIKE_A_SHELL: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The argument for a list on standard input.
const LIST: &str = "-";

/// A file that may be a photograph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    pub path: PathBuf,
    /// The path below the results folder (`-o`), but with the name of the input.
    pub relative: PathBuf,
    /// Whether an argument or a list names the file. Other files come from a folder, where files that are not pictures
    /// are skipped.
    pub named: bool,
}

/// What the arguments name.
#[derive(Debug, Default)]
pub struct Found {
    /// Sorted within each argument.
    pub inputs: Vec<Input>,
    /// Paths that cannot be read, and why.
    pub problems: Vec<(PathBuf, String)>,
    /// Folders with a journal: the results of another run.
    pub journals: Vec<PathBuf>,
    /// The folders that were searched, and those of named files.
    pub roots: HashSet<PathBuf>,
}

/// The files of folders, patterns and lists that are used.
#[derive(Debug)]
pub struct Filter {
    /// `None`: all.
    include: Option<GlobSet>,
    exclude: GlobSet,
    /// Device and inode of this run's results folder, which is not searched within another folder.
    results: Option<(u64, u64)>,
}

impl Filter {
    /// A pattern with a slash is compared with the path below the folder, any other with the name. Upper and lower case
    /// are equal, because scanners write `.TIF` as often as `.tif`.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, CliError> {
        let include = (!include.is_empty()).then(|| globs(include)).transpose()?;
        Ok(Self { include, exclude: globs(exclude)?, results: None })
    }

    /// Does not search this folder, if it is within another.
    pub fn without_results(self, folder: Option<&Path>) -> Self {
        let results = folder.and_then(|folder| folder.metadata().ok()).map(|data| (data.dev(), data.ino()));
        Self { results, ..self }
    }

    fn is_results(&self, entry: &DirEntry) -> bool {
        self.results.is_some()
            && entry.file_type().is_dir()
            && entry.metadata().is_ok_and(|data| Some((data.dev(), data.ino())) == self.results)
    }

    /// A file in an excluded folder is excluded, too.
    fn excludes(&self, path: &Path) -> bool {
        !self.exclude.is_empty() && path.ancestors().any(|path| self.exclude.is_match(path))
    }

    fn includes(&self, path: &Path) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(path)) && !self.excludes(path)
    }
}

fn globs(patterns: &[String]) -> Result<GlobSet, CliError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let anywhere = if pattern.contains('/') { pattern.clone() } else { format!("**/{pattern}") };
        let mut glob = GlobBuilder::new(&anywhere);
        set.add(
            glob.literal_separator(true)
                .case_insensitive(true)
                .build()
                .map_err(|error| format!("`{pattern}` is not a pattern: {}", error.kind()))?,
        );
    }
    Ok(set.build()?)
}

/// Finds everything that the arguments name, until `stop` is cancelled. Reads standard input if an argument is `-`.
pub fn find(arguments: &[PathBuf], filter: &Filter, stop: &CancellationToken) -> Result<Found, CliError> {
    let mut found = Found::default();
    let folders = arguments.iter().filter(|argument| argument.is_dir()).count();
    for argument in arguments {
        if argument.as_os_str() == LIST {
            let mut list = Vec::new();
            io::stdin()
                .read_to_end(&mut list)
                .map_err(|error| format!("the list cannot be read: {error}"))?;
            for path in listed(&list) {
                let relative = below(&path);
                if path.is_dir() || filter.includes(&relative) {
                    found.add(path, relative.clone(), &relative, filter, stop);
                }
            }
        } else if is_pattern(argument) {
            found.expand(argument, filter, stop);
        } else {
            let name = PathBuf::from(argument.file_name().unwrap_or(argument.as_os_str()));
            // Of several folders, each keeps its name: scanners number the pictures of every box alike.
            let within = if folders > 1 { own_name(argument) } else { PathBuf::new() };
            found.add(argument.clone(), name, &within, filter, stop);
        }
    }
    Ok(found)
}

/// The paths of a list: separated by NUL if there is one (as `find -print0` writes them), else by lines.
fn listed(list: &[u8]) -> Vec<PathBuf> {
    let separator = if list.contains(&0) { 0 } else { b'\n' };
    let paths = list.split(|&byte| byte == separator).map(|path| match separator {
        0 => path,
        _ => path.strip_suffix(b"\r").unwrap_or(path),
    });
    paths.filter(|path| !path.is_empty()).map(|path| OsString::from_vec(path.to_vec()).into()).collect()
}

/// A path without its root, `.` and `..`, so that it stays within the results folder.
fn below(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

/// The name of a folder, also of one that is given as `.` or `..`.
fn own_name(folder: &Path) -> PathBuf {
    let name = |path: &Path| path.file_name().map(PathBuf::from);
    name(folder).or_else(|| name(&folder.canonicalize().ok()?)).unwrap_or_default()
}

/// Whether an argument is a glob pattern that the shell has not expanded, and not the name of a file.
fn is_pattern(argument: &Path) -> bool {
    argument.as_os_str().as_bytes().iter().any(|byte| b"*?[".contains(byte))
        && argument.symlink_metadata().is_err()
}

/// The folders of a pattern before its first wildcard.
fn literal_start(pattern: &Path) -> PathBuf {
    pattern.components().take_while(|part| !is_wild(part.as_os_str())).collect()
}

fn is_wild(part: &OsStr) -> bool {
    part.as_bytes().iter().any(|byte| b"*?[".contains(byte))
}

impl Found {
    /// Adds a file, which is mirrored as `relative`, or the content of a folder, which is mirrored in `within`.
    fn add(
        &mut self,
        path: PathBuf,
        relative: PathBuf,
        within: &Path,
        filter: &Filter,
        stop: &CancellationToken,
    ) {
        match path.is_dir() {
            true => self.walk(&path, within, filter, stop),
            // A missing file fails when it is planned.
            false => {
                self.roots.extend(path.parent().map(Path::to_owned));
                self.inputs.push(Input { path, relative, named: true });
            }
        }
    }

    fn walk(&mut self, folder: &Path, within: &Path, filter: &Filter, stop: &CancellationToken) {
        let wanted = |entry: &DirEntry| {
            let path = entry.path().strip_prefix(folder).unwrap_or(entry.path());
            entry.depth() == 0
                || !is_hidden(entry.file_name()) && !filter.excludes(path) && !filter.is_results(entry)
                || entry.file_name() == entries::FILE
        };
        self.roots.insert(folder.to_owned());
        let entries = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
        for entry in entries.filter_entry(wanted) {
            if stop.is_cancelled() {
                return;
            }
            match entry {
                Ok(entry) if entry.file_name() == entries::FILE && entry.depth() > 0 => {
                    // Reading a pipe of this name would wait for its writer.
                    let journal = entry.file_type().is_file();
                    let folder = entry.path().parent().filter(|_| journal);
                    self.journals.extend(folder.map(Path::to_owned));
                }
                Ok(entry) if entry.file_type().is_file() => {
                    let path = entry.path().strip_prefix(folder).unwrap_or(entry.path());
                    if filter.includes(path) {
                        let relative = within.join(path);
                        self.inputs.push(Input { path: entry.into_path(), relative, named: false });
                    }
                }
                // Folders are entered; devices, pipes and sockets are no photographs.
                Ok(_) => {}
                // A link to a folder that contains it: its files are found without it.
                Err(error) if error.loop_ancestor().is_some() => {}
                Err(error) => self.unreadable(folder, &error),
            }
        }
    }

    fn unreadable(&mut self, folder: &Path, error: &walkdir::Error) {
        let path = error.path().unwrap_or(folder);
        // A link without a target is no photograph.
        if path.is_symlink() && !path.exists() {
            return;
        }
        let words = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
        self.problems.push((path.to_owned(), words));
    }

    /// Adds the files and folders that a pattern matches. Their paths below the results folder start after the folders
    /// without a wildcard.
    fn expand(&mut self, pattern: &Path, filter: &Filter, stop: &CancellationToken) {
        let matches = pattern.to_str().ok_or_else(|| "the pattern is not valid UTF-8".to_owned());
        let matches =
            matches.and_then(|text| glob::glob_with(text, LIKE_A_SHELL).map_err(|error| error.to_string()));
        let start = literal_start(pattern);
        let mut any = false;
        match matches {
            Ok(paths) => {
                for path in paths {
                    match path {
                        Ok(path) => {
                            let relative = path.strip_prefix(&start).unwrap_or(&path).to_owned();
                            any = true;
                            if !path.is_dir() && !filter.includes(&relative) || filter.excludes(&relative) {
                                continue;
                            }
                            self.add(path, relative.clone(), &relative, filter, stop);
                        }
                        Err(error) => {
                            any = true;
                            self.problems.push((error.path().to_owned(), error.error().to_string()));
                        }
                    }
                }
                if !any {
                    self.problems.push((pattern.to_owned(), "no file has such a name".to_owned()));
                }
            }
            Err(words) => self.problems.push((pattern.to_owned(), words)),
        }
    }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        folder
    }

    fn relative(found: &Found) -> Vec<&str> {
        found.inputs.iter().map(|input| input.relative.to_str().unwrap()).collect()
    }

    fn found(arguments: &[PathBuf], include: &[&str], exclude: &[&str]) -> Found {
        let [include, exclude] = [include, exclude]
            .map(|patterns| patterns.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
        let filter = Filter::new(&include, &exclude).unwrap();
        find(arguments, &filter, &CancellationToken::new()).unwrap()
    }

    #[test]
    fn a_folder_is_searched_in_order_without_hidden_files_and_loops() {
        let folder = folder(&["b/2.jpg", "b/10.jpg", "a.jpg", ".hidden.jpg", ".git/x.jpg", "b/.DS_Store"]);
        symlink(folder.path(), folder.path().join("b/loop")).unwrap();
        symlink("nowhere", folder.path().join("b/broken.jpg")).unwrap();
        symlink("2.jpg", folder.path().join("b/link.jpg")).unwrap();
        let found = found(&[folder.path().to_owned()], &[], &[]);
        assert_eq!(relative(&found), ["a.jpg", "b/10.jpg", "b/2.jpg", "b/link.jpg"]);
        assert!(found.problems.is_empty() && found.inputs.iter().all(|input| !input.named));
    }

    #[test]
    fn filters_compare_names_or_paths_without_regard_to_case() {
        let folder = folder(&["a.JPG", "b.tif", "raw/c.jpg", "raw/deep/d.jpg", "e.txt"]);
        let arguments = [folder.path().to_owned()];
        assert_eq!(relative(&found(&arguments, &["*.jpg"], &[])), ["a.JPG", "raw/c.jpg", "raw/deep/d.jpg"]);
        assert_eq!(relative(&found(&arguments, &["*.jpg", "*.tif"], &["raw"])), ["a.JPG", "b.tif"]);
        assert_eq!(relative(&found(&arguments, &["raw/*.jpg"], &[])), ["raw/c.jpg"]);
        assert_eq!(relative(&found(&arguments, &[], &["raw/**", "*.txt"])), ["a.JPG", "b.tif"]);
        assert!(Filter::new(&["[".to_owned()], &[]).is_err());
    }

    #[test]
    fn named_files_and_patterns_keep_their_place_below_the_results_folder() {
        let folder = folder(&["a/1.jpg", "a/b/2.jpg", "a/b/.3.jpg", "a/[x].jpg"]);
        let at = |path: &str| folder.path().join(path);
        assert_eq!(relative(&found(&[at("a/1.jpg"), at("missing.jpg")], &[], &[])), ["1.jpg", "missing.jpg"]);
        assert_eq!(relative(&found(&[at("a/**/*.jpg")], &[], &[])), ["1.jpg", "[x].jpg", "b/2.jpg"]);
        assert_eq!(relative(&found(&[at("a/[x].jpg")], &[], &[])), ["[x].jpg"]);
        assert_eq!(relative(&found(&[at("*")], &[], &[])), ["a/1.jpg", "a/[x].jpg", "a/b/2.jpg"]);
        let none = found(&[at("*.png")], &[], &[]);
        assert!(none.inputs.is_empty() && none.problems[0].1.contains("no file"));
    }

    #[test]
    fn patterns_skip_hidden_folders_and_obey_filters() {
        let folder = folder(&["a/1.jpg", "a/.hid/2.jpg", "b/3.jpg", "b/4.png"]);
        let pattern = [folder.path().join("*/**/*")];
        assert_eq!(relative(&found(&pattern, &[], &[])), ["a/1.jpg", "b/3.jpg", "b/4.png"]);
        assert_eq!(relative(&found(&pattern, &["*.jpg"], &["a"])), ["b/3.jpg"]);
    }

    #[test]
    fn a_list_is_separated_by_nul_or_by_lines() {
        let paths =
            |list: &[u8]| listed(list).iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        assert_eq!(paths(b"a b.jpg\r\n\nc.jpg"), ["a b.jpg", "c.jpg"]);
        assert_eq!(paths(b"a\nb.jpg\0c.jpg\0"), ["a\nb.jpg", "c.jpg"]);
        assert!(listed(b"").is_empty());
        assert_eq!(below(Path::new("/scans/./../box 1/a.jpg")), Path::new("scans/box 1/a.jpg"));
    }

    #[test]
    fn a_folder_with_a_journal_is_reported() {
        let folder = folder(&["out/a.jpg", "b.jpg"]);
        fs::write(folder.path().join("out").join(entries::FILE), "").unwrap();
        let found = found(&[folder.path().to_owned()], &[], &[]);
        assert_eq!(found.journals, [folder.path().join("out")]);
        assert_eq!(relative(&found), ["b.jpg", "out/a.jpg"]);
    }
}
