//! Writes the journal: which results `colorize` has written, from which inputs and with which settings.
//!
//! It lets an interrupted run continue, and tells the command's own results from other files. A record is one line of
//! JSON. It is written and synced before its result gets its name, so that after a power cut there may be a record
//! without a result, but no result without a record.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::super::CliError;
use super::entries::{Entries, Entry, FILE, STATE_FILE, named, open_journal, user_folder};
use super::record::Record;

/// A journal that is written.
#[derive(Debug, Default)]
pub struct Journal {
    pub entries: Entries,
    /// `None` if there is no journal, or none is written.
    file: Option<Mutex<File>>,
    /// Whether this run alone writes the journal. Runs without a results folder share theirs, and lock it for each
    /// record.
    locked: bool,
}

impl Journal {
    /// Opens the journal of a results folder, or without one the user's. Creates it if necessary.
    pub fn open(output: Option<&Path>) -> Result<Self, CliError> {
        let (path, folder) = match output {
            Some(folder) => (folder.join(FILE), Some(folder.canonicalize()?)),
            None => {
                let folder =
                    user_folder().ok_or("set XDG_STATE_HOME or HOME, or a results folder with `-o`")?;
                fs::create_dir_all(&folder).map_err(|error| named(&folder, &error))?;
                (folder.join(STATE_FILE), None)
            }
        };
        let opened = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let mut file = opened.map_err(|error| match output {
            Some(folder) => format!(
                "the folder {} for the results cannot be written to: {error}; choose another with `-o`",
                folder.display()
            )
            .into(),
            None => named(&path, &error),
        })?;
        let locked = folder.is_some();
        if locked {
            lock(&file, &path)?;
        } else {
            file.lock()?;
        }
        let (entries, complete) = Entries::load(folder, &mut file).map_err(|error| named(&path, &error))?;
        // A line that a power cut left incomplete would spoil the next one.
        if complete < file.metadata()?.len() {
            file.set_len(complete).map_err(|error| named(&path, &error))?;
        }
        if !locked {
            file.unlock()?;
        }
        Ok(Self { entries, file: Some(Mutex::new(file)), locked })
    }

    /// Reads the journal of a results folder, or without one the user's. Writes nothing.
    pub fn read_only(output: Option<&Path>) -> io::Result<Self> {
        let (path, folder) = match output {
            Some(folder) if folder.exists() => (folder.join(FILE), Some(folder.canonicalize()?)),
            Some(_) => return Ok(Self::default()),
            None => match user_folder() {
                Some(folder) => (folder.join(STATE_FILE), None),
                None => return Ok(Self::default()),
            },
        };
        let Some(mut file) = open_journal(&path)? else { return Ok(Self::default()) };
        let (entries, _) = Entries::load(folder, &mut file)?;
        // Records are read from the file. Nothing is written, because it is not open for writing.
        Ok(Self { entries, file: Some(Mutex::new(file)), locked: true })
    }

    /// Appends a record and syncs it.
    pub fn write(&self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let Some(file) = &self.file else { return Ok(()) };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.locked {
            file.lock()?;
        }
        let end = file.metadata()?.len();
        let written = file.write_all(&line).and_then(|()| file.sync_data());
        if written.is_err() {
            // Without this, a part of the line would spoil the next one.
            file.set_len(end)?;
        }
        if !self.locked {
            file.unlock()?;
        }
        written
    }

    /// The record of a result.
    pub fn record(&self, entry: &Entry) -> io::Result<Record> {
        let Some(file) = &self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(entry.place))?;
        let mut line = Vec::new();
        BufReader::new(&mut *file).read_until(b'\n', &mut line)?;
        Ok(serde_json::from_slice(&line)?)
    }
}

fn lock(file: &File, path: &Path) -> Result<(), CliError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let folder = path.parent().unwrap_or(path).display();
            Err(format!("another `pixcolor colorize` is writing to {folder}: wait until it has ended").into())
        }
        // Some network file systems have no locks.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(error)) => Err(named(path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use super::super::entries::originals_of;
    use super::super::record::{Content, Stamp};
    use super::*;

    fn content(byte: u8) -> Content {
        Content { stamp: Stamp { size: u64::from(byte), modified: -5 }, sha256: [byte; 32] }
    }

    fn record(output: &str, result: u8) -> Record {
        Record {
            output: output.into(),
            result: content(result),
            input: OsString::from_vec(b"/caf\xe9 100%.jpg".to_vec()).into(),
            original: content(9),
            settings: "00000000000000ff".to_owned(),
            width: 3,
            height: 2,
            provider: Some("local".to_owned()),
            model: None,
            credits: "0".to_owned(),
            money: None,
            cached: true,
            damage: Some("a third".to_owned()),
        }
    }

    #[test]
    fn records_are_read_as_they_were_written_and_a_cut_off_line_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(Some(folder.path())).unwrap();
        for (output, result) in [("a.png", 1), ("b/c.png", 2), ("a.png", 3)] {
            journal.write(&record(output, result)).unwrap();
        }
        drop(journal);
        let path = folder.path().join(FILE);
        let complete = fs::metadata(&path).unwrap().len();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"output\":\"d").unwrap();
        let journal = Journal::open(Some(folder.path())).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), complete);
        let entry = journal.entries.get(Path::new("a.png")).unwrap();
        assert_eq!((entry.result, &entry.earlier[..], entry.settings), (content(3), &[content(1)][..], 255));
        assert_eq!(journal.record(entry).unwrap(), record("a.png", 3));
        let absolute = folder.path().canonicalize().unwrap();
        assert!(journal.entries.find(&absolute.join("b/c.png")).is_some());
        assert!(journal.entries.find(&absolute.join("c.png")).is_none());
        journal.write(&record("e.png", 4)).unwrap();
        drop(journal);
        assert_eq!(Entries::of_folder(folder.path()).unwrap().unwrap().count(), 3);
    }

    #[test]
    fn the_originals_of_a_folder_are_in_the_journal_of_a_parent_too() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir(root.join("b")).unwrap();
        let journal = Journal::open(Some(&root)).unwrap();
        for output in ["b/d.png", "a.png", "b/c.png", "b/c.png"] {
            journal.write(&record(output, 1)).unwrap();
        }
        // The user's journal may have results of other folders.
        let outputs = |folder: &Path| originals_of(folder).unwrap().into_keys().collect::<Vec<_>>();
        assert_eq!(outputs(&root), ["a.png", "b/c.png", "b/d.png"].map(|name| root.join(name)));
        assert_eq!(outputs(&root.join("b")), ["b/c.png", "b/d.png"].map(|name| root.join(name)));
        assert_eq!(originals_of(&root).unwrap()[&root.join("a.png")], record("a.png", 1).input);
    }

    #[test]
    fn a_line_of_another_version_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "{\"output\":1}\nnoise\n\n").unwrap();
        let journal = Journal::open(Some(folder.path())).unwrap();
        assert_eq!(journal.entries.count(), 0);
        journal.write(&record("a.png", 1)).unwrap();
        drop(journal);
        assert_eq!(Entries::of_folder(folder.path()).unwrap().unwrap().count(), 1);
    }

    #[test]
    fn one_run_at_a_time_writes_to_a_results_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = Journal::open(Some(folder.path())).unwrap();
        let error = Journal::open(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("another `pixcolor colorize` is writing to"), "{error}");
        drop(first);
        Journal::open(Some(folder.path())).unwrap();
    }
}
