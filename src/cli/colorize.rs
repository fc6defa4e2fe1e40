//! `pixcolor colorize`: the same way of a picture, without a server.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};

use super::CliError;
use crate::config::{self, Source};
use crate::gateway::{Ask, Client, Gateway, Rendition, Upload};
use crate::photo::OutputFormat;

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
}

/// Colours every file; fails at the end if one of them did not work.
pub fn run(source: &Source, args: Args) -> Result<ExitCode, CliError> {
    let gateway = super::gateway(super::load(source)?)?;
    if let Some(folder) = &args.output {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let count = args.files.len();
    match super::runtime(&config::server_figment(source)?)?.block_on(colour_all(gateway, args)) {
        0 => Ok(ExitCode::SUCCESS),
        failed => Err(format!("{failed} of {count} photographs were not coloured").into()),
    }
}

async fn colour_all(gateway: Arc<Gateway>, args: Args) -> usize {
    let progress = ProgressBar::new(args.files.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len}, {eta} left") {
        progress.set_style(style);
    }
    let at_once = std::thread::available_parallelism().map_or(2, |cores| cores.get() + 1);
    let files = args.files.clone();
    let job = Arc::new(Job { gateway, inputs: canonical(&files), args, written: Mutex::default() });
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
            Ok(line) => println!("{line}"),
            Err(error) => eprintln!("{}: {error}", file.display()),
        });
        failed += usize::from(result.is_err());
    }
    progress.finish_and_clear();
    failed
}

/// The files themselves, whatever paths lead to them.
fn canonical(files: &[PathBuf]) -> HashSet<PathBuf> {
    files.iter().filter_map(|file| file.canonicalize().ok()).collect()
}

struct Job {
    gateway: Arc<Gateway>,
    args: Args,
    /// Never written to.
    inputs: HashSet<PathBuf>,
    /// Results of this run: two photographs of one name do not replace each other.
    written: Mutex<HashSet<PathBuf>>,
}

impl Job {
    /// Colours one file and says what became of it.
    async fn colour(&self, file: &Path) -> Result<String, CliError> {
        let bytes = tokio::fs::read(file).await?;
        let snapshot = self.gateway.snapshot();
        let limit = snapshot.config.limits.upload_bytes;
        if bytes.len() as u64 > limit {
            return Err(format!("the file is larger than the limit of {limit} bytes").into());
        }
        let start = Instant::now();
        // Nobody waits in front of a screen: the queue for the decoder is part of the time here.
        let deadline = start + snapshot.config.limits.request.max(Duration::from_secs(600));
        let ask = Ask {
            upload: Upload::new(bytes.into()),
            provider: self.args.provider.clone(),
            format: self.args.format,
            client: Client { address: None, key: None },
            deadline,
        };
        let rendition = self.gateway.colorize(snapshot, ask).await?;
        let target = self.target(file, &rendition)?;
        write(&target, &rendition.bytes)?;
        let seconds = start.elapsed().as_secs_f64();
        let (provider, target) = (&rendition.provider, target.display());
        let credits = rendition.spent().credits.map_or("unknown".into(), |credits| credits.to_string());
        Ok(format!("{target}: coloured by {provider} in {seconds:.1} s, {credits} credits"))
    }

    fn target(&self, file: &Path, rendition: &Rendition) -> Result<PathBuf, CliError> {
        let name = rendition.format.coloured_name(&file.to_string_lossy());
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
