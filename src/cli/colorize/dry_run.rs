//! `--dry-run`: what a run would do and cost. Nothing is sent to a provider, and no picture to a gateway.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::super::{CliError, complain, say};
use super::batch::Progress;
use super::estimate::{ProviderCost, estimate, print};
use super::pages::Pages;
use super::plan::{Planned, Target};
use super::screen::printable;
use super::work::{Colorer, pages_do_not_fit};
use crate::photo::{self, InputFormat, Limits, OutputFormat, PhotoError, format_of, read_head};

/// Most headers are within this many bytes.
const HEAD: u64 = 64 << 10;

/// A run that is only described.
pub struct DryRun<'a> {
    pub targets: &'a [(&'a Planned, &'a Target)],
    pub pages: Option<&'a Pages>,
    pub colorer: &'a Colorer,
    pub jobs: usize,
    pub stop: &'a CancellationToken,
}

impl DryRun<'_> {
    /// Prints the plan and its estimate. Counts pictures that will fail.
    pub async fn run(&self, progress: &mut Progress, json: bool, quiet: bool) -> Result<(), CliError> {
        let sizes = self.sizes().await?;
        let mut pixels = Vec::new();
        let mut to_color = 0;
        for ((planned, _), size) in self.targets.iter().zip(sizes) {
            match size {
                Ok(pages) => {
                    pixels.extend(pages);
                    to_color += 1;
                }
                Err(reason) => {
                    progress.failed += 1;
                    complain(printable(&format!("{}: {reason}", planned.input.path.display())));
                }
            }
        }
        let costs = estimate(&pixels, self.colorer, self.jobs).await?;
        if json {
            say(to_json(progress, to_color, &pixels, &costs));
        } else if !quiet {
            self.print(progress, to_color, &pixels, &costs);
        }
        Ok(())
    }

    /// The pixels of each page that will be coloured, or why a picture will fail.
    async fn sizes(&self) -> Result<Vec<Result<Vec<u64>, String>>, CliError> {
        let files: Vec<(PathBuf, OutputFormat)> = self
            .targets
            .iter()
            .map(|(planned, target)| (planned.input.path.clone(), target.format))
            .collect();
        let (stopped, pages) = (self.stop.clone(), self.pages.cloned());
        let sizes = move || {
            let files = files.iter().take_while(|_| !stopped.is_cancelled());
            files.map(|(path, format)| pages_of(path, *format, pages.as_ref())).collect()
        };
        Ok(crate::tasks::spawn_blocking(sizes).await?)
    }

    fn print(&self, progress: &Progress, to_color: usize, pixels: &[u64], costs: &[(String, ProviderCost)]) {
        let bytes: u64 = self.targets.iter().map(|(_, target)| target.size).sum();
        say(format_args!(
            "{} photographs: {to_color} to colour ({:.1} megapixels, {:.1} MB), {} done, {} cannot be coloured; {} other files are skipped",
            progress.count,
            pixels.iter().sum::<u64>() as f64 / 1e6,
            bytes as f64 / 1e6,
            progress.before,
            progress.failed,
            progress.skipped,
        ));
        if pixels.is_empty() {
            return;
        }
        if pixels.len() > to_color {
            say(format_args!("They have {} pages, each of which is a call.", pixels.len()));
        }
        print(costs);
        say("Pictures whose colour is in the cache cost nothing; the estimate does not look there.");
    }
}

/// The object of `--json`.
fn to_json(progress: &Progress, to_color: usize, pixels: &[u64], costs: &[(String, ProviderCost)]) -> Value {
    let cost = |(provider, cost): &(String, ProviderCost)| {
        serde_json::json!({
            "provider": provider,
            "credits": { "low": cost.low.to_string(), "high": cost.high.to_string() },
            "money": cost.money.as_ref().map(|money| serde_json::json!({
                "currency": money.currency, "low": money.low.to_string(), "high": money.high.to_string(),
            })),
            "seconds": cost.time.map(|time| time.as_secs_f64()),
        })
    };
    serde_json::json!({ "summary": {
        "photographs": progress.count,
        "to_colour": to_color,
        "calls": pixels.len(),
        "megapixels": pixels.iter().sum::<u64>() as f64 / 1e6,
        "done": progress.before,
        "skipped": progress.skipped,
        "failed": progress.failed,
        "estimates": costs.iter().map(cost).collect::<Vec<_>>(),
    }})
}

/// The pixels of each page of a file that will be coloured.
fn pages_of(path: &Path, format: OutputFormat, wanted: Option<&Pages>) -> Result<Vec<u64>, String> {
    let pages =
        pixels_of(path).map_err(|error| error.to_string())?.ok_or("its header is damaged or cut short")?;
    let count = pages.len() as u32;
    let wanted = wanted.map_or_else(|| (1..=count).collect(), |wanted| wanted.of(count));
    if wanted.len() > 1 && format != OutputFormat::Tiff {
        return Err(pages_do_not_fit(wanted.len(), format));
    }
    let pixels = |page: u32| {
        let missing = PhotoError::NoSuchPage { page, pages: count }.to_string();
        pages.get(page as usize - 1).copied().ok_or(missing)
    };
    wanted.into_iter().map(pixels).collect()
}

/// The number of pixels of each page in a file's header; `None` if it is damaged.
fn pixels_of(path: &Path) -> io::Result<Option<Vec<u64>>> {
    let mut file = File::open(path)?;
    let mut start = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut start)?;
    let of_head = |bytes: &[u8]| Some(vec![read_head(bytes, &Limits::NONE).ok()?.pixels()]);
    if format_of(&start).is_ok_and(|format| format == InputFormat::Tiff) {
        // Its directories may be anywhere.
        let sizes = photo::tiff_sizes(&mut file);
        let pixels = |(width, height): &(u32, u32)| u64::from(*width) * u64::from(*height);
        return Ok(sizes.map(|sizes| sizes.iter().map(pixels).collect()));
    }
    if let Some(pixels) = of_head(&start) {
        return Ok(Some(pixels));
    }
    file.read_to_end(&mut start)?;
    Ok(of_head(&start))
}
