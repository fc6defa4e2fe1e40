//! `pixcolor cache`: what is kept on disk, and how to forget it.

use std::process::ExitCode;

use super::CliError;
use crate::cache::{Cache, Disk};
use crate::config::{Config, Source};
use crate::gateway::{Fingerprint, forget, open_disk, unhex};

/// What `cache` is told.
#[derive(clap::Subcommand)]
pub enum Args {
    /// Show how much is kept on disk
    Stats,
    /// Forget everything on disk
    Clear,
    /// Forget everything that was made of a picture
    Rm {
        /// The SHA-256 of the picture's file, as sha256sum prints it
        #[arg(required = true, value_name = "FINGERPRINT", value_parser = fingerprint)]
        fingerprints: Vec<Fingerprint>,
    },
}

fn fingerprint(text: &str) -> Result<Fingerprint, &'static str> {
    unhex(&text.to_ascii_lowercase())
        .map(Fingerprint)
        .ok_or("64 hexadecimal digits, as sha256sum prints them")
}

/// Does it, on this machine's disk.
pub fn run(source: &Source, args: Args) -> Result<ExitCode, CliError> {
    let config = super::load(source)?.config;
    let disk = disk(&config)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(act(&config, &disk, args))?;
    Ok(ExitCode::SUCCESS)
}

fn disk(config: &Config) -> Result<Disk, CliError> {
    let off = "nothing is kept on disk: `cache.enabled` is false, `cache.max_bytes` is 0, or `cache.dir` is not set";
    Ok(open_disk(&config.cache, std::sync::Arc::new(())).ok_or(off)??)
}

async fn act(config: &Config, disk: &Disk, args: Args) -> Result<(), CliError> {
    let dir = config.cache.dir.as_deref().unwrap_or(std::path::Path::new("")).display();
    match args {
        Args::Stats => {
            for stats in disk.sweep().await? {
                let (bytes, most) = (mebibytes(stats.bytes), mebibytes(config.cache.max_bytes));
                println!("{dir}: {} entries, {bytes} of at most {most} MiB", stats.entries);
            }
        }
        Args::Clear => {
            disk.clear().await?;
            println!("{dir}: everything is forgotten. {RUNNING}");
        }
        Args::Rm { fingerprints } => {
            let mut forgotten = 0;
            for fingerprint in fingerprints {
                forgotten += forget(disk, fingerprint).await?;
            }
            println!("{dir}: {forgotten} entries are forgotten. {RUNNING}");
        }
    }
    Ok(())
}

/// The memory of another process is out of reach from here.
const RUNNING: &str = "A gateway that is running has its own memory: \
                       DELETE /v1/admin/cache there, or restart it.";

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}
