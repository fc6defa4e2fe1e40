//! Colours the planned pictures, some at a time, until all are done, a signal stops the batch, or a limit is reached.

use std::cell::Cell;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use tokio::time::{Instant, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::super::signals::{Signals, StopSignal};
use super::plan::{Planned, Target};
use super::report::{Report, Row, Status};
use super::screen::Screen;
use super::work::PictureResult;
use crate::credit::Credits;

/// How often the report is written to its file.
const FLUSH: Duration = Duration::from_secs(2);

/// The progress of a run. Skipped inputs are not counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Number of inputs.
    pub count: usize,
    /// Inputs with a result of this run.
    pub colored: usize,
    /// Inputs with a result of an earlier run.
    pub before: usize,
    pub skipped: usize,
    pub failed: usize,
    /// Photographs whose content has changed, but not their size and time.
    pub suspicious: usize,
    /// Photographs that were started but have neither a result nor an error.
    pub cut_off: usize,
    /// Pixels of the results of this run.
    pub pixels: u64,
    /// Sum of the known costs.
    pub credits: Credits,
    /// The signal that stopped the batch.
    pub stopped_by: Option<StopSignal>,
    /// Whether `--max-credits` stopped the batch.
    pub over_limit: bool,
}

/// What the batch needs besides its pictures.
pub struct Batch<'a> {
    pub jobs: usize,
    /// How long the pictures in progress may take after a signal.
    pub patience: Duration,
    /// Cancelled by the first signal.
    pub stop: &'a CancellationToken,
    pub screen: &'a Screen,
    pub report: Option<&'a mut Report>,
}

impl Batch<'_> {
    /// Colours every target with `color`. After a signal no further picture is started; a second signal ends the batch
    /// at once. Pictures that were not coloured then have a row, too.
    pub async fn run<'p, F>(
        mut self,
        targets: &[(&'p Planned, &'p Target)],
        signals: &mut Signals,
        progress: &mut Progress,
        color: impl Fn(&'p Planned, &'p Target) -> F,
    ) where
        F: Future<Output = PictureResult>,
    {
        let (begun, over_limit) = (Cell::new(0), CancellationToken::new());
        let work = stream::iter(targets.iter().enumerate())
            .take_until(self.stop.cancelled())
            .take_until(over_limit.cancelled())
            .map(|(index, &(planned, target))| {
                begun.set(begun.get() + 1);
                let result = color(planned, target);
                async move { (index, result.await) }
            });
        let mut results = std::pin::pin!(work.buffer_unordered(self.jobs));
        let mut finished = vec![false; targets.len()];
        let (mut ended, mut end, mut flush) = (0, Instant::now(), interval(FLUSH));
        loop {
            let stopping = progress.stopped_by.is_some();
            tokio::select! {
                result = results.next() => match result {
                    Some((index, result)) => {
                        ended += 1;
                        match result {
                            PictureResult::OverLimit => {
                                progress.over_limit = true;
                                over_limit.cancel();
                            }
                            result => finished[index] = self.note(result, progress),
                        }
                        self.screen.advance(progress);
                    }
                    None => break,
                },
                signal = signals.next() => {
                    progress.stopped_by.get_or_insert(signal);
                    self.stop.cancel();
                    if stopping || self.patience.is_zero() || begun.get() == ended {
                        break;
                    }
                    end = Instant::now() + self.patience;
                    let seconds = self.patience.as_secs();
                    self.screen.warn(format_args!(
                        "Stopping: calls that may cost credit have {seconds} seconds to end. Ctrl+C again cuts them off."
                    ));
                }
                _ = flush.tick() => if let Some(report) = &mut self.report {
                    report.flush();
                },
                () = sleep_until(end), if stopping => break,
            }
        }
        progress.cut_off = begun.get() - ended;
        self.screen.end();
        for ((planned, _), _) in targets.iter().zip(finished).filter(|(_, finished)| !finished) {
            self.show(&Row::new(&planned.input.path, Status::Left, None));
        }
    }

    /// Prints and reports a row.
    fn show(&mut self, row: &Row) {
        self.screen.row(row);
        if let Some(report) = &mut self.report {
            report.write(row);
        }
    }

    /// Counts, prints and reports a result. Returns whether the picture has a row.
    fn note(&mut self, result: PictureResult, progress: &mut Progress) -> bool {
        let row = match result {
            PictureResult::Colored(row, pixels, credits) => {
                progress.colored += 1;
                progress.pixels += pixels;
                progress.credits = progress.credits.plus(credits);
                row
            }
            PictureResult::Failed(row, credits) => {
                progress.failed += 1;
                progress.credits = progress.credits.plus(credits);
                row
            }
            PictureResult::Left | PictureResult::OverLimit => return false,
        };
        self.show(&row);
        true
    }
}

impl Progress {
    /// Counts an input that needs no work.
    pub fn count_planned(&mut self, row: &Row) {
        match row.status {
            Status::Done => self.before += 1,
            Status::Skipped => self.skipped += 1,
            Status::Failed => self.failed += 1,
            Status::Colored | Status::Passed | Status::Left => {}
        }
    }

    pub const fn left(&self) -> usize {
        self.count - self.colored - self.before - self.failed
    }

    pub fn to_json(self) -> serde_json::Value {
        serde_json::json!({
            "photographs": self.count,
            "coloured": self.colored,
            "done": self.before,
            "skipped": self.skipped,
            "failed": self.failed,
            "left": self.left(),
            "credits": self.credits.to_string(),
        })
    }

    pub fn summary(&self) -> String {
        let Self { count, colored, before, failed, cut_off, .. } = self;
        let left = self.left();
        let before = match before {
            0 => String::new(),
            before => format!(", {before} were coloured before"),
        };
        let skipped = match self.skipped {
            0 => String::new(),
            skipped => format!(", {skipped} other files were skipped"),
        };
        let begun = match cut_off {
            0 => String::new(),
            cut_off => format!(" ({cut_off} of them cut off)"),
        };
        format!(
            "{colored} of {count} photographs were coloured{before}, {failed} failed, {left} are left{begun}{skipped}"
        )
    }
}
