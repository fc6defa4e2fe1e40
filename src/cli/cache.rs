//! `pixcolor cache`: shows and removes cache entries on disk and in the store.

use std::process::ExitCode;
use std::sync::Arc;

use super::{CliError, say};
use crate::cache::{Cache, Tier, TieredCache};
use crate::config::{CacheConfig, ConfigSource, LimitsConfig};
use crate::gateway::{Fingerprint, Upload, forget, open_disk, open_store};
use crate::hex::unhex;
use crate::photo::{Photo, PixelKey};

#[derive(clap::Subcommand)]
pub enum Args {
    /// Show the number and size of entries on disk, and in the store if one is set
    Stats,
    /// Remove all entries on disk, and in the store if one is set
    Clear,
    /// Remove all entries of a picture
    Rm {
        /// The picture's file, or its SHA-256 as sha256sum prints it. With only the SHA-256, the colour is not
        /// removed if the cache no longer knows the picture's pixels
        #[arg(required = true, value_name = "FINGERPRINT|FILE")]
        pictures: Vec<String>,
    },
}

/// Fingerprint of a picture, and its pixel key if `text` names a file.
fn picture(text: &str, config: &LimitsConfig) -> Result<(Fingerprint, Option<PixelKey>), CliError> {
    if let Some(fingerprint) = unhex(&text.to_ascii_lowercase()) {
        return Ok((Fingerprint(fingerprint), None));
    }
    let bytes = std::fs::read(text).map_err(|error| {
        format!(
            "{text}: {error}; it is not a SHA-256 of 64 hexadecimal digits either, as sha256sum prints it"
        )
    })?;
    let photo = Photo::decode(&bytes, &config.photo()).map_err(|error| format!("{text}: {error}"))?;
    Ok((Upload::new(bytes.into()).fingerprint, Some(photo.pixel_key())))
}

pub fn run(source: &ConfigSource, args: Args) -> Result<ExitCode, CliError> {
    let config = super::load(source)?.config;
    let places = places(&config.cache)?;
    let act = act(places, args, &config.limits);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(act)?;
    Ok(ExitCode::SUCCESS)
}

/// A cache tier that outlives the process: a folder or a store.
struct CacheLocation {
    tier: Tier,
    cache: Arc<dyn Cache>,
    name: String,
    /// Maximum size in bytes; `None` for a store, whose size PixColor does not limit.
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
                say(format_args!("{}: all entries are removed", place.name));
            }
            say(running(&places));
        }
        Args::Rm { pictures } => {
            // Reads all pictures before the first removal, so that nothing is removed if one argument is wrong.
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
            say(format_args!("{names}: {forgotten} entries are removed"));
            if !unknown.is_empty() {
                say(format_args!(
                    "The cache has no pixels for {}. The colour of such a picture may still be in the cache, and only \
                     the picture's pixels can find it: give the picture's file instead of its SHA-256.",
                    unknown.join(", ")
                ));
            }
            say(running);
        }
    }
    Ok(())
}

/// A hint about the caches of running gateways, which this command cannot reach.
fn running(places: &[CacheLocation]) -> &'static str {
    match places.iter().any(|place| place.tier.is_shared()) {
        false => {
            "A running gateway also has a cache in memory: send it DELETE /v1/admin/cache, or restart it."
        }
        true => {
            "Running gateways also have caches in memory, and on other machines on disk: send each of them DELETE \
             /v1/admin/cache."
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}
