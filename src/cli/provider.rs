//! `pixcolor provider`: who could colour, and what a call looks like from the inside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;

use super::signals::Signals;
use super::{CliError, LAST, complain, output, say};
use crate::config::{self, ConfigSource, Loaded, ReportedValues};
use crate::credit::CallBegun;
use crate::gateway::{Client, ColorizeRequest, Error, Rendition, Reuse, Snapshot, Upload};
use crate::observe::Metrics;
use crate::photo::{OutputFormat, Photo};
use crate::provider::{Call, FailureKind, Provider, Readiness, Trace};

/// A photograph for who has none at hand.
static SAMPLE: &[u8] = include_bytes!("../../static/sample.jpg");

/// What is to be done with providers.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Show all providers: ready or why not, their place on the route, what a call may cost
    List,
    /// Have one colour a photograph, and show the request, the reply, what was read in it, and the cost
    Test {
        /// The provider
        name: String,
        /// The photograph [default: the sample that is built in]
        picture: Option<PathBuf>,
        /// Show the request, and send nothing
        #[arg(long)]
        dry_run: bool,
        /// Save the coloured picture to this file, in the format of its extension (png, jpg or webp), over a file
        /// that is there
        #[arg(short, long, value_name = "FILE", conflicts_with = "dry_run")]
        output: Option<PathBuf>,
    },
}

/// Where the coloured picture goes.
struct OutputFile {
    path: PathBuf,
    /// The format of its extension; none where it has no extension, which leaves the photograph's own.
    format: Option<OutputFormat>,
}

impl OutputFile {
    /// Fails before anything is spent where the file cannot be written, or is the photograph itself.
    fn new(path: PathBuf, picture: Option<&Path>) -> Result<Self, CliError> {
        let real = |path: &Path| path.canonicalize().ok();
        if real(&path).is_some_and(|output| picture.and_then(real) == Some(output)) {
            return Err(format!("the result would overwrite the photograph {}", path.display()).into());
        }
        let format =
            path.extension().map(|extension| extension.to_string_lossy().parse::<OutputFormat>()).transpose();
        let format = format.map_err(|error| format!("{}: {error}", path.display()))?;
        output::check(&path)?;
        Ok(Self { path, format })
    }
}

/// Does it.
pub fn run(source: &ConfigSource, command: Command) -> Result<ExitCode, CliError> {
    let loaded = super::load(source)?;
    match command {
        Command::List => list(loaded),
        Command::Test { name, picture, dry_run, output } => {
            let output = output.map(|path| OutputFile::new(path, picture.as_deref())).transpose()?;
            let picture = match picture {
                Some(path) => {
                    Bytes::from(fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?)
                }
                None => Bytes::from_static(SAMPLE),
            };
            let runtime = super::runtime(&config::server_figment(source)?)?;
            let told = Arc::new(AtomicBool::new(false));
            let telling = told.clone();
            let trace = Trace::new(dry_run, move |step, words| {
                telling.store(true, Ordering::Relaxed);
                say(format_args!("{:<8} {words}", step.label()));
            });
            match dry_run {
                true => runtime.block_on(dry(loaded, &name, &picture, trace, &told))?,
                false => {
                    let stopped_by = runtime.block_on(async {
                        let mut signals = Signals::new()?;
                        tokio::select! {
                            signal = signals.next() => Ok(Some(signal)),
                            result = test(loaded, name, picture, output, trace) => result.map(|()| None),
                        }
                    })?;
                    // A program that was started ends with its task, and the ledger is written after that.
                    runtime.shutdown_timeout(LAST);
                    if let Some(signal) = stopped_by {
                        complain(format_args!(
                            "pixcolor: stopped by {signal}: `pixcolor usage` shows what was charged"
                        ));
                        return Ok(ExitCode::from(signal.exit_code()));
                    }
                }
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn list(loaded: Loaded) -> Result<ExitCode, CliError> {
    let (snapshot, _) = super::snapshot(loaded, Metrics::new(prometheus::Registry::new())?)?;
    let lines: Vec<[String; 6]> =
        snapshot.in_order().map(|(_, provider)| columns(&snapshot, provider.as_ref())).collect();
    let head = ["name", "kind", "model", "route", "at most", "state"].map(str::to_owned);
    let all: Vec<[String; 6]> = std::iter::once(head).chain(lines).collect();
    let width = |column: usize| all.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    for line in &all {
        let cells = line.iter().zip(widths).map(|(text, width)| format!("{text:<width$}"));
        say(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

fn columns(snapshot: &Snapshot, provider: &dyn Provider) -> [String; 6] {
    let about = provider.info();
    let place = snapshot.config.route.iter().position(|name| *name == about.name);
    let most = snapshot.max_cost(&about.name, about.send_max_pixels);
    [
        about.name.clone(),
        about.kind.to_owned(),
        format!("{} {}", about.model, about.version),
        place.map_or("-".to_owned(), |index| (index + 1).to_string()),
        format!("{most} credits"),
        match provider.readiness() {
            Readiness::Ready => "ready".to_owned(),
            Readiness::NotReady { why, .. } => format!("not ready: {why}"),
        },
    ]
}

/// The request alone. Needs no ledger, which a gateway that runs may hold.
async fn dry(
    loaded: Loaded,
    name: &str,
    picture: &[u8],
    trace: Trace,
    told: &AtomicBool,
) -> Result<(), CliError> {
    let (snapshot, _) = super::snapshot(loaded, Metrics::new(prometheus::Registry::new())?)?;
    let provider = snapshot.route(Some(name))?.pop().ok_or("unknown provider")?;
    let photo = Photo::decode(picture, &snapshot.config.limits.photo())?;
    let gray = Arc::new(photo.gray_for(provider.info().send_max_pixels));
    let most = snapshot.max_cost(name, u64::from(gray.width) * u64::from(gray.height));
    let deadline = Instant::now() + snapshot.config.limits.request;
    // The end of a dry run is an error like any other for a provider.
    match provider.colorize(Call { gray, deadline, trace, audience: None, begun: CallBegun::default() }).await
    {
        Err(end) if told.load(Ordering::Relaxed) => {
            say(format_args!("{:<8} {end}; a call may cost {most} credits", "end"));
            // Its key need not be there to see the request.
            if let Readiness::NotReady { why, .. } = provider.readiness() {
                complain(format_args!("provider {name} is not ready: {why}"));
            }
        }
        Err(end) => return Err(format!("provider {name} is not ready: {end}").into()),
        Ok(_) => return Err(format!("provider {name} coloured in a dry run").into()),
    }
    Ok(())
}

/// The whole way of a picture, with this provider alone and without the cache.
async fn test(
    loaded: Loaded,
    name: String,
    picture: Bytes,
    output: Option<OutputFile>,
    trace: Trace,
) -> Result<(), CliError> {
    let gateway = super::gateway(loaded, ReportedValues::default())?;
    let snapshot = gateway.snapshot();
    let ask = ColorizeRequest {
        upload: Upload::new(picture),
        provider: Some(name),
        format: output.as_ref().and_then(|output| output.format),
        client: Client { address: None, key: None },
        reuse: Reuse { lookup: false, store: false },
        deadline: Instant::now() + snapshot.config.limits.request,
        trace,
        connection: None,
    };
    let colored = gateway.colorize(snapshot, ask).await.map_err(explained)?;
    let Rendition { width, height, format, bytes, .. } = colored;
    let format = format.media_type();
    say(format_args!("{:<8} {width} x {height} pixels, {format}, {} bytes", "end", bytes.len()));
    if let Some(OutputFile { path, .. }) = output {
        output::write(&path, &bytes)?;
        say(format_args!("{:<8} {}", "saved", path.display()));
    }
    Ok(())
}

/// Why it did not work, and what to do where that is not plain.
fn explained(error: Error) -> CliError {
    let attempts = match &error {
        Error::NoProvider { attempts } => attempts.as_slice(),
        _ => &[],
    };
    match attempts.iter().any(|attempt| attempt.kind == FailureKind::Ledger) {
        true => format!(
            "{error}. Only one process at a time can use the ledger for paid calls: stop the running gateway, or use another ledger for the test with PIXCOLOR_STATE_DIR=FOLDER; --dry-run shows the request without a call"
        )
        .into(),
        false => error.into(),
    }
}
