//! Reads journals: which results `colorize` has written, from which inputs and with which settings.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::super::CliError;
use super::record::{Content, Record, Stamp};

/// The journal's name in a results folder.
pub const FILE: &str = ".pixcolor-journal";

/// The name in the user's state folder of the journal for results beside their originals.
pub const STATE_FILE: &str = "colorize-journal";

/// What is in memory of the records of one result.
#[derive(Clone, Debug)]
pub struct Entry {
    pub original: Content,
    pub result: Content,
    pub settings: u64,
    /// The earlier contents of the result. If the last result did not get its name, one of them has it.
    pub earlier: Vec<Content>,
    /// Where its line begins in the file, in bytes.
    pub place: u64,
}

impl Entry {
    /// Whether a file has the content of this result, or an earlier one. A file that cannot be read has not.
    pub fn is_in(&self, path: &Path, stamp: Stamp, checksum: bool) -> bool {
        let contents = std::iter::once(&self.result).chain(&self.earlier);
        contents.into_iter().any(|content| content.is_in(path, stamp, checksum).unwrap_or_default())
    }
}

/// The records of one journal, by the path of the result.
#[derive(Debug, Default)]
pub struct Entries {
    by_output: HashMap<PathBuf, Entry>,
    /// The folder of relative paths.
    folder: Option<PathBuf>,
}

impl Entries {
    /// The entry of a file by its absolute path.
    pub fn find(&self, absolute: &Path) -> Option<&Entry> {
        self.get(match &self.folder {
            Some(folder) => absolute.strip_prefix(folder).ok()?,
            None => absolute,
        })
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.by_output.len()
    }

    pub fn get(&self, output: &Path) -> Option<&Entry> {
        self.by_output.get(output)
    }

    /// Reads the journal of a results folder; `None` if it has none.
    pub fn of_folder(folder: &Path) -> io::Result<Option<Self>> {
        let folder = folder.canonicalize()?;
        Self::read(&folder.join(FILE), Some(folder))
    }

    /// Reads the user's journal; `None` if there is none.
    pub fn of_user() -> io::Result<Option<Self>> {
        match user_folder() {
            Some(folder) => Self::read(&folder.join(STATE_FILE), None),
            None => Ok(None),
        }
    }

    fn read(path: &Path, folder: Option<PathBuf>) -> io::Result<Option<Self>> {
        let Some(mut file) = open_journal(path)? else { return Ok(None) };
        Ok(Some(Self::load(folder, &mut file)?.0))
    }

    /// Reads all complete lines. `folder` is that of relative paths. Also returns the length of the file up to the end
    /// of the last complete line.
    pub fn load(folder: Option<PathBuf>, file: &mut File) -> io::Result<(Self, u64)> {
        let mut entries = Self { folder, ..Self::default() };
        let complete = each_record(file, |record, place| entries.add(record, place))?;
        Ok((entries, complete))
    }

    fn add(&mut self, record: Record, place: u64) {
        let Record { output, result, original, settings, .. } = record;
        let settings = settings_number(&settings);
        let before = self.by_output.remove(&output);
        let mut earlier = before.map_or_else(Vec::new, |before| {
            let Entry { mut earlier, result, .. } = before;
            earlier.push(result);
            earlier
        });
        earlier.retain(|content| *content != result);
        self.by_output.insert(output, Entry { original, result, settings, earlier, place });
    }
}

/// Reads all complete lines, and passes each record with its place in the file to `note`. Returns the length of the
/// file up to the end of the last complete line.
fn each_record(file: &mut File, mut note: impl FnMut(Record, u64)) -> io::Result<u64> {
    let mut lines = BufReader::with_capacity(256 << 10, file);
    let (mut place, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let length = lines.read_until(b'\n', &mut line)? as u64;
        if line.last() != Some(&b'\n') {
            return Ok(place);
        }
        // A line that cannot be parsed is from another version. Its result then counts as another's file.
        if let Ok(record) = serde_json::from_slice(&line) {
            note(record, place);
        }
        place += length;
    }
}

/// The original of each result in a folder and the folders in it, by the absolute path of the result. The folder's path
/// must be canonical. Reads the user's journal, and those of the folder and its parents, because the folder may be a
/// part of a results folder.
pub fn originals_of(folder: &Path) -> Result<BTreeMap<PathBuf, PathBuf>, CliError> {
    let mut journals: Vec<(PathBuf, &Path)> =
        folder.ancestors().map(|parent| (parent.join(FILE), parent)).collect();
    // Its paths are absolute, and joining an absolute path replaces the folder.
    journals.extend(user_folder().map(|state| (state.join(STATE_FILE), folder)));
    let mut originals = BTreeMap::new();
    for (path, parent) in journals {
        let named = |error| named(&path, &error);
        let Some(mut file) = crate::files::there(File::open(&path)).map_err(named)? else { continue };
        let note = |record: Record, _| {
            let result = parent.join(record.output);
            if result.starts_with(folder) {
                originals.insert(result, record.input);
            }
        };
        each_record(&mut file, note).map_err(named)?;
    }
    Ok(originals)
}

/// The part of the settings' hash that is in memory.
pub fn settings_number(settings: &str) -> u64 {
    u64::from_str_radix(settings.get(..16).unwrap_or_default(), 16).unwrap_or_default()
}

/// Opens a journal for reading; `None` if there is none. Opening a pipe would wait for its writer.
pub fn open_journal(path: &Path) -> io::Result<Option<File>> {
    match crate::files::there(path.metadata())? {
        Some(data) if data.is_file() => File::open(path).map(Some),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")),
        None => Ok(None),
    }
}

/// The user's folder for state (XDG Base Directory Specification): `$XDG_STATE_HOME/pixcolor`, by default
/// `~/.local/state/pixcolor`.
pub fn user_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    state.map(|folder| folder.join("pixcolor"))
}

pub fn named(path: &Path, error: &io::Error) -> CliError {
    format!("the journal {}: {error}", path.display()).into()
}
