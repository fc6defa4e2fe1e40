//! Renditions and colour as values of the cache, and back.
//!
//! Of a rendition two values are kept: its facts, found by the upload's fingerprint, and its picture,
//! found by the picture's own digest. So a result has an address that can never mean another picture, and
//! two uploads that give the same picture keep it once. The picture is written first: facts without a
//! picture are a miss.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::keys::{self, CacheScope, PhotoKey};
use super::rendition::Cost;
use crate::cache::{Cache, CacheKey, Entry, Hit, Tier};
use crate::credit::{Credits, Usage};
use crate::hex::{hex, unhex};
use crate::photo::{Damage, InputFormat, OutputFormat, PixelKey};

/// What is known of a rendition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenditionFacts {
    /// SHA-256 of the encoded picture.
    pub digest: [u8; 32],
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The upload's file format; none where the entry was written before this was noted and `own_format` does not
    /// tell.
    pub input: Option<InputFormat>,
    /// The format that the upload's rendition has when nobody asks for one.
    pub own_format: OutputFormat,
    /// What it took to make it.
    pub cost: Cost,
    /// What the chroma of the upload is kept under.
    pub photo: PhotoKey,
    /// Whether the upload was in colour already.
    pub in_color: bool,
    /// What is missing of the upload.
    pub damage: Option<Damage>,
}

/// As it is kept. What cannot be read is of another version, and a miss.
#[derive(Serialize, Deserialize)]
pub struct StoredFacts {
    digest: String,
    width: u32,
    height: u32,
    own_format: String,
    /// Entries of PixColor 0.1.0 before decoder revisions have neither this nor `damage`.
    #[serde(default)]
    input: Option<String>,
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
            pixels: hex(&facts.photo.pixels.0),
            alpha: hex(&facts.photo.alpha),
            in_color: facts.in_color,
            damage: facts.damage.as_ref().map(Damage::to_string),
            cost: facts.cost.into(),
        }
    }
}

impl StoredFacts {
    /// The facts; none where they are of another version.
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
            cost: self.cost.into(),
            photo: PhotoKey { pixels: PixelKey(unhex(&self.pixels)?), alpha: unhex(&self.alpha)? },
            in_color: self.in_color,
            damage: self.damage.map(Damage),
        })
    }
}

/// The only input format whose rendition has this format by default; none if there are several.
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

/// The facts of a rendition; `None` when there are none.
pub async fn facts(cache: &dyn Cache, key: &CacheKey) -> Option<RenditionFacts> {
    RenditionFacts::from_bytes(&find(cache, key).await?.entry.bytes)
}

/// An encoded picture by its digest, and where it was.
pub async fn picture(cache: &dyn Cache, digest: [u8; 32], scope: CacheScope) -> Option<(Bytes, Tier)> {
    find(cache, &keys::picture(digest, scope)).await.map(|hit| (hit.entry.bytes, hit.tier))
}

/// Keeps a rendition.
pub async fn keep_rendition(
    cache: &dyn Cache,
    key: &CacheKey,
    facts: &RenditionFacts,
    picture: Bytes,
    scope: CacheScope,
) {
    keep(cache, &keys::picture(facts.digest, scope), picture).await;
    keep_facts(cache, key, facts).await;
}

/// Keeps the facts of a rendition whose picture is kept already.
pub async fn keep_facts(cache: &dyn Cache, key: &CacheKey, facts: &RenditionFacts) {
    if let Some(facts) = facts.to_bytes() {
        keep(cache, key, facts).await;
    }
}

/// Colour in bytes, what it had cost, and where it was.
pub async fn color(cache: &dyn Cache, key: &CacheKey) -> Option<(Bytes, Cost, Tier)> {
    let Hit { entry, tier } = find(cache, key).await?;
    let (length, rest) = entry.bytes.split_first_chunk()?;
    let head = usize::from(u16::from_le_bytes(*length));
    let cost: StoredCost = serde_json::from_slice(rest.get(..head)?).ok()?;
    Some((entry.bytes.slice(length.len() + head..), cost.into(), tier))
}

/// Keeps colour.
pub async fn keep_color(cache: &dyn Cache, key: &CacheKey, color: &[u8], cost: Cost) {
    let Ok(head) = serde_json::to_vec(&StoredCost::from(cost)) else { return };
    let Ok(length) = u16::try_from(head.len()) else { return };
    keep(cache, key, [&length.to_le_bytes(), &head[..], color].concat().into()).await;
}

async fn find(cache: &dyn Cache, key: &CacheKey) -> Option<Hit> {
    cache.get(key).await.unwrap_or_else(|error| {
        tracing::warn!("the cache cannot be read: {error}");
        None
    })
}

async fn keep(cache: &dyn Cache, key: &CacheKey, bytes: Bytes) {
    if let Err(error) = cache.put(key, Entry::new(bytes)).await {
        tracing::warn!("a result cannot be kept, so that it may be paid for again: {error}");
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
            own_format: OutputFormat::Png,
            cost: Cost { usage, time: Duration::from_millis(1234) },
            photo: PhotoKey { pixels: PixelKey([2; 32]), alpha: [3; 32] },
            in_color: true,
            damage: Some(Damage("The last third is missing.".to_owned())),
        }
    }

    #[test]
    fn facts_come_back_as_they_went_and_unknown_stays_unknown() {
        for credits in [None, Some(Credits::from_micro(1_500_000))] {
            let facts = facts(credits);
            let bytes = facts.to_bytes().unwrap();
            assert_eq!(RenditionFacts::from_bytes(&bytes), Some(facts));
            assert_eq!(RenditionFacts::from_bytes(&bytes[1..]), None);
        }
    }

    #[test]
    fn facts_written_before_decoder_revisions_are_read_and_tell_the_input_format_where_only_one_is_possible()
    {
        let mut old = serde_json::to_value(StoredFacts::from(&facts(None))).unwrap();
        let members = old.as_object_mut().unwrap();
        members.remove("input");
        members.remove("damage");
        let formats = [("jpeg", Some(InputFormat::Jpeg)), ("webp", Some(InputFormat::WebP)), ("png", None)];
        for (own_format, input) in formats {
            old["own_format"] = own_format.into();
            let facts = RenditionFacts::from_bytes(&serde_json::to_vec(&old).unwrap()).unwrap();
            assert_eq!((facts.input, facts.damage), (input, None), "{own_format}");
        }
    }
}
