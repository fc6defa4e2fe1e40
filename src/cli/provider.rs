//! `pixcolor provider`: lists the providers, and tests one with a traced call.

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
use crate::gateway::{Client, ColorizeRequest, Error, Rendition, RenditionOptions, Reuse, Snapshot, Upload};
use crate::observe::Metrics;
use crate::photo::{MetadataPolicy, OutputFormat, Photo};
use crate::provider::{Call, FailureKind, Provider, Readiness, Trace};

/// The default photograph of `provider test`.
static SAMPLE: &[u8] = include_bytes!("../../static/sample.jpg");

#[derive(clap::Subcommand)]
pub enum Command {
    /// List all providers: whether each is ready, its position on the route, what a call may cost
    List,
    /// Colour a photograph with one provider, and show the request, the reply, the values read from it and
    /// the cost
    Test {
        /// The provider's name
        name: String,
        /// The photograph [default: a built-in sample]
        picture: Option<PathBuf>,
        /// Show the request without sending it
        #[arg(long)]
        dry_run: bool,
        /// Save the coloured picture to this file, in the format of its extension (png, jpg, webp or tif); an
        /// existing file is overwritten
        #[arg(short, long, value_name = "FILE", conflicts_with = "dry_run")]
        output: Option<PathBuf>,
    },
}

/// The file for the coloured picture.
struct OutputFile {
    path: PathBuf,
    /// The format of the extension; without an extension, the photograph's own format is used.
    format: Option<OutputFormat>,
}

impl OutputFile {
    /// Fails, before any credit is spent, if the file is not writable or is the photograph itself.
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
                    // Ends the tasks, and with them the program of a provider. The ledger is flushed after that.
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
    let position = snapshot.config.route.iter().position(|name| *name == about.name);
    let most = snapshot.max_cost(&about.name, about.send_max_pixels);
    [
        about.name.clone(),
        about.kind.to_owned(),
        format!("{} {}", about.model, about.version),
        position.map_or("-".to_owned(), |index| (index + 1).to_string()),
        format!("{most} credits"),
        match provider.readiness() {
            Readiness::Ready => "ready".to_owned(),
            Readiness::NotReady { why, .. } => format!("not ready: {why}"),
        },
    ]
}

/// Shows the request without sending it. This needs no ledger, so it works while a gateway is running.
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
    // A provider always ends a dry run with an error, also after it has shown the request.
    match provider.colorize(Call { gray, deadline, trace, audience: None, begun: CallBegun::default() }).await
    {
        Err(end) if told.load(Ordering::Relaxed) => {
            say(format_args!("{:<8} {end}; a call may cost {most} credits", "end"));
            // A missing key does not prevent a dry run.
            if let Readiness::NotReady { why, .. } = provider.readiness() {
                complain(format_args!("provider {name} is not ready: {why}"));
            }
        }
        Err(end) => return Err(format!("provider {name} is not ready: {end}").into()),
        Ok(_) => {
            return Err(format!(
                "provider {name} coloured the picture in a dry run, which must send nothing"
            )
            .into());
        }
    }
    Ok(())
}

/// Colours the picture with this provider alone and without the cache.
async fn test(
    loaded: Loaded,
    name: String,
    picture: Bytes,
    output: Option<OutputFile>,
    trace: Trace,
) -> Result<(), CliError> {
    let gateway = super::gateway(loaded, ReportedValues::default())?;
    let snapshot = gateway.snapshot();
    let request = ColorizeRequest {
        upload: Upload::new(picture),
        provider: Some(name),
        options: RenditionOptions {
            format: output.as_ref().and_then(|output| output.format),
            metadata: snapshot.config.metadata.unwrap_or(MetadataPolicy::Keep),
            ..RenditionOptions::default()
        },
        client: Client { address: None, key: None },
        reuse: Reuse { lookup: false, store: false },
        received: Instant::now(),
        deadline: Instant::now() + snapshot.config.limits.request,
        trace,
        connection: None,
    };
    let colored = gateway.colorize(snapshot, request).await.map_err(explained)?;
    let Rendition { width, height, format, bytes, .. } = colored;
    let format = format.media_type();
    say(format_args!("{:<8} {width} x {height} pixels, {format}, {} bytes", "end", bytes.len()));
    if let Some(OutputFile { path, .. }) = output {
        output::write(&path, &bytes)?;
        say(format_args!("{:<8} {}", "saved", path.display()));
    }
    Ok(())
}

/// Adds advice to an error of the ledger.
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
