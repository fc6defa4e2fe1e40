//! What a run prints: a progress line on a terminal, a line for each result elsewhere, or JSON.

use std::io::{IsTerminal, stderr, stdout};
use std::time::Instant;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use super::super::{complain, say};
use super::batch::Progress;
use super::report::{Row, Status};

/// Up to this many pictures, a terminal shows a line for each result, too.
const FEW: usize = 20;

pub struct Screen {
    bar: ProgressBar,
    start: Instant,
    /// Whether results have a line.
    lines: bool,
    quiet: bool,
    json: bool,
}

impl Screen {
    /// For a run that colours `count` pictures.
    pub fn new(count: usize, quiet: bool, json: bool) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(count as u64) };
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos} of {len}{msg}") {
            bar.set_style(style);
        }
        let lines = !quiet && !json && (count <= FEW || !stderr().is_terminal() || !stdout().is_terminal());
        Self { bar, start: Instant::now(), lines, quiet, json }
    }

    /// Shows the progress after a picture.
    pub fn advance(&self, progress: &Progress) {
        self.bar.inc(1);
        if self.bar.is_hidden() {
            return;
        }
        let seconds = self.start.elapsed().as_secs_f64().max(0.001);
        let failed = match progress.failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        self.bar.set_message(format!(
            ", {:.1} pictures/s, {:.1} MP/s{failed}, {} credits, {} left",
            progress.colored as f64 / seconds,
            progress.pixels as f64 / 1e6 / seconds,
            progress.credits,
            HumanDuration(self.bar.eta()),
        ));
    }

    /// Prints the row of an input.
    pub fn row(&self, row: &Row) {
        if self.json {
            self.line(row, true);
            return;
        }
        match row.status {
            Status::Colored | Status::Passed => {
                if self.lines {
                    self.line(row, false);
                }
                if let (Some(damage), false) = (&row.reason, self.quiet) {
                    self.warn(format_args!("{}: the file is damaged. {damage}", row.path));
                }
            }
            Status::Failed => {
                self.warn(format_args!("{}: {}", row.path, row.reason.as_deref().unwrap_or_default()));
            }
            Status::Done | Status::Skipped | Status::Left => {}
        }
    }

    fn line(&self, row: &Row, json: bool) {
        self.bar.suspend(|| match json {
            true => say(serde_json::to_string(row).unwrap_or_default()),
            false => say(printable(&sentence(row))),
        });
    }

    /// Prints a line to standard error without damage to the progress line.
    pub fn warn(&self, text: impl std::fmt::Display) {
        self.bar.suspend(|| complain(printable(&text.to_string())));
    }

    /// Removes the progress line.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// Escapes control characters, because the name of a file must not control the terminal.
pub fn printable(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// The line of a result.
fn sentence(row: &Row) -> String {
    let output = row.output.as_deref().unwrap_or_default();
    match &row.provider {
        Some(provider) => format!(
            "{output}: coloured by {provider}{} in {:.1} s, {} credits",
            if row.cached == Some(true) { " before, found in the cache" } else { "" },
            row.seconds.unwrap_or_default(),
            row.credits.as_deref().unwrap_or("unknown"),
        ),
        None => format!("{output}: {} is in colour already and was not coloured again", row.path),
    }
}
