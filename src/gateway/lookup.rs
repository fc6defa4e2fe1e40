//! Looks renditions up in the cache, in the order of the route and without decoding the upload.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::cache_codec;
use super::error::Error;
use super::keys::{CacheScope, Encoding};
use super::ledger_view::BudgetView;
use super::outcome::{Rendition, RenditionFacts};
use super::plan::CacheSearch;
use super::request::{Client, Fingerprint, RenditionOptions};
use super::timeline::TimedStep;
use super::{Gateway, Snapshot};
use crate::cache::{Cache, CacheError, CacheKey, EntryKind, Tier};
use crate::config::{OnColor, OnDamage};
use crate::photo::{OutputFormat, PixelKey};
use crate::provider::ProviderInfo;

/// All formats of renditions.
pub(super) const FORMATS: [OutputFormat; 4] =
    [OutputFormat::Jpeg, OutputFormat::Png, OutputFormat::WebP, OutputFormat::Tiff];

/// The keys of all entries of an upload; `None` if the cache cannot list them.
pub(super) type StoredKeys = Option<HashSet<CacheKey>>;

impl Gateway {
    /// The stored rendition that answers a request without a call. A provider's rendition counts only if no provider
    /// earlier on the route could be called now. Without a format in the options, any format is accepted, but the
    /// upload's own format is preferred.
    pub(super) async fn lookup(&self, search: &CacheSearch) -> Option<Rendition> {
        let start = Instant::now();
        let budgets = BudgetView::new(self, &search.snapshot, search.account.clone());
        let mut attempts = Vec::new();
        for provider in &search.route {
            let about = provider.info();
            if let Some(rendition) = self.lookup_by_provider(search, about).await {
                return Some(Rendition {
                    attempts,
                    timings: vec![(TimedStep::Cache, start.elapsed())],
                    ..rendition
                });
            }
            attempts.push(budgets.obstacle(provider.as_ref(), search.pixels).await?);
        }
        None
    }

    pub(super) async fn lookup_by_provider(
        &self,
        search: &CacheSearch,
        about: &ProviderInfo,
    ) -> Option<Rendition> {
        let mut any = None;
        for format in FORMATS.into_iter().filter(|format| search.options.allows(*format)) {
            if let Some((key, facts)) = self.lookup_facts(search, about, &search.encoding(format)).await {
                let own = facts.own_format == format;
                if own || any.is_none() {
                    any = Some((key, facts, format));
                }
                if own {
                    break;
                }
            }
        }
        // A rendition of an upload in colour may have been made with another value of `on_colour`. Unless the current
        // value is "recolour", such a rendition is a miss, and `on_colour` is applied after decoding.
        let recolor = search.snapshot.config.on_color == OnColor::Recolor;
        // The same applies to a damaged upload and `on_damage`.
        let accept = search.snapshot.config.on_damage == OnDamage::Accept;
        let (key, mut facts, format) = any
            .filter(|(_, facts, _)| recolor || !facts.in_color)
            .filter(|(_, facts, _)| accept || facts.damage.is_none())?;
        let picture = cache_codec::lookup_image(self.cache(), facts.digest, search.scope).await?;
        // Entries of older versions lack the upload's format and its number of pages. Once these are stored, a lookup by
        // fingerprint alone hits, too.
        let known = (facts.input.or(search.input), facts.pages.or(search.pages));
        if known != (facts.input, facts.pages) {
            (facts.input, facts.pages) = known;
            cache_codec::store_facts(self.cache(), &key, &facts).await;
        }
        Some(Rendition::from_cache(key, &facts, format, picture, about))
    }

    /// The facts of a rendition, and their key. Facts of an older decoder revision are a miss: the picture
    /// may show wrongly decoded pixels.
    pub(super) async fn lookup_facts(
        &self,
        search: &CacheSearch,
        about: &ProviderInfo,
        encoding: &Encoding,
    ) -> Option<(CacheKey, RenditionFacts)> {
        for revision in search.revisions() {
            let key = search.rendition_key(about, encoding, revision)?;
            if let Some(facts) = cache_codec::lookup_facts(self.cache(), &key).await {
                let input = search.input.or(facts.input);
                if input.is_some_and(|input| input.decoder_revision() == revision) {
                    return Some((key, facts));
                }
            }
        }
        None
    }

    /// Lists the entries of an upload.
    pub(super) async fn stored_keys(&self, fingerprint: Fingerprint) -> StoredKeys {
        let keys = self.cache().list(&fingerprint.0).await;
        keys.inspect_err(|error| tracing::warn!("the cache cannot be listed: {error}"))
            .ok()
            .map(HashSet::from_iter)
    }

    /// The facts of a provider's renditions of the same page and rotation in any encoding, made by a decoder of this
    /// revision. Facts are read only if `stored` has their key, because there are dozens of encodings and reading from
    /// a bucket takes a request each.
    pub(super) async fn facts_in_any_encoding(
        &self,
        search: &CacheSearch,
        about: &ProviderInfo,
        revision: u8,
        stored: &StoredKeys,
    ) -> Vec<RenditionFacts> {
        let encodings = Encoding::all(&search.snapshot.config.output, search.options.decode);
        let keys = encodings.filter_map(|encoding| search.rendition_key(about, &encoding, revision));
        let mut found = Vec::new();
        for key in keys.filter(|key| stored.as_ref().is_none_or(|stored| stored.contains(key))) {
            found.extend(cache_codec::lookup_facts(self.cache(), &key).await);
        }
        found
    }

    /// The stored rendition that a request for this fingerprint would get without a call. The metrics do not count it
    /// here: the caller counts it when it is sent.
    pub async fn lookup_rendition(
        &self,
        snapshot: Arc<Snapshot>,
        fingerprint: Fingerprint,
        provider: Option<&str>,
        options: RenditionOptions,
        client: &Client,
    ) -> Result<Option<Rendition>, Error> {
        options.check()?;
        let search = CacheSearch::new(snapshot, fingerprint, provider, client, options)?;
        Ok(self.lookup(&search).await)
    }

    /// The encoded image with this SHA-256, and the tier that had it.
    pub async fn lookup_image(
        &self,
        snapshot: &Snapshot,
        digest: [u8; 32],
        client: &Client,
    ) -> Option<(Bytes, Tier)> {
        cache_codec::lookup_image(self.cache(), digest, CacheScope::of(client, &snapshot.config)).await
    }
}

/// What [`forget`] deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletedEntries {
    /// The number of deleted entries.
    pub values: usize,
    /// Whether the upload's pixel key was known. If not, its chroma may still be stored: the entries that connect the
    /// fingerprint with the pixel key may have expired first.
    pub pixels_known: bool,
}

/// Deletes the entries of an upload, for all clients and providers: renditions, their images, and the colour. Images
/// are found by the stored facts. Chroma is found by the pixel key, which comes from the stored facts, or from a caller
/// that has the upload.
pub async fn forget(
    cache: &dyn Cache,
    fingerprint: Fingerprint,
    pixels: Option<PixelKey>,
) -> Result<DeletedEntries, CacheError> {
    let mut keys = cache.list(&fingerprint.0).await?;
    let mut photos: Vec<PixelKey> = pixels.into_iter().collect();
    for key in keys.clone().iter().filter(|key| key.kind == EntryKind::Rendition) {
        if let Some(facts) = cache_codec::lookup_facts(cache, key).await {
            keys.extend(cache.list(&facts.digest).await?);
            photos.push(facts.photo.pixels);
        }
    }
    for photo in &photos {
        keys.extend(cache.list(&photo.0).await?);
    }
    keys.sort_unstable();
    keys.dedup();
    let mut values = 0;
    for key in &keys {
        values += usize::from(cache.remove(key).await?);
    }
    Ok(DeletedEntries { values, pixels_known: !photos.is_empty() })
}
