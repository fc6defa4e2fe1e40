//! Colours one file: reads it, has its pages coloured, and writes the result with its record.

use std::fs::{File, FileTimes};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::super::CliError;
use super::super::output::{Attributes, Part};
use super::super::remote::Remote;
use super::journal::Journal;
use super::local::Local;
use super::pages::Pages;
use super::plan::{Planned, Target};
use super::record::{Content, Record, Stamp};
use super::report::{Row, Status};
use super::retry::{self, Failed};
use super::settings::Settings;
use super::spending::Spending;
use crate::credit::{Credits, Money};
use crate::gateway::{Error, RenditionOptions, Upload};
use crate::photo::{DecodeOptions, InputFormat, Limits, OutputFormat, PhotoError, join_pages, read_head};
use crate::tasks;

/// Bytes of a permit of the memory for files.
const PERMIT: u64 = 64 << 10;

/// A coloured page.
#[derive(Clone, Debug, Default)]
pub struct ColoredPicture {
    pub bytes: Bytes,
    pub width: u32,
    pub height: u32,
    /// `None` if the photograph was already in colour and is returned unchanged.
    pub provider: Option<String>,
    pub model: Option<String>,
    /// `None`: unknown.
    pub credits: Option<Credits>,
    pub money: Option<Money>,
    /// Describes the missing part if the photograph's file is damaged.
    pub damage: Option<String>,
    /// Whether the result or its colour comes from a cache.
    pub cached: bool,
}

/// Colours photographs in this process, or through a gateway.
pub enum Colorer {
    Here(Local),
    There { remote: Remote, provider: Option<String> },
}

/// What happened to a file of the plan.
pub enum PictureResult {
    /// The row, the pixels of the result and the known cost.
    Colored(Box<Row>, u64, Credits),
    /// The row and the known cost.
    Failed(Box<Row>, Credits),
    /// A signal came before its call began.
    Left,
    /// The limit of `--max-credits` is reached.
    OverLimit,
}

/// A signal came before the picture's call.
#[derive(Debug, thiserror::Error)]
#[error("the run was stopped")]
pub struct Interrupted;

/// What all files of a run share.
pub struct Work {
    pub colorer: Colorer,
    pub settings: Settings,
    pub options: RenditionOptions,
    pub pages: Option<Pages>,
    /// Whether results get the times of their originals.
    pub preserve: bool,
    pub journal: Arc<Journal>,
    pub spending: Spending,
    /// The most that one call may cost.
    pub most: Credits,
    pub memory: FileMemory,
    pub stop: tokio_util::sync::CancellationToken,
}

/// Limits the memory of the files that are being coloured.
pub struct FileMemory {
    permits: Semaphore,
    /// Maximum bytes of one file.
    largest: u64,
}

impl FileMemory {
    /// `all`: bytes of all files together.
    pub fn new(largest: u64, all: u64) -> Self {
        let permits = all.max(largest).div_ceil(PERMIT).min(Semaphore::MAX_PERMITS as u64);
        Self { permits: Semaphore::new(permits as usize), largest }
    }

    /// Waits for the memory of a file of `size` bytes.
    async fn reserve(&self, size: u64) -> Result<tokio::sync::SemaphorePermit<'_>, CliError> {
        if size > self.largest {
            let limit = self.largest;
            return Err(format!("the file has {size} bytes, and `limits.file_bytes` is {limit}").into());
        }
        let permits = u32::try_from(size.div_ceil(PERMIT)).unwrap_or(u32::MAX);
        Ok(self.permits.acquire_many(permits).await?)
    }
}

/// An input file in memory.
struct Original {
    upload: Upload,
    content: Content,
    attributes: Attributes,
}

impl Work {
    pub async fn color(&self, planned: &Planned, target: &Target) -> PictureResult {
        let start = Instant::now();
        let path = &planned.input.path;
        let Failed { error, cost } = match self.color_file(path, target, start).await {
            Ok(result) => return result,
            Err(failed) => failed,
        };
        // The signal came before a provider was called.
        let interrupted =
            error.is::<Interrupted>() || matches!(error.downcast_ref(), Some(Error::Abandoned { .. }));
        if interrupted && cost == Some(Credits::ZERO) {
            return PictureResult::Left;
        }
        let row = Row {
            credits: Some(cost.map_or("unknown".to_owned(), |cost| cost.to_string())),
            seconds: Some(rounded(start.elapsed())),
            ..Row::new(path, Status::Failed, Some(error.to_string()))
        };
        PictureResult::Failed(Box::new(row), cost.unwrap_or_default())
    }

    async fn color_file(
        &self,
        path: &Path,
        target: &Target,
        start: Instant,
    ) -> Result<PictureResult, Failed> {
        let _memory = self.memory.reserve(target.size).await?;
        let original = self.read(path).await?;
        let pages = self.pages_of(&original.upload.bytes, target.format)?;
        let most = Credits::from_micro(self.most.micro().saturating_mul(pages.len() as i64));
        let Some(reserved) = self.spending.reserve(most).await else { return Ok(PictureResult::OverLimit) };
        let (colored, cost, ended) = self.color_pages(&original.upload, &pages, target.format).await;
        reserved.settle(cost);
        ended.map_err(|error| Failed { error, cost })?;
        let saved = self.save(path, &original, target, colored).await;
        let record = saved.map_err(|error| Failed { error, cost })?;
        let status = if record.provider.is_some() { Status::Colored } else { Status::Passed };
        let row = Row {
            cached: Some(record.cached),
            seconds: Some(rounded(start.elapsed())),
            ..Row::of_record(path, &target.output, status, &record)
        };
        let pixels = u64::from(record.width) * u64::from(record.height);
        Ok(PictureResult::Colored(Box::new(row), pixels, cost.unwrap_or_default()))
    }

    /// Colours pages, up to the first error. Also returns the cost of all calls; `None` if it is unknown.
    async fn color_pages(
        &self,
        upload: &Upload,
        pages: &[u32],
        format: OutputFormat,
    ) -> (Vec<ColoredPicture>, Option<Credits>, Result<(), CliError>) {
        let mut colored = Vec::with_capacity(pages.len());
        for &page in pages {
            let failed = match self.stop.is_cancelled() {
                true => Failed { error: Interrupted.into(), cost: Some(Credits::ZERO) },
                false => match self.color_page(upload.clone(), page, format).await {
                    Ok(page) => {
                        colored.push(page);
                        continue;
                    }
                    Err(failed) => failed,
                },
            };
            let cost = sum(&colored, |page| page.credits).zip(failed.cost);
            return (colored, cost.map(|(one, other)| one.plus(other)), Err(failed.error));
        }
        let cost = sum(&colored, |page| page.credits);
        (colored, cost, Ok(()))
    }

    /// Reads a file and computes its SHA-256.
    async fn read(&self, path: &Path) -> Result<Original, CliError> {
        let (path, largest, preserve) = (path.to_owned(), self.memory.largest, self.preserve);
        let read = move || -> io::Result<Original> {
            let mut file = File::open(&path)?;
            let data = file.metadata()?;
            let mut bytes = Vec::with_capacity(data.len().min(largest) as usize);
            file.by_ref().take(largest + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > largest {
                return Err(io::Error::other("the file has become larger than `limits.file_bytes`"));
            }
            let upload = Upload::new(bytes.into());
            let content = Content { stamp: Stamp::from(&data), sha256: upload.fingerprint.0 };
            let times = match preserve {
                true => Some(FileTimes::new().set_modified(data.modified()?).set_accessed(data.accessed()?)),
                false => None,
            };
            let attributes = Attributes { times, most_permissions: Some(data.mode()) };
            Ok(Original { upload, content, attributes })
        };
        Ok(tasks::spawn_blocking(read).await??)
    }

    /// The pages to colour: the chosen ones, or by default all that the result can hold.
    fn pages_of(&self, bytes: &[u8], format: OutputFormat) -> Result<Vec<u32>, CliError> {
        // A file that is no photograph is refused by the gateway.
        let count = read_head(bytes, &Limits::NONE)
            .ok()
            .filter(|head| head.format == InputFormat::Tiff)
            .map_or(1, |head| head.pages);
        let pages = match &self.pages {
            Some(pages) => pages.of(count),
            None => (1..=count).collect(),
        };
        // Found before the first page is paid for.
        if let Some(&page) = pages.iter().find(|&&page| page > count) {
            return Err(PhotoError::NoSuchPage { page, pages: count }.into());
        }
        if pages.len() > 1 && format != OutputFormat::Tiff {
            return Err(pages_do_not_fit(pages.len(), format).into());
        }
        Ok(pages)
    }

    async fn color_page(
        &self,
        upload: Upload,
        page: u32,
        format: OutputFormat,
    ) -> Result<ColoredPicture, Failed> {
        let decode = DecodeOptions { page, ..self.options.decode };
        let options = RenditionOptions { format: Some(format), decode, ..self.options };
        match &self.colorer {
            Colorer::Here(local) => {
                retry::color(async || local.color(upload.clone(), options).await, &self.stop).await
            }
            // Each attempt first asks for the result by the photograph's SHA-256: if a response was lost, the picture
            // is neither uploaded nor paid for again.
            Colorer::There { remote, provider } => {
                retry::color(async || remote.color(&upload, provider.as_deref(), &options).await, &self.stop)
                    .await
            }
        }
    }

    /// Writes the result and its record.
    async fn save(
        &self,
        path: &Path,
        original: &Original,
        target: &Target,
        pages: Vec<ColoredPicture>,
    ) -> Result<Record, CliError> {
        let settings = self.settings.hash.clone();
        let (content, attributes, target) = (original.content, original.attributes, target.clone());
        let (input, folder, journal) = (path.to_owned(), self.settings.output.clone(), self.journal.clone());
        let save = move || -> Result<Record, CliError> {
            let (bytes, facts) = joined(pages)?;
            let key = prepare(&target.output, folder.as_deref())?;
            let part = Part::write(&target.output, &bytes, &attributes)?;
            let stamp = Stamp::from(&part.metadata()?);
            let record = Record {
                output: key,
                result: Content { stamp, sha256: Sha256::digest(&bytes).into() },
                input: std::path::absolute(&input)?,
                original: content,
                settings,
                width: facts.width,
                height: facts.height,
                provider: facts.provider,
                model: facts.model,
                credits: facts.credits.map_or("unknown".to_owned(), |credits| credits.to_string()),
                money: facts.money.map(|money| money.to_string()),
                cached: facts.cached,
                damage: facts.damage,
            };
            journal.write(&record).map_err(|error| format!("the journal: {error}"))?;
            part.publish(&target.output, target.replace)?;
            Ok(record)
        };
        tasks::spawn_blocking(save).await?
    }
}

/// The error for more pages than a format can hold.
pub fn pages_do_not_fit(count: usize, format: OutputFormat) -> String {
    format!("{count} pages do not fit into one {format}: choose one with `--pages N`, or add `--format tiff`")
}

/// Makes the folder of a result. Returns the result's path in the journal.
fn prepare(output: &Path, folder: Option<&Path>) -> Result<PathBuf, CliError> {
    let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(|error| {
        format!("the folder {} for the results cannot be made: {error}", parent.display())
    })?;
    match folder {
        Some(folder) => Ok(output.strip_prefix(folder)?.to_owned()),
        None => Ok(parent.canonicalize()?.join(output.file_name().unwrap_or_default())),
    }
}

/// Joins pages to one file. The facts are those of the first page, and sums.
fn joined(mut pages: Vec<ColoredPicture>) -> Result<(Bytes, ColoredPicture), CliError> {
    let credits = sum(&pages, |page| page.credits);
    let bytes = match &pages[..] {
        [page] => page.bytes.clone(),
        pages => join_pages(&pages.iter().map(|page| &page.bytes).collect::<Vec<_>>())?.into(),
    };
    let damage = pages.iter_mut().find_map(|page| page.damage.take());
    let cached = pages.iter().all(|page| page.cached);
    let money = pages.iter().map(|page| page.money).reduce(|sum, page| {
        let (sum, page) = sum.zip(page).filter(|(sum, page)| sum.currency == page.currency)?;
        Some(Money { micro: sum.micro.saturating_add(page.micro), ..sum })
    });
    let first = pages.into_iter().next().ok_or("no page was chosen")?;
    Ok((bytes, ColoredPicture { credits, money: money.flatten(), damage, cached, ..first }))
}

/// The sum of known amounts; `None` if one is unknown.
fn sum(pages: &[ColoredPicture], of: impl Fn(&ColoredPicture) -> Option<Credits>) -> Option<Credits> {
    pages.iter().try_fold(Credits::ZERO, |sum, page| Some(sum.plus(of(page)?)))
}

/// Seconds with three decimal places.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}
