//! Prepares a run: opens the journals, finds the inputs, and plans their results.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::super::{CliError, complain, output};
use super::args::Args;
use super::batch::Progress;
use super::entries::{self, Entries};
use super::inputs::{Filter, Found, find};
use super::journal::Journal;
use super::plan::{Action, Planned, plan};
use super::report::{Report, Row, Status};
use super::screen::Screen;
use super::settings::Settings;

/// The plan of a run.
pub struct Plan {
    pub planned: Vec<Planned>,
    pub settings: Settings,
    pub journal: Journal,
}

impl Plan {
    /// Prints and reports the inputs that need no work. Returns their numbers.
    pub fn show(&self, screen: &Screen, mut report: Option<&mut Report>) -> Progress {
        let count = self.planned.iter().filter(|planned| planned.counts()).count();
        let mut progress = Progress { count, ..Progress::default() };
        for row in self.planned.iter().filter_map(|planned| self.row(planned)) {
            progress.count_planned(&row);
            screen.row(&row);
            if let Some(report) = &mut report {
                report.write(&row);
            }
        }
        for (planned, target) in self.planned.iter().filter_map(Planned::target) {
            if target.suspicious {
                progress.suspicious += 1;
                screen.warn(format_args!(
                    "{}: its content has changed, but not its size and time: it may be damaged",
                    planned.input.path.display()
                ));
            }
        }
        progress
    }

    /// The row of an input that needs no work.
    fn row(&self, planned: &Planned) -> Option<Row> {
        let path = &planned.input.path;
        let (output, key) = match &planned.action {
            Action::Color(_) => return None,
            Action::Skip(reason) => return Some(Row::new(path, Status::Skipped, Some(reason.clone()))),
            Action::Fail(reason) => return Some(Row::new(path, Status::Failed, Some(reason.clone()))),
            Action::Done { output, key } => (output, key),
        };
        let record = self.journal.entries.get(key).and_then(|entry| self.journal.record(entry).ok());
        Some(match record {
            Some(record) => Row::of_record(path, output, Status::Done, &record),
            None => Row::new(path, Status::Done, None),
        })
    }
}

/// Finds the inputs and plans their results.
pub fn prepare(args: &Args, settings: Settings, stop: &CancellationToken) -> Result<Plan, CliError> {
    let folder = settings.output.as_deref();
    let journal = match args.dry_run {
        true => Journal::read_only(folder).unwrap_or_else(|error| {
            complain(format_args!("the journal cannot be read and is ignored: {error}"));
            Journal::default()
        }),
        false => open_journal(folder)?,
    };
    let filter = Filter::new(&args.include, &args.exclude)?.without_results(folder);
    let found = find(&args.paths, &filter, stop)?;
    let others = other_journals(&found, folder);
    let planned = plan(found, &settings, &journal.entries, &others, args.report.as_deref(), stop)?;
    if !args.dry_run {
        let folders: HashSet<&Path> =
            planned.iter().filter_map(|it| it.target()?.1.output.parent()).collect();
        for folder in folders {
            output::remove_leftovers(folder);
        }
    }
    Ok(Plan { planned, settings, journal })
}

/// The journals of other runs whose results may be among the inputs: in the searched folders, in those above them, and
/// the user's.
fn other_journals(found: &Found, folder: Option<&Path>) -> Vec<Entries> {
    let roots = found.roots.iter().filter_map(|root| match root.as_os_str().is_empty() {
        true => Path::new(".").canonicalize().ok(),
        false => root.canonicalize().ok(),
    });
    let above = roots.flat_map(|root| root.ancestors().map(Path::to_owned).collect::<Vec<_>>());
    let mut folders: HashSet<PathBuf> = above.filter(|folder| folder.join(entries::FILE).is_file()).collect();
    folders.extend(found.journals.iter().filter_map(|folder| folder.canonicalize().ok()));
    if let Some(own) = folder.and_then(|folder| folder.canonicalize().ok()) {
        folders.remove(&own);
    }
    let read = folders.iter().map(|folder| (folder.join(entries::FILE), Entries::of_folder(folder)));
    let user = folder.map(|_| (PathBuf::from("the user's journal"), Entries::of_user()));
    let entries = read.chain(user).filter_map(|(path, entries)| {
        let warn =
            |error| complain(format_args!("{} cannot be read and is ignored: {error}", path.display()));
        entries.map_err(warn).ok().flatten()
    });
    entries.collect()
}

fn open_journal(folder: Option<&Path>) -> Result<Journal, CliError> {
    let Some(folder) = folder else {
        return Ok(Journal::open(None).unwrap_or_else(|error| {
            complain(format_args!("{error}; without a journal, the next run will not know these results"));
            Journal::default()
        }));
    };
    std::fs::create_dir_all(folder).map_err(|error| {
        format!(
            "the folder {} for the results cannot be made: {error}; choose another with `-o`",
            folder.display()
        )
    })?;
    Journal::open(Some(folder))
}
