//! Colours many photographs, a few at a time, until all are done or a signal stops the batch.

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

/// The result for one photograph.
pub struct FileOutcome {
    /// The line to print: the result's path, provider, time and cost.
    pub line: String,
    /// Describes the missing part if the file is damaged.
    pub damage: Option<String>,
    /// The cost that the gateway reports.
    pub credits: Credits,
}

/// The progress of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Number of photographs in the batch.
    pub count: usize,
    /// Photographs with a result.
    pub done: usize,
    pub failed: usize,
    /// Photographs that were started but have neither a result nor an error.
    pub cut_off: usize,
    /// Sum of the costs that the gateway reports.
    pub credits: Credits,
    /// The signal that stopped the batch.
    pub stopped_by: Option<StopSignal>,
}

/// Colours every file with `color` and prints each result. A signal cancels `stop`: no further file is started, and the
/// files in progress may take `patience` to finish. A second signal ends the batch at once.
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
            // The signal came before the provider was called: the photograph costs nothing and is counted among those
            // that are still to do ("left" in the summary).
            Err(error) if matches!(error.downcast_ref(), Some(Error::Abandoned { .. })) => {}
            Err(error) => {
                self.failed += 1;
                complain(format_args!("{}: {error}", file.display()));
            }
        }
    }

    pub fn summary(&self) -> String {
        let Self { count, done, failed, cut_off, .. } = self;
        let left = count - done - failed;
        let begun = match cut_off {
            0 => String::new(),
            cut_off => format!(" ({cut_off} of them cut off)"),
        };
        format!("{done} of {count} photographs were coloured, {failed} failed, {left} are left{begun}")
    }
}
