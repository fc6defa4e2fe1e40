//! Results at `data://.algo/OWNER/NAME/temp/...`, available for a day.
//!
//! A cached picture is not stored again. Its name contains its SHA-256 and the time at which the name expires, so every
//! gateway that shares the cache can serve it. (A client that knows the name can also read the picture at
//! `/v1/results/...` while it is cached.) A picture that is not cached is stored in the datastore under a random name.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::datastore::{Name, TEMP_LIFETIME};
use crate::gateway::Rendition;
use crate::hex::{hex, unhex};
use crate::web::guards::Context;
use crate::web::problem::Problem;

/// The largest accepted difference between the clocks of gateways that share a cache.
const SKEW: Duration = Duration::from_secs(300);

/// Number of digits of the expiry time in a name.
const TIME: usize = 8;

/// Makes a result available for a day and returns its name.
pub async fn store(context: &Context, rendition: &Rendition) -> Result<String, Problem> {
    let extension = rendition.format.extension();
    if rendition.cache_key.is_some() && cached(context, rendition.digest).await.is_some() {
        return Ok(name(rendition.digest, extension, SystemTime::now()));
    }
    let most = context.snapshot.config.facades.algorithmia.temp_max_bytes;
    Ok(context.gateway.files().write_temp(rendition.bytes.clone(), extension, most).await?)
}

/// The cached picture with this name; `None` if the name is of another kind or has expired, or if the cache no longer
/// has the picture.
pub async fn lookup(context: &Context, name: &Name) -> Option<(Bytes, [u8; 32])> {
    let digest = read(name.as_str(), SystemTime::now())?;
    cached(context, digest).await.map(|bytes| (bytes, digest))
}

async fn cached(context: &Context, digest: [u8; 32]) -> Option<Bytes> {
    let found = context.gateway.lookup_image(&context.snapshot, digest, &context.client).await;
    found.map(|(bytes, _)| bytes)
}

/// The name of a cached result: expiry time in seconds since 1970 (8 hexadecimal digits), SHA-256, dot, extension.
fn name(digest: [u8; 32], extension: &str, now: SystemTime) -> String {
    let until = seconds(now) + TEMP_LIFETIME.as_secs();
    format!("{until:0TIME$x}{}.{extension}", hex(&digest))
}

/// The SHA-256 in a name that has not expired.
fn read(name: &str, now: SystemTime) -> Option<[u8; 32]> {
    let (stem, _) = name.split_once('.')?;
    let (until, digest) = stem.split_at_checked(TIME)?;
    let digest = unhex(digest)?;
    let until = u64::from_str_radix(until, 16).ok()?;
    let left = until.checked_sub(seconds(now)).map(Duration::from_secs)?;
    // No gateway creates names with a longer lifetime.
    (!left.is_zero() && left <= TEMP_LIFETIME + SKEW).then_some(digest)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_expires_after_a_day() {
        let made = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let name = name([0xab; 32], "png", made);
        assert_eq!(name, format!("{:08x}{}.png", 1_800_086_400, "ab".repeat(32)));
        for (after, found) in [(0, true), (1, true), (86_399, true), (86_400, false), (10_000_000, false)] {
            let read = read(&name, made + Duration::from_secs(after));
            assert_eq!(read, found.then_some([0xab; 32]), "{after}");
        }
        // The name expires too far in the future to be valid.
        assert_eq!(read(&name, made - Duration::from_secs(301)), None);
        for wrong in ["", "x.png", &name[1..], &name.to_uppercase(), "+0000000.png", "é.png"] {
            assert_eq!(read(wrong, made), None, "{wrong}");
        }
    }
}
