//! `pixcolor colorize`: the same way of a picture, without a server, or by a gateway elsewhere.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};

use super::remote::Remote;
use super::{CliError, complain, say};
use crate::config::{self, Source, Values};
use crate::gateway::{Ask, Client, Gateway, Origin, Reuse, Upload};
use crate::photo::OutputFormat;
use crate::provider::Trace;

/// What `colorize` is told.
#[derive(clap::Args)]
pub struct Args {
    /// The photographs to colour
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,
    /// The folder for the results [default: beside each photograph]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Ask this provider instead of those on the route
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// png, jpeg or webp [default: the photograph's own, or png]
    #[arg(long, value_name = "FORMAT")]
    format: Option<OutputFormat>,
    /// Have a gateway do the work, such as http://127.0.0.1:8080; what it has coloured before is not
    /// uploaded again
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    /// The file with the key to show that gateway
    #[arg(long, value_name = "FILE", requires = "gateway")]
    key_file: Option<PathBuf>,
}

/// A coloured photograph.
pub struct Coloured {
    /// The encoded picture.
    pub bytes: Bytes,
    /// Its format.
    pub format: OutputFormat,
    /// Who coloured it; none if it was in colour already and is given back as it looks.
    pub provider: Option<String>,
    /// What it cost, as people read it.
    pub credits: String,
    /// What is missing of it, if the photograph's file is damaged.
    pub damage: Option<String>,
    /// Whether it was made before.
    pub found: bool,
}

/// Who does the work.
enum Colourer {
    Here(Arc<Gateway>),
    There(Remote),
}

/// Colours every file; fails at the end if one of them did not work.
pub fn run(source: &Source, args: Args) -> Result<ExitCode, CliError> {
    let colourer = match &args.gateway {
        Some(address) => Colourer::There(Remote::new(address, args.key_file.as_deref())?),
        None => Colourer::Here(super::gateway(super::load(source)?, Values::default())?),
    };
    if let Some(folder) = &args.output {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let count = args.files.len();
    match super::runtime(&config::server_figment(source)?)?.block_on(colour_all(colourer, args)) {
        0 => Ok(ExitCode::SUCCESS),
        failed => Err(format!("{failed} of {count} photographs were not coloured").into()),
    }
}

async fn colour_all(colourer: Colourer, args: Args) -> usize {
    let progress = ProgressBar::new(args.files.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len}, {eta} left") {
        progress.set_style(style);
    }
    let at_once = std::thread::available_parallelism().map_or(2, |cores| cores.get() + 1);
    let files = args.files.clone();
    let job = Arc::new(Job { colourer, inputs: canonical(&files), args, written: Mutex::default() });
    let work = files.into_iter().map(|file| {
        let job = job.clone();
        async move {
            let result = job.colour(&file).await;
            (file, result)
        }
    });
    let mut done = futures::stream::iter(work).buffered(at_once);
    let mut failed = 0;
    while let Some((file, result)) = done.next().await {
        progress.inc(1);
        progress.suspend(|| match &result {
            Ok(Done { line, damage }) => {
                say(line);
                if let Some(damage) = damage {
                    complain(format_args!("{}: the file is damaged. {damage}", file.display()));
                }
            }
            Err(error) => complain(format_args!("{}: {error}", file.display())),
        });
        failed += usize::from(result.is_err());
    }
    progress.finish_and_clear();
    if let Colourer::Here(gateway) = &job.colourer {
        // What is being kept elsewhere; what cannot be has been warned of.
        gateway.tasks().finish(super::GRACE).await;
    }
    failed
}

/// The files themselves, whatever paths lead to them.
fn canonical(files: &[PathBuf]) -> HashSet<PathBuf> {
    files.iter().filter_map(|file| file.canonicalize().ok()).collect()
}

struct Job {
    colourer: Colourer,
    args: Args,
    /// Never written to.
    inputs: HashSet<PathBuf>,
    /// Results of this run: two photographs of one name do not replace each other.
    written: Mutex<HashSet<PathBuf>>,
}

/// What became of a file.
struct Done {
    /// Where the result is, and how it came about.
    line: String,
    /// What is missing of it.
    damage: Option<String>,
}

impl Job {
    /// Colours one file and says what became of it.
    async fn colour(&self, file: &Path) -> Result<Done, CliError> {
        let bytes = Bytes::from(tokio::fs::read(file).await?);
        let start = Instant::now();
        let coloured = match &self.colourer {
            Colourer::Here(gateway) => self.colour_here(gateway, bytes).await?,
            Colourer::There(gateway) => {
                gateway.colour(bytes, self.args.provider.as_deref(), self.args.format).await?
            }
        };
        let target = self.target(file, coloured.format)?;
        write(&target, &coloured.bytes)?;
        let seconds = start.elapsed().as_secs_f64();
        let Coloured { provider, credits, found, damage, .. } = coloured;
        let (target, found) = (target.display(), if found { " before, found" } else { "" });
        let line = match provider {
            Some(provider) => {
                format!("{target}: coloured by {provider}{found} in {seconds:.1} s, {credits} credits")
            }
            None => format!("{target}: {} is in colour already and was not coloured anew", file.display()),
        };
        Ok(Done { line, damage })
    }

    async fn colour_here(&self, gateway: &Arc<Gateway>, bytes: Bytes) -> Result<Coloured, CliError> {
        let snapshot = gateway.snapshot();
        let limits = &snapshot.config.limits;
        if bytes.len() as u64 > limits.upload_bytes {
            let limit = limits.upload_bytes;
            return Err(format!("the file is larger than the limit of {limit} bytes").into());
        }
        // Nobody waits in front of a screen: the queue for the decoder is part of the time here.
        let deadline = Instant::now() + limits.request.max(Duration::from_secs(600));
        let ask = Ask {
            upload: Upload::new(bytes),
            provider: self.args.provider.clone(),
            format: self.args.format,
            client: Client { address: None, key: None },
            reuse: Reuse::default(),
            deadline,
            trace: Trace::default(),
            connection: None,
        };
        let rendition = gateway.colorize(snapshot, ask).await?;
        Ok(Coloured {
            format: rendition.format,
            credits: rendition.spent().credits.map_or("unknown".into(), |credits| credits.to_string()),
            damage: rendition.damage.as_ref().map(ToString::to_string),
            found: matches!(rendition.origin, Origin::Kept(_)),
            provider: rendition.coloured_by().map(|(provider, _)| provider.to_owned()),
            bytes: rendition.bytes,
        })
    }

    fn target(&self, file: &Path, format: OutputFormat) -> Result<PathBuf, CliError> {
        let name = format.coloured_name(&file.to_string_lossy());
        let folder = match &self.args.output {
            Some(folder) => folder.as_path(),
            None => file.parent().unwrap_or(Path::new("")),
        };
        let target = folder.join(name);
        if target.canonicalize().is_ok_and(|target| self.inputs.contains(&target)) {
            let target = target.display();
            return Err(format!("the result would overwrite {target}, which is to be coloured itself").into());
        }
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if !written.insert(target.clone()) {
            return Err(format!("{} is the result of another photograph already", target.display()).into());
        }
        Ok(target)
    }
}

/// Writes a file as a whole or not at all.
fn write(target: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let part = target.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let written = std::fs::File::create_new(&part)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| std::fs::rename(&part, target));
    if written.is_err() {
        // What stopped the write is the error to tell; a left-over part is not.
        let _ = std::fs::remove_file(&part);
    }
    written
}
