//! Stores renditions and colour as cache entries, and reads them.
//!
//! A rendition has two entries: its facts under the upload's fingerprint, and its image under the image's own SHA-256.
//! So a result's address always returns the same image, and two uploads with equal results share one stored image. The
//! image is written first, and facts without an image are a miss.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::keys::{self, CacheScope, PhotoKey};
use super::outcome::{Cost, RenditionFacts};
use crate::cache::{Cache, CacheKey, Entry, Hit, Tier};
use crate::credit::{Credits, Usage};
use crate::hex::{hex, unhex};
use crate::photo::{Damage, InputFormat, OutputFormat, PixelKey};

/// Facts as they are stored. An entry that cannot be parsed was written by another version and is a miss.
#[derive(Serialize, Deserialize)]
pub struct StoredFacts {
    digest: String,
    width: u32,
    height: u32,
    own_format: String,
    /// Entries of PixColor 0.1.0, which had no decoder revisions, have neither this member nor `damage`.
    #[serde(default)]
    input: Option<String>,
    /// Entries of PixColor 0.1.0, which read the first page only, do not have this member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pages: Option<u32>,
    pixels: String,
    alpha: String,
    #[serde(rename = "in_colour")]
    in_color: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
    cost: StoredCost,
}

#[derive(Serialize, Deserialize)]
struct StoredCost {
    micro_credits: Option<i64>,
    cpu_micros: Option<u64>,
    micros: u64,
}

impl From<Cost> for StoredCost {
    fn from(Cost { usage, time }: Cost) -> Self {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self {
            micro_credits: usage.credits.map(Credits::micro),
            cpu_micros: usage.cpu.map(micros),
            micros: micros(time),
        }
    }
}

impl From<StoredCost> for Cost {
    fn from(stored: StoredCost) -> Self {
        let usage = Usage {
            credits: stored.micro_credits.map(Credits::from_micro),
            cpu: stored.cpu_micros.map(Duration::from_micros),
        };
        Self { usage, time: Duration::from_micros(stored.micros) }
    }
}

impl From<&RenditionFacts> for StoredFacts {
    fn from(facts: &RenditionFacts) -> Self {
        Self {
            digest: hex(&facts.digest),
            width: facts.width,
            height: facts.height,
            own_format: facts.own_format.to_string(),
            input: facts.input.map(|input| input.name().to_owned()),
            pages: facts.pages,
            pixels: hex(&facts.photo.pixels.0),
            alpha: hex(&facts.photo.alpha),
            in_color: facts.in_color,
            damage: facts.damage.as_ref().map(Damage::to_string),
            cost: facts.cost.into(),
        }
    }
}

impl StoredFacts {
    /// `None` if a value cannot be parsed, because another version wrote the entry.
    pub fn facts(self) -> Option<RenditionFacts> {
        let own_format = self.own_format.parse().ok()?;
        let input = match self.input {
            Some(name) => Some(InputFormat::by_name(&name)?),
            None => only_input(own_format),
        };
        Some(RenditionFacts {
            digest: unhex(&self.digest)?,
            width: self.width,
            height: self.height,
            input,
            own_format,
            pages: self.pages,
            cost: self.cost.into(),
            photo: PhotoKey { pixels: PixelKey(unhex(&self.pixels)?), alpha: unhex(&self.alpha)? },
            in_color: self.in_color,
            damage: self.damage.map(Damage),
        })
    }
}

/// The only input format with this default output format; `None` if there are several.
fn only_input(own_format: OutputFormat) -> Option<InputFormat> {
    let mut inputs = InputFormat::ALL.into_iter().filter(|input| input.output() == own_format);
    inputs.next().filter(|_| inputs.next().is_none())
}

impl RenditionFacts {
    fn to_bytes(&self) -> Option<Bytes> {
        serde_json::to_vec(&StoredFacts::from(self)).ok().map(Bytes::from)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice::<StoredFacts>(bytes).ok()?.facts()
    }
}

/// The facts of a rendition; `None` on a miss.
pub async fn lookup_facts(cache: &dyn Cache, key: &CacheKey) -> Option<RenditionFacts> {
    RenditionFacts::from_bytes(&lookup(cache, key).await?.entry.bytes)
}

/// An encoded image by its SHA-256, and the tier that had it; `None` on a miss.
pub async fn lookup_image(cache: &dyn Cache, digest: [u8; 32], scope: CacheScope) -> Option<(Bytes, Tier)> {
    lookup(cache, &keys::image(digest, scope)).await.map(|hit| (hit.entry.bytes, hit.tier))
}

pub async fn store_rendition(
    cache: &dyn Cache,
    key: &CacheKey,
    facts: &RenditionFacts,
    picture: Bytes,
    scope: CacheScope,
) {
    store(cache, &keys::image(facts.digest, scope), picture).await;
    store_facts(cache, key, facts).await;
}

/// Stores the facts of a rendition whose image is stored already.
pub async fn store_facts(cache: &dyn Cache, key: &CacheKey, facts: &RenditionFacts) {
    if let Some(facts) = facts.to_bytes() {
        store(cache, key, facts).await;
    }
}

/// Serialised colour, its cost, and the tier that had the entry; `None` on a miss.
pub async fn lookup_color(cache: &dyn Cache, key: &CacheKey) -> Option<(Bytes, Cost, Tier)> {
    let Hit { entry, tier } = lookup(cache, key).await?;
    let (length, rest) = entry.bytes.split_first_chunk()?;
    let head = usize::from(u16::from_le_bytes(*length));
    let cost: StoredCost = serde_json::from_slice(rest.get(..head)?).ok()?;
    Some((entry.bytes.slice(length.len() + head..), cost.into(), tier))
}

pub async fn store_color(cache: &dyn Cache, key: &CacheKey, color: &[u8], cost: Cost) {
    let Ok(head) = serde_json::to_vec(&StoredCost::from(cost)) else { return };
    let Ok(length) = u16::try_from(head.len()) else { return };
    store(cache, key, [&length.to_le_bytes(), &head[..], color].concat().into()).await;
}

async fn lookup(cache: &dyn Cache, key: &CacheKey) -> Option<Hit> {
    cache.get(key).await.unwrap_or_else(|error| {
        tracing::warn!("the cache cannot be read: {error}");
        None
    })
}

async fn store(cache: &dyn Cache, key: &CacheKey, bytes: Bytes) {
    if let Err(error) = cache.put(key, Entry::new(bytes)).await {
        tracing::warn!("a result cannot be stored in the cache, so it may be paid for again: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(credits: Option<Credits>) -> RenditionFacts {
        let usage = Usage { credits, cpu: Some(Duration::from_micros(7)) };
        RenditionFacts {
            digest: [1; 32],
            width: 30_000,
            height: 2,
            input: Some(InputFormat::Tiff),
            pages: Some(3),
            own_format: OutputFormat::Png,
            cost: Cost { usage, time: Duration::from_millis(1234) },
            photo: PhotoKey { pixels: PixelKey([2; 32]), alpha: [3; 32] },
            in_color: true,
            damage: Some(Damage("The last third is missing.".to_owned())),
        }
    }

    #[test]
    fn facts_are_read_as_they_were_written_and_unknown_cost_stays_unknown() {
        for credits in [None, Some(Credits::from_micro(1_500_000))] {
            let facts = facts(credits);
            let bytes = facts.to_bytes().unwrap();
            assert_eq!(RenditionFacts::from_bytes(&bytes), Some(facts));
            assert_eq!(RenditionFacts::from_bytes(&bytes[1..]), None);
        }
    }

    #[test]
    fn older_facts_are_read_and_imply_the_input_format_where_only_one_is_possible() {
        let mut old = serde_json::to_value(StoredFacts::from(&facts(None))).unwrap();
        let members = old.as_object_mut().unwrap();
        members.remove("input");
        members.remove("damage");
        members.remove("pages");
        let formats = [("jpeg", Some(InputFormat::Jpeg)), ("webp", Some(InputFormat::WebP)), ("png", None)];
        for (own_format, input) in formats {
            old["own_format"] = own_format.into();
            let facts = RenditionFacts::from_bytes(&serde_json::to_vec(&old).unwrap()).unwrap();
            assert_eq!((facts.input, facts.pages, facts.damage), (input, None, None), "{own_format}");
        }
    }
}
