//! Plans a run before its first picture is coloured: what happens to each input, and where its result goes.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::super::{CliError, output};
use super::entries::{Entries, Entry, settings_number};
use super::inputs::{Found, Input};
use super::probe::{Probe, probe_all};
use super::record::Stamp;
use super::settings::Settings;
use crate::photo::{COLORED, Depth, OutputFormat};

/// Extensions of pictures. A file with one of them is not skipped if it cannot be read: it is damaged, or a person has to
/// convert it.
const PICTURES: [&str; 22] = [
    "jpg", "jpeg", "jpe", "png", "webp", "tif", "tiff", "bmp", "gif", "jxl", "heic", "heif", "avif", "jp2",
    "cr2", "cr3", "nef", "arw", "dng", "orf", "raf", "rw2",
];

/// An input and what happens to it.
#[derive(Debug)]
pub struct Planned {
    pub input: Input,
    pub action: Action,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// It is coloured.
    Color(Target),
    /// The result of an earlier run is complete.
    Done {
        output: PathBuf,
        /// The result's path in the journal.
        key: PathBuf,
    },
    /// It is no photograph; the reason.
    Skip(String),
    /// It cannot be coloured; the reason.
    Fail(String),
}

impl Planned {
    /// The input's target, if it is coloured.
    pub fn target(&self) -> Option<(&Self, &Target)> {
        match &self.action {
            Action::Color(target) => Some((self, target)),
            _ => None,
        }
    }

    /// Whether the input is a photograph, or should be one.
    pub fn counts(&self) -> bool {
        !matches!(self.action, Action::Skip(_))
    }
}

/// Where a result goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub output: PathBuf,
    pub format: OutputFormat,
    /// The size of the input file in bytes.
    pub size: u64,
    /// Whether an existing file is replaced.
    pub replace: bool,
    /// Whether the original has other content than its record says, but the same size and time: it may be damaged.
    pub suspicious: bool,
}

/// Plans all inputs. Returns early if `stop` is cancelled. `others` are the journals of other results folders. Fails if the report
/// would overwrite a photograph.
pub fn plan(
    found: Found,
    settings: &Settings,
    journal: &Entries,
    others: &[Entries],
    report: Option<&Path>,
    stop: &CancellationToken,
) -> Result<Vec<Planned>, CliError> {
    let mut planner = Planner {
        settings,
        journal,
        others,
        folders: HashMap::new(),
        claimed: HashMap::new(),
        writable: HashMap::new(),
        originals: HashSet::new(),
        stems: HashSet::new(),
    };
    let inputs = planner.distinct(found.inputs);
    let probes = probe_all(&inputs, stop);
    planner.note_pictures(&inputs, &probes);
    let own: Vec<bool> =
        inputs.iter().zip(&probes).map(|(input, probe)| planner.is_own(input, probe)).collect();
    let originals = probes.iter().zip(&own).filter(|(_, own)| !**own);
    planner.originals = originals.filter_map(|(probe, _)| Some(probe.as_ref().ok()?.file)).collect();
    let report = report.and_then(|report| report.metadata().ok());
    if report.is_some_and(|report| planner.originals.contains(&(report.dev(), report.ino()))) {
        return Err("the report would overwrite one of the photographs: give it another name".into());
    }
    let failed = |(path, reason): (PathBuf, String)| Planned {
        input: Input { relative: path.clone(), path, named: true },
        action: Action::Fail(reason),
    };
    let mut planned: Vec<Planned> = found.problems.into_iter().map(failed).collect();
    for ((input, probe), own) in inputs.into_iter().zip(probes).zip(own) {
        if stop.is_cancelled() {
            break;
        }
        let action = match own {
            true => Action::Skip("It is a result of this command.".to_owned()),
            false => planner.action(&input, probe),
        };
        planned.push(Planned { input, action });
    }
    Ok(planned)
}

struct Planner<'a> {
    settings: &'a Settings,
    journal: &'a Entries,
    others: &'a [Entries],
    /// The canonical paths of folders.
    folders: HashMap<PathBuf, Option<PathBuf>>,
    /// The input of each planned result.
    claimed: HashMap<PathBuf, PathBuf>,
    /// Whether new files can be made in a folder, or why not.
    writable: HashMap<PathBuf, Result<(), (io::ErrorKind, String)>>,
    /// Device and inode of each input.
    originals: HashSet<(u64, u64)>,
    /// The paths of pictures without extension.
    stems: HashSet<PathBuf>,
}

impl Planner<'_> {
    /// Removes duplicates: paths with the same folder and file name. A link with another name is another photograph.
    fn distinct(&mut self, inputs: Vec<Input>) -> Vec<Input> {
        let mut seen = HashSet::new();
        let mut is_new = |input: &Input| self.absolute(&input.path).is_none_or(|path| seen.insert(path));
        inputs.into_iter().filter(|input| is_new(input)).collect()
    }

    /// Notes the names of pictures, for [`Self::has_name_of_result`].
    fn note_pictures(&mut self, inputs: &[Input], probes: &[io::Result<Probe>]) {
        let pictures = inputs
            .iter()
            .zip(probes)
            .filter(|(_, probe)| probe.as_ref().is_ok_and(|probe| probe.format.is_ok()));
        self.stems = pictures.map(|(input, _)| input.path.with_extension("")).collect();
    }

    /// The path with a canonical folder; `None` if the folder does not exist.
    fn absolute(&mut self, path: &Path) -> Option<PathBuf> {
        let folder = folder_of(path);
        if !self.folders.contains_key(folder) {
            self.folders.insert(folder.to_owned(), folder.canonicalize().ok());
        }
        self.known_folder(path)
    }

    /// As [`Self::absolute`], for a path in a folder that it has resolved.
    fn known_folder(&self, path: &Path) -> Option<PathBuf> {
        Some(self.folders.get(folder_of(path))?.as_ref()?.join(path.file_name()?))
    }

    /// Whether an input is a result: it has the content that a journal recorded, or the name of a result.
    fn is_own(&self, input: &Input, probe: &io::Result<Probe>) -> bool {
        let Some(absolute) = self.known_folder(&input.path) else { return false };
        let mut entries =
            std::iter::once(self.journal).chain(self.others).filter_map(|all| all.find(&absolute));
        let recorded = probe.as_ref().is_ok_and(|probe| {
            entries.any(|entry| entry.is_in(&input.path, probe.stamp, self.settings.checksum))
        });
        recorded || !input.named && self.has_name_of_result(&input.path)
    }

    /// Whether a file in a folder is named like the result of a file beside it. Then the journal was lost, or an older
    /// version has written the result.
    fn has_name_of_result(&self, path: &Path) -> bool {
        let stem = path.file_stem().map(OsStr::as_bytes).unwrap_or_default();
        let original = stem.strip_suffix(COLORED.as_bytes()).filter(|stem| !stem.is_empty());
        original.is_some_and(|stem| self.stems.contains(&path.with_file_name(OsStr::from_bytes(stem))))
    }

    fn action(&mut self, input: &Input, probe: io::Result<Probe>) -> Action {
        let probe = match probe {
            Ok(probe) => probe,
            Err(error) => return Action::Fail(error.to_string()),
        };
        let format = match probe.format {
            Ok(format) => self.settings.format_of(format),
            Err(reason) if input.named || has_picture_extension(&input.path) => return Action::Fail(reason),
            Err(reason) => return Action::Skip(reason),
        };
        if self.settings.depth == Depth::Sixteen && !format.has_16_bits() {
            return Action::Fail(format!(
                "a {format} has 8 bits per sample: add `--format tiff` or `--format png`"
            ));
        }
        let output = self.settings.output_of(input, format);
        if let Some(other) = self.claimed.get(&output) {
            let (output, other) = (output.display(), other.display());
            return Action::Fail(format!("{output} is already the result of another photograph, {other}"));
        }
        self.claimed.insert(output.clone(), input.path.clone());
        match self.state_of(&output, probe.stamp, input) {
            Ok(OutputState::Done { key }) => Action::Done { output, key },
            Ok(OutputState::Free { replace, suspicious }) => {
                Action::Color(Target { output, format, size: probe.stamp.size, replace, suspicious })
            }
            Err(reason) => Action::Fail(reason),
        }
    }

    fn state_of(&mut self, output: &Path, original: Stamp, input: &Input) -> Result<OutputState, String> {
        let unwritable = |error: io::Error| output::OutputError::new(output, error).to_string();
        let Some(there) = output::existing(output).map_err(unwritable)? else {
            self.check_folder(output)?;
            return Ok(OutputState::Free { replace: false, suspicious: false });
        };
        if self.originals.contains(&(there.dev(), there.ino())) {
            let output = output.display();
            return Err(format!(
                "the result would overwrite {output}, which is itself one of the photographs"
            ));
        }
        let replace = |planner: &mut Self, suspicious| {
            planner.check_folder(output).map(|()| OutputState::Free { replace: true, suspicious })
        };
        if self.settings.force {
            return replace(self, false);
        }
        let key = self.key(output).ok_or("its folder is gone")?;
        let Some(entry) = self.journal.get(&key) else {
            return Err(format!(
                "{} exists and was not written by this command: move it, or replace it with `--force`",
                output.display()
            ));
        };
        match self.compare(entry, output, Stamp::from(&there), original, input) {
            Ok(Own::Current) => Ok(OutputState::Done { key }),
            Ok(Own::Outdated { suspicious }) => replace(self, suspicious),
            Ok(Own::Changed) => Err(format!(
                "{} is not, or not any more, what this command wrote there: move it, or replace it with `--force`",
                output.display()
            )),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Compares a result with its record.
    fn compare(
        &self,
        entry: &Entry,
        output: &Path,
        result: Stamp,
        original: Stamp,
        input: &Input,
    ) -> io::Result<Own> {
        let checksum = self.settings.checksum;
        if !entry.result.is_in(output, result, checksum)? {
            for earlier in &entry.earlier {
                if earlier.is_in(output, result, checksum)? {
                    return Ok(Own::Outdated { suspicious: false });
                }
            }
            return Ok(Own::Changed);
        }
        let same_original = entry.original.is_in(&input.path, original, checksum)?;
        let same_settings = entry.settings == settings_number(&self.settings.hash);
        Ok(match same_original && same_settings {
            true => Own::Current,
            false => Own::Outdated { suspicious: !same_original && original == entry.original.stamp },
        })
    }

    /// The key of a result in the journal.
    fn key(&mut self, output: &Path) -> Option<PathBuf> {
        match &self.settings.output {
            Some(folder) => output.strip_prefix(folder).ok().map(Path::to_owned),
            None => self.absolute(output),
        }
    }

    /// Checks that a file can be made in the folder of a result. A folder that does not exist yet is made later; then
    /// its closest existing parent counts.
    fn check_folder(&mut self, output: &Path) -> Result<(), String> {
        let folder = output.parent().unwrap_or(Path::new(""));
        if !self.writable.contains_key(folder) {
            let existing = folder.ancestors().find(|folder| folder.as_os_str().is_empty() || folder.exists());
            let probe = existing.unwrap_or(folder).join(output.file_name().unwrap_or_default());
            let checked = match self.settings.dry_run {
                true => output::check_permissions(&probe),
                false => output::check_folder(&probe),
            };
            let checked = checked.map_err(|error| (error.kind(), error.to_string()));
            self.writable.insert(folder.to_owned(), checked);
        }
        match self.writable.get(folder) {
            Some(Err((kind, text))) => {
                Err(output::OutputError::new(output, io::Error::new(*kind, text.clone())).to_string())
            }
            _ => Ok(()),
        }
    }
}

enum OutputState {
    Free { replace: bool, suspicious: bool },
    Done { key: PathBuf },
}

/// The state of an own result.
enum Own {
    /// Of this input, with these settings.
    Current,
    /// Of an earlier state of the input, or with other settings.
    Outdated { suspicious: bool },
    /// Changed by another program.
    Changed,
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn has_picture_extension(path: &Path) -> bool {
    let extension = path.extension().map(OsStr::to_ascii_lowercase);
    extension.is_some_and(|extension| PICTURES.iter().any(|known| extension == *known))
}
