//! Results for a day, at `data://.algo/OWNER/NAME/temp/...`.
//!
//! A picture that the cache keeps is not kept twice: its name says what it is, by its SHA-256, and until when this name
//! is good; nothing else is written, and every gateway that shares the cache knows it. (Who has the name could have
//! the picture at `/v1/results/...` all the same, for as long as it is kept.) One that the cache does not keep goes
//! into the datastore, under a random name.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::datastore::{LIFE, Name};
use crate::gateway::Rendition;
use crate::hex::{hex, unhex};
use crate::web::guards::Context;
use crate::web::problem::Problem;

/// How far the clocks of gateways that share a cache may be apart.
const SKEW: Duration = Duration::from_secs(300);

/// Digits of the time in a name.
const TIME: usize = 8;

/// Keeps a result, or sees that it is kept; gives its name.
pub async fn keep(context: &Context, rendition: &Rendition) -> Result<String, Problem> {
    let extension = rendition.format.extension();
    if rendition.kept_under.is_some() && cached(context, rendition.digest).await.is_some() {
        return Ok(name(rendition.digest, extension, SystemTime::now()));
    }
    let most = context.snapshot.config.facades.algorithmia.temp_max_bytes;
    Ok(context.gateway.files().write_temp(rendition.bytes.clone(), extension, most).await?)
}

/// The picture in the cache under a name; none if the name is not of that sort, or not good any more.
pub async fn find(context: &Context, name: &Name) -> Option<(Bytes, [u8; 32])> {
    let digest = read(name.as_str(), SystemTime::now())?;
    cached(context, digest).await.map(|bytes| (bytes, digest))
}

async fn cached(context: &Context, digest: [u8; 32]) -> Option<Bytes> {
    let found = context.gateway.picture(&context.snapshot, digest, &context.client).await;
    found.map(|(bytes, _)| bytes)
}

/// `TIME DIGEST . EXTENSION`: until when, in seconds since 1970, and of what.
fn name(digest: [u8; 32], extension: &str, now: SystemTime) -> String {
    let until = seconds(now) + LIFE.as_secs();
    format!("{until:0TIME$x}{}.{extension}", hex(&digest))
}

/// The SHA-256 in a name that is good now.
fn read(name: &str, now: SystemTime) -> Option<[u8; 32]> {
    let (stem, _) = name.split_once('.')?;
    let (until, digest) = stem.split_at_checked(TIME)?;
    let digest = unhex(digest)?;
    let until = u64::from_str_radix(until, 16).ok()?;
    let left = until.checked_sub(seconds(now)).map(Duration::from_secs)?;
    // None is given for longer.
    (!left.is_zero() && left <= LIFE + SKEW).then_some(digest)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_good_for_a_day() {
        let made = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let name = name([0xab; 32], "png", made);
        assert_eq!(name, format!("{:08x}{}.png", 1_800_086_400, "ab".repeat(32)));
        for (after, found) in [(0, true), (1, true), (86_399, true), (86_400, false), (10_000_000, false)] {
            let read = read(&name, made + Duration::from_secs(after));
            assert_eq!(read, found.then_some([0xab; 32]), "{after}");
        }
        // Nobody was given it by a clock that is right.
        assert_eq!(read(&name, made - Duration::from_secs(301)), None);
        for wrong in ["", "x.png", &name[1..], &name.to_uppercase(), "+0000000.png", "é.png"] {
            assert_eq!(read(wrong, made), None, "{wrong}");
        }
    }
}
