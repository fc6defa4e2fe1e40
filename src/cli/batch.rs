//! Many photographs, a few at a time, until all are done or a signal comes.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::signals::{Signals, StopSignal};
use super::{CliError, complain, say};
use crate::credit::Credits;
use crate::gateway::Error;

/// What became of a photograph.
pub struct FileOutcome {
    /// Where the result is, and how it came about.
    pub line: String,
    /// What is missing of it.
    pub damage: Option<String>,
    /// What the answer says it has cost.
    pub credits: Credits,
}

/// How far a batch came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// All photographs.
    pub count: usize,
    /// Those with a result.
    pub done: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that were begun, and neither have a result nor failed.
    pub cut_off: usize,
    /// What the answers say the results have cost.
    pub credits: Credits,
    /// What stopped the batch before its end.
    pub stopped_by: Option<StopSignal>,
}

/// Has every file coloured by `colour`, and says what became of each. After a signal, `stop` is cancelled and no file is
/// begun; those that were begun have `patience` to end. A second signal takes that away.
pub async fn run<F>(
    files: &[PathBuf],
    patience: Duration,
    stop: &CancellationToken,
    color: impl Fn(PathBuf) -> F,
) -> io::Result<Progress>
where
    F: Future<Output = Result<FileOutcome, CliError>>,
{
    let mut signals = Signals::new()?;
    let bar = bar(files.len());
    let at_once = std::thread::available_parallelism().map_or(2, |cores| cores.get() + 1);
    let begun = Cell::new(0);
    let work = stream::iter(files).take_until(stop.cancelled()).map(|file| {
        begun.set(begun.get() + 1);
        let result = color(file.clone());
        async move { (file, result.await) }
    });
    let mut results = std::pin::pin!(work.buffer_unordered(at_once));
    let mut progress = Progress { count: files.len(), ..Progress::default() };
    let mut end = Instant::now();
    loop {
        let stopping = progress.stopped_by.is_some();
        tokio::select! {
            result = results.next() => match result {
                Some((file, result)) => {
                    bar.inc(1);
                    bar.suspend(|| progress.note(file, result));
                }
                None => break,
            },
            signal = signals.next() => {
                progress.stopped_by.get_or_insert(signal);
                stop.cancel();
                let under_way = begun.get() - progress.done - progress.failed;
                if stopping || patience.is_zero() || under_way == 0 {
                    break;
                }
                end = Instant::now() + patience;
                let seconds = patience.as_secs();
                bar.suspend(|| complain(format_args!(
                    "Stopping: calls that may cost credit have {seconds} seconds to end. Ctrl+C again cuts them off."
                )));
            }
            () = sleep_until(end), if stopping => break,
        }
    }
    progress.cut_off = begun.get() - progress.done - progress.failed;
    bar.finish_and_clear();
    Ok(progress)
}

fn bar(count: usize) -> ProgressBar {
    let bar = ProgressBar::new(count as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

impl Progress {
    fn note(&mut self, file: &Path, result: Result<FileOutcome, CliError>) {
        match result {
            Ok(FileOutcome { line, damage, credits }) => {
                self.done += 1;
                self.credits = self.credits.plus(credits);
                say(line);
                if let Some(damage) = damage {
                    complain(format_args!("{}: the file is damaged. {damage}", file.display()));
                }
            }
            // It was under way when the signal came, and costs nothing: it is left.
            Err(error) if matches!(error.downcast_ref(), Some(Error::Abandoned { .. })) => {}
            Err(error) => {
                self.failed += 1;
                complain(format_args!("{}: {error}", file.display()));
            }
        }
    }

    /// How far it came, in a sentence.
    pub fn summary(&self) -> String {
        let Self { count, done, failed, cut_off, .. } = self;
        let left = count - done - failed;
        let begun = match cut_off {
            0 => String::new(),
            cut_off => format!(" ({cut_off} of them cut off)"),
        };
        format!("{done} of {count} photographs were coloured, {failed} failed, {left} remain{begun}")
    }
}
