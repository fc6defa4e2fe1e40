//! Cache keys of renditions and colour, and the keys by which identical requests share a flight.
//!
//! Each key is a hash over everything that changes the result. Each part is hashed with its length before it, so that
//! different lists of parts have different hashes. A setting that changes pixels must be a part here or in the provider
//! identity; otherwise the cache returns old pictures.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::request::{Client, ColorizeRequest, Fingerprint};
use crate::cache::{CacheKey, EntryKind};
use crate::config::{CacheSharing, Config, OutputConfig};
use crate::photo::{EncodeOptions, OutputFormat, Photo, PixelKey};
use crate::provider::{Provider, ProviderIdentity, ProviderInfo};

/// Increment it when merging or encoding changes, so that renditions made before are cache misses. If one format's
/// decoder changes, increment that format's [`InputFormat::decoder_revision`] instead: then the paid colour of all
/// other formats is still used.
///
/// [`InputFormat::decoder_revision`]: crate::photo::InputFormat::decoder_revision
const PIPELINE: &[u8] = b"1";

/// Whose cache entries a request may use: those of all clients, or of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CacheScope(Option<[u8; 32]>);

impl CacheScope {
    /// The scope in which a client's results are looked up and stored.
    pub fn of(client: &Client, config: &Config) -> Self {
        Self(match (config.cache.share, client.bucket(config.clients.ipv6_prefix)) {
            (CacheSharing::All, _) => None,
            (CacheSharing::Client, Some(client)) => Some(hash(&[b"client", client.to_string().as_bytes()])),
            (CacheSharing::Client, None) => Some(hash(&[b"here"])),
        })
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |scope| scope)
    }
}

pub fn encode_options(config: &OutputConfig, format: OutputFormat, about: &ProviderInfo) -> EncodeOptions {
    let quality = match format {
        OutputFormat::WebP => config.webp_quality,
        OutputFormat::Jpeg => config.jpeg_quality,
        // PNG is lossless: its key must not depend on a quality.
        OutputFormat::Png => 100,
    };
    EncodeOptions {
        format,
        quality,
        note: config.mark.then(|| format!("coloured by {}", about.model)),
        threads: 1,
    }
}

/// An upload and the revision of the decoder that reads it. After a change of the decoder, the same file may have other
/// pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodedBy {
    pub fingerprint: Fingerprint,
    pub revision: u8,
}

impl DecodedBy {
    /// A key of the upload. Revision 0 adds no part, so that entries written before there were revisions are hits.
    fn key(&self, kind: EntryKind, parts: &[&[u8]]) -> CacheKey {
        let revision = [self.revision];
        let revision: &[&[u8]] = if self.revision == 0 { &[] } else { &[&revision] };
        CacheKey { subject: self.fingerprint.0, kind, variant: hash(&[parts, revision].concat()) }
    }
}

/// The key of a rendition's facts.
pub fn rendition(
    source: DecodedBy,
    identity: ProviderIdentity,
    options: &EncodeOptions,
    scope: CacheScope,
) -> CacheKey {
    let EncodeOptions { format, quality, note, threads: _ } = options;
    let note = note.as_deref().unwrap_or_default().as_bytes();
    let parts = [PIPELINE, &identity.0, format.extension().as_bytes(), &[*quality], note, scope.bytes()];
    source.key(EntryKind::Rendition, &parts)
}

/// The key of an encoded image, by its SHA-256.
pub fn image(digest: [u8; 32], scope: CacheScope) -> CacheKey {
    CacheKey { subject: digest, kind: EntryKind::Picture, variant: hash(&[scope.bytes()]) }
}

/// The part of a chroma key that follows from the photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhotoKey {
    pub pixels: PixelKey,
    /// SHA-256 of the photo's opacity, which the pixel key does not include. Opacity changes the chroma, because
    /// providers receive white where the photo is transparent.
    pub alpha: [u8; 32],
}

impl PhotoKey {
    /// Hashes every pixel, so it must not run on an async thread.
    pub fn new(photo: &Photo) -> Self {
        let alpha = Sha256::digest(photo.alpha.as_deref().unwrap_or_default()).into();
        Self { pixels: photo.pixel_key(), alpha }
    }
}

/// The key of a provider's chroma.
pub fn chroma(photo: &PhotoKey, identity: ProviderIdentity, scope: CacheScope) -> CacheKey {
    let variant = hash(&[PIPELINE, &identity.0, &photo.alpha, scope.bytes()]);
    CacheKey { subject: photo.pixels.0, kind: EntryKind::Chroma, variant }
}

/// The key of a provider's own pixels, which are used where luma-lock is off.
pub fn own_pixels(source: DecodedBy, identity: ProviderIdentity, scope: CacheScope) -> CacheKey {
    source.key(EntryKind::Own, &[PIPELINE, &identity.0, scope.bytes()])
}

/// The key of a flight: requests with the same upload, route and parameters have the same key.
pub fn flight(
    request: &ColorizeRequest,
    config: &Config,
    route: &[Arc<dyn Provider>],
    upload: DecodedBy,
    scope: CacheScope,
    format: OutputFormat,
) -> [u8; 32] {
    let flags = [request.reuse.lookup, request.reuse.store].map(u8::from);
    let mut parts = vec![upload.fingerprint.0.to_vec(), flags.to_vec(), scope.bytes().to_vec()];
    parts.push(format!("{:?}", config.on_color).into());
    parts.push(format!("{:?}", config.on_damage).into());
    for about in route.iter().map(|provider| provider.info()) {
        let options = encode_options(&config.output, format, about);
        parts.push(about.name.clone().into());
        parts.push(rendition(upload, about.identity(), &options, scope).variant.to_vec());
    }
    hash(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// The key of a flight that only requests of one client share.
pub fn client_flight(flight: [u8; 32], account: Option<&str>) -> [u8; 32] {
    hash(&[&flight, account.unwrap_or_default().as_bytes()])
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
