//! `pixcolor colorize`: colours files in this process with the server's pipeline, or through a running gateway.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use time::{Date, OffsetDateTime};
use tokio_util::sync::CancellationToken;

use super::batch::{self, FileOutcome, Progress};
use super::remote::Remote;
use super::{CliError, GRACE, LAST, complain, output, usage};
use crate::config::{self, Config, ConfigSource, ReportedValues};
use crate::credit::Credits;
use crate::gateway::{Client, ColorizeRequest, Connection, Gateway, RenditionOrigin, Reuse, Upload};
use crate::photo::{Limits, OutputFormat, read_head};
use crate::provider::{Readiness, Trace};

#[derive(clap::Args)]
pub struct Args {
    /// The photographs to colour
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,
    /// The folder for the results [default: the folder of each photograph]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Use this provider instead of the route
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Output format: png, jpeg or webp [default: the photograph's own, or png]
    #[arg(long, value_name = "FORMAT")]
    format: Option<OutputFormat>,
    /// Use a running gateway, such as http://127.0.0.1:8080; photographs in its cache are not uploaded
    /// again
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    /// The file with the client's key for that gateway
    #[arg(long, value_name = "FILE", requires = "gateway")]
    key_file: Option<PathBuf>,
}

/// A coloured photograph.
pub struct ColorizedFile {
    /// The encoded picture.
    pub bytes: Bytes,
    /// Its format.
    pub format: OutputFormat,
    /// The provider; `None` if the photograph was already in colour and is returned unchanged.
    pub provider: Option<String>,
    /// The cost as a decimal number, or "unknown".
    pub credits: String,
    /// Describes the missing part if the photograph's file is damaged.
    pub damage: Option<String>,
    /// Whether the result comes from the cache.
    pub found: bool,
}

/// Colours photographs in this process, or through a gateway.
enum Colorer {
    Here(Arc<Gateway>),
    There(Remote),
}

/// Colours every file; fails at the end if any of them failed.
pub fn run(source: &ConfigSource, args: Args) -> Result<ExitCode, CliError> {
    let mut account = None;
    let colorer = match &args.gateway {
        Some(address) => Colorer::There(Remote::new(address, args.key_file.as_deref())?),
        None => {
            let loaded = super::load(source)?;
            let config = loaded.config.clone();
            let gateway = super::gateway(loaded, ReportedValues::default())?;
            if costs_credit(&gateway, args.provider.as_deref()) {
                account = Some(CostSummary::new(config));
            }
            Colorer::Here(gateway)
        }
    };
    if let Some(folder) = &args.output {
        std::fs::create_dir_all(folder).map_err(|error| {
            format!(
                "the folder {} for the results cannot be made: {error}; choose another with `-o`",
                folder.display()
            )
        })?;
    }
    // Calls that cost nothing can be repeated, so they are not waited for. Whether a gateway's calls cost credit is not
    // known here.
    let may_cost = account.is_some() || args.gateway.is_some();
    let patience = if may_cost { GRACE } else { Duration::ZERO };
    let files = distinct(&args.files);
    let job = ColorizeJob {
        colorer,
        inputs: canonical(&files),
        args,
        claimed: Mutex::default(),
        stop: CancellationToken::new(),
    };
    let runtime = super::runtime(&config::server_figment(source)?)?;
    let progress = runtime.block_on(async {
        let progress = batch::run(&files, patience, &job.stop, |file| job.color(file)).await;
        if let Colorer::Here(gateway) = &job.colorer {
            // Waits for writes to the cache; failed writes have been logged.
            let stopped = progress.as_ref().is_ok_and(|progress| progress.stopped_by.is_some());
            gateway.tasks().finish(if stopped { LAST } else { GRACE }).await;
        }
        progress
    })?;
    // Dropping the runtime settles the reservations of aborted calls; dropping `job` then flushes the ledger.
    runtime.shutdown_timeout(LAST);
    let by_gateway = matches!(job.colorer, Colorer::There(_));
    drop(job);
    finish(&progress, by_gateway, account.as_ref())
}

/// Returns the exit code, or an error with the number of failed files; after a signal, prints a summary.
fn finish(
    progress: &Progress,
    by_gateway: bool,
    account: Option<&CostSummary>,
) -> Result<ExitCode, CliError> {
    let Some(signal) = progress.stopped_by else {
        return match progress.failed {
            0 => Ok(ExitCode::SUCCESS),
            failed => Err(format!("{failed} of {} photographs were not coloured", progress.count).into()),
        };
    };
    let charged = match (by_gateway, account) {
        (true, _) => {
            let credits = progress.credits;
            let unknown = match progress.cut_off {
                0 => "",
                _ => ", and may charge for those that were cut off: see `pixcolor usage --gateway`",
            };
            format!("the gateway charged {credits} credits for those that were coloured{unknown}")
        }
        (false, None) => "0 credits were charged".to_owned(),
        (false, Some(account)) => account.charged(progress.cut_off),
    };
    complain(format_args!("pixcolor: stopped by {signal}: {}; {charged}", progress.summary()));
    Ok(ExitCode::from(signal.exit_code()))
}

/// Whether a call may cost credit. If the ledger cannot be used, prints what to do and returns false.
fn costs_credit(gateway: &Gateway, provider: Option<&str>) -> bool {
    let snapshot = gateway.snapshot();
    // An unknown provider is reported for each photograph.
    let mut asked = snapshot.route(provider).unwrap_or_default();
    asked.retain(|provider| {
        let about = provider.info();
        let most = snapshot.max_cost(&about.name, about.send_max_pixels);
        provider.readiness() == Readiness::Ready && !most.is_zero()
    });
    if let (Some(first), Err(error)) = (asked.first(), gateway.ledger_health()) {
        complain(format_args!(
            "Provider {} costs credit and is not called, because the ledger cannot be used: {}; use a running gateway with `--gateway URL`, stop it, or use another ledger with `--state-dir FOLDER`.",
            first.info().name,
            error.reason
        ));
        return false;
    }
    !asked.is_empty()
}

/// Computes from the ledger what the command line's calls have cost.
struct CostSummary {
    config: Config,
    since: Date,
    before: Option<Credits>,
}

impl CostSummary {
    fn new(config: Config) -> Self {
        let since = OffsetDateTime::now_utc().date();
        let before = usage::charged_since(&config, since);
        Self { config, since, before }
    }

    /// Describes the charges since this summary was created.
    fn charged(&self, cut_off: usize) -> String {
        match (self.before, usage::charged_since(&self.config, self.since)) {
            (Some(before), Some(now)) => {
                let in_full = if cut_off > 0 { ", in full for calls that were cut off" } else { "" };
                format!("{} credits were charged{in_full}", now.minus(before))
            }
            _ => "`pixcolor usage` shows what was charged".to_owned(),
        }
    }
}

/// Removes duplicates: paths with the same folder and file name. A link with another name is another photograph.
fn distinct(files: &[PathBuf]) -> Vec<PathBuf> {
    let location = |file: &Path| {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(folder.canonicalize().ok()?.join(file.file_name()?))
    };
    let mut seen = HashSet::new();
    files.iter().filter(|file| location(file).is_none_or(|location| seen.insert(location))).cloned().collect()
}

/// The canonical paths of the files.
fn canonical(files: &[PathBuf]) -> HashSet<PathBuf> {
    files.iter().filter_map(|file| file.canonicalize().ok()).collect()
}

/// The terminal as the client: connected until a signal stops the command.
#[derive(Debug)]
struct Terminal(CancellationToken);

impl Connection for Terminal {
    fn is_open(&self) -> bool {
        !self.0.is_cancelled()
    }
}

struct ColorizeJob {
    colorer: Colorer,
    args: Args,
    /// Canonical paths of the photographs, which are never overwritten.
    inputs: HashSet<PathBuf>,
    /// Paths of this run's results: photographs with the same name must not overwrite each other's result.
    claimed: Mutex<HashSet<PathBuf>>,
    /// Cancelled by a signal: calls that have not begun are dropped.
    stop: CancellationToken,
}

impl ColorizeJob {
    async fn color(&self, file: PathBuf) -> Result<FileOutcome, CliError> {
        let bytes = Bytes::from(tokio::fs::read(&file).await?);
        // Checks the target before the call costs anything. A file that is not a photograph is refused later, by the
        // gateway.
        let head = read_head(&bytes, &Limits::NONE).ok();
        let format = self.args.format.or_else(|| head.map(|head| head.format.output()));
        let target = format.map(|format| self.claim(&file, format)).transpose()?;
        let done = self.color_to(&file, bytes, target.as_deref()).await;
        if let (Err(_), Some(target)) = (&done, &target) {
            self.claimed.lock().unwrap_or_else(PoisonError::into_inner).remove(target);
        }
        done
    }

    async fn color_to(
        &self,
        file: &Path,
        bytes: Bytes,
        target: Option<&Path>,
    ) -> Result<FileOutcome, CliError> {
        let start = Instant::now();
        let colored = match &self.colorer {
            Colorer::Here(gateway) => self.color_here(gateway, bytes).await?,
            Colorer::There(gateway) => {
                gateway.color(bytes, self.args.provider.as_deref(), self.args.format).await?
            }
        };
        let expected = target.filter(|target| **target == self.path(file, colored.format));
        let target = match expected {
            Some(target) => target.to_owned(),
            // A remote gateway may choose another format.
            None => self.claim(file, colored.format)?,
        };
        output::write(&target, &colored.bytes)?;
        let seconds = start.elapsed().as_secs_f64();
        let ColorizedFile { provider, credits, found, damage, .. } = colored;
        let (target, found) = (target.display(), if found { " before, found in the cache" } else { "" });
        let line = match provider {
            Some(provider) => {
                format!("{target}: coloured by {provider}{found} in {seconds:.1} s, {credits} credits")
            }
            None => format!("{target}: {} is in colour already and was not coloured again", file.display()),
        };
        // The cost may be "unknown", which counts as 0.
        Ok(FileOutcome { line, damage, credits: credits.parse().unwrap_or_default() })
    }

    async fn color_here(&self, gateway: &Arc<Gateway>, bytes: Bytes) -> Result<ColorizedFile, CliError> {
        let snapshot = gateway.snapshot();
        let limits = &snapshot.config.limits;
        if bytes.len() as u64 > limits.upload_bytes {
            let limit = limits.upload_bytes;
            return Err(format!("the file is larger than the limit of {limit} bytes").into());
        }
        // Waiting for a decoder counts towards the deadline, so each photograph has at least ten minutes.
        let deadline = Instant::now() + limits.request.max(Duration::from_secs(600));
        let request = ColorizeRequest {
            upload: Upload::new(bytes),
            provider: self.args.provider.clone(),
            format: self.args.format,
            client: Client { address: None, key: None },
            reuse: Reuse::default(),
            received: Instant::now(),
            deadline,
            trace: Trace::default(),
            connection: Some(Arc::new(Terminal(self.stop.clone()))),
        };
        let rendition = gateway.colorize(snapshot, request).await?;
        Ok(ColorizedFile {
            format: rendition.format,
            credits: rendition.spent().credits.map_or("unknown".into(), |credits| credits.to_string()),
            damage: rendition.damage.as_ref().map(ToString::to_string),
            found: matches!(rendition.origin, RenditionOrigin::Cached(_)),
            provider: rendition.colored_by().map(|(provider, _)| provider.to_owned()),
            bytes: rendition.bytes,
        })
    }

    fn path(&self, file: &Path, format: OutputFormat) -> PathBuf {
        let folder = match &self.args.output {
            Some(folder) => folder.as_path(),
            None => file.parent().unwrap_or(Path::new("")),
        };
        let mut name = file.file_stem().unwrap_or_default().to_owned();
        name.push(format.colored_ending());
        folder.join(name)
    }

    /// Claims the path of a photograph's result. Fails if the path is not writable, or belongs to another photograph.
    fn claim(&self, file: &Path, format: OutputFormat) -> Result<PathBuf, CliError> {
        let target = self.path(file, format);
        if target.canonicalize().is_ok_and(|target| self.inputs.contains(&target)) {
            let target = target.display();
            return Err(format!(
                "the result would overwrite {target}, which is itself one of the photographs"
            )
            .into());
        }
        output::check(&target)?;
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        if !claimed.insert(target.clone()) {
            return Err(format!("{} is already the result of another photograph", target.display()).into());
        }
        Ok(target)
    }
}
