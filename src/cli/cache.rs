//! `pixcolor cache`: what is kept on disk and in the store, and how to forget it.

use std::process::ExitCode;
use std::sync::Arc;

use super::{CliError, say};
use crate::cache::{Cache, Tier, TieredCache};
use crate::config::{CacheConfig, ConfigSource, LimitsConfig};
use crate::gateway::{Fingerprint, Upload, forget, open_disk, open_store};
use crate::hex::unhex;
use crate::photo::{Photo, PixelKey};

/// What `cache` is told.
#[derive(clap::Subcommand)]
pub enum Args {
    /// Show how much is kept on disk, and in the store if one is set
    Stats,
    /// Forget everything on disk, and in the store if one is set
    Clear,
    /// Forget everything that was made of a picture
    Rm {
        /// The picture's file; or its SHA-256, as sha256sum prints it, which finds no colour that has outlived
        /// what was known of the picture
        #[arg(required = true, value_name = "FINGERPRINT|FILE")]
        pictures: Vec<String>,
    },
}

/// A picture that is to be forgotten, and its pixel key if its file is here.
fn picture(text: &str, config: &LimitsConfig) -> Result<(Fingerprint, Option<PixelKey>), CliError> {
    if let Some(fingerprint) = unhex(&text.to_ascii_lowercase()) {
        return Ok((Fingerprint(fingerprint), None));
    }
    let bytes = std::fs::read(text).map_err(|error| {
        format!("{text}: {error}; it is no SHA-256 of 64 hexadecimal digits either, as sha256sum prints them")
    })?;
    let photo = Photo::decode(&bytes, &config.photo()).map_err(|error| format!("{text}: {error}"))?;
    Ok((Upload::new(bytes.into()).fingerprint, Some(photo.pixel_key())))
}

/// Does it, on this machine's disk and in the store.
pub fn run(source: &ConfigSource, args: Args) -> Result<ExitCode, CliError> {
    let config = super::load(source)?.config;
    let places = places(&config.cache)?;
    let act = act(places, args, &config.limits);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(act)?;
    Ok(ExitCode::SUCCESS)
}

/// Where something is kept that outlives a gateway.
struct CacheLocation {
    tier: Tier,
    cache: Arc<dyn Cache>,
    name: String,
    /// Its bound in bytes, if it has one from here.
    most: Option<u64>,
}

fn places(config: &CacheConfig) -> Result<Vec<CacheLocation>, CliError> {
    let mut places = Vec::new();
    if let Some(disk) = open_disk(config, Arc::new(())) {
        let name = config.dir.as_deref().unwrap_or(std::path::Path::new("")).display().to_string();
        places.push(CacheLocation {
            tier: Tier::Disk,
            cache: Arc::new(disk?),
            name,
            most: Some(config.max_bytes),
        });
    }
    if let Some(store) = open_store(config, Arc::new(())) {
        let name = config.store.as_ref().map(ToString::to_string).unwrap_or_default();
        places.push(CacheLocation { tier: Tier::Store, cache: Arc::new(store?), name, most: None });
    }
    if places.is_empty() {
        return Err(
            "there is no cache on disk: `cache.enabled` is false, `cache.max_bytes` is 0, or `cache.dir` is \
                    not set; and no `cache.store` is set"
                .into(),
        );
    }
    Ok(places)
}

async fn act(places: Vec<CacheLocation>, args: Args, limits: &LimitsConfig) -> Result<(), CliError> {
    match args {
        Args::Stats => {
            for place in places {
                for stats in place.cache.sweep().await? {
                    let most = place.most.map(|most| format!(" of at most {}", mebibytes(most)));
                    let (bytes, most) = (mebibytes(stats.bytes), most.unwrap_or_default());
                    say(format_args!("{}: {} entries, {bytes}{most} MiB", place.name, stats.entries));
                }
            }
        }
        Args::Clear => {
            for place in &places {
                place.cache.clear().await?;
                say(format_args!("{}: everything is forgotten", place.name));
            }
            say(running(&places));
        }
        Args::Rm { pictures } => {
            // All of them, before anything is forgotten.
            let known = pictures.iter().map(|text| picture(text, limits)).collect::<Result<Vec<_>, _>>()?;
            let names = places.iter().map(|place| place.name.as_str()).collect::<Vec<_>>().join(", ");
            let running = running(&places);
            let tiers = places.into_iter().map(|place| (place.tier, place.cache)).collect();
            let cache = TieredCache::new(tiers, None, Arc::new(()));
            let (mut forgotten, mut unknown) = (0, Vec::new());
            for (text, (fingerprint, pixels)) in pictures.iter().zip(known) {
                let gone = forget(&cache, fingerprint, pixels).await?;
                forgotten += gone.values;
                if !gone.pixels_known {
                    unknown.push(text.as_str());
                }
            }
            say(format_args!("{names}: {forgotten} entries are forgotten"));
            if !unknown.is_empty() {
                say(format_args!(
                    "Nothing is known here of {}: if colour of it is left, which only its pixels lead to, give the \
                     picture's file instead.",
                    unknown.join(", ")
                ));
            }
            say(running);
        }
    }
    Ok(())
}

/// What is out of reach from here.
fn running(places: &[CacheLocation]) -> &'static str {
    match places.iter().any(|place| place.tier.is_shared()) {
        false => "A gateway that is running has its own memory: DELETE /v1/admin/cache there, or restart it.",
        true => {
            "Gateways that are running have their own memory, and on other machines their own disk: DELETE \
             /v1/admin/cache there."
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}
