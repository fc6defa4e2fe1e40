//! What results are kept under, and when two requests are the same one.
//!
//! Every key is a hash over everything that changes the result, each part with its length before it, so
//! that no two lists of parts look alike. A new way to make pixels is a new part here, or in a provider's
//! identity, or it would be answered with old pictures.

use sha2::{Digest, Sha256};

use super::ask::{Client, ColorizeRequest, Fingerprint};
use super::plan::CacheSearch;
use crate::cache::{CacheKey, EntryKind};
use crate::config::{CacheSharing, Config, OutputConfig};
use crate::photo::{EncodeOptions, OutputFormat, Photo, PixelKey};
use crate::provider::{ProviderIdentity, ProviderInfo};

/// Counts up when merging or encoding changes, so that pictures made before are not found any more. A change of
/// one format's decoder raises that format's [`InputFormat::decoder_revision`] instead, which keeps the paid colour
/// of all others.
///
/// [`InputFormat::decoder_revision`]: crate::photo::InputFormat::decoder_revision
const PIPELINE: &[u8] = b"1";

/// Whose results are looked at: everybody's, or those of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CacheScope(Option<[u8; 32]>);

impl CacheScope {
    /// What a client may see, and where its own results go.
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

/// How a rendition of a format is written.
pub fn encode_options(config: &OutputConfig, format: OutputFormat, about: &ProviderInfo) -> EncodeOptions {
    let quality = match format {
        OutputFormat::WebP => config.webp_quality,
        OutputFormat::Jpeg => config.jpeg_quality,
        // Loses nothing: another quality of the others is not another PNG.
        OutputFormat::Png => 100,
    };
    EncodeOptions { format, quality, note: config.mark.then(|| format!("coloured by {}", about.model)) }
}

/// An upload, and the revision of the decoder that reads it: what a key by fingerprint is about. The same file gives
/// other pixels when its decoder has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodedBy {
    /// The upload.
    pub fingerprint: Fingerprint,
    /// The decoder's revision.
    pub revision: u8,
}

impl DecodedBy {
    /// A key of the upload. Revision 0 adds nothing, so that results made before there were revisions are found.
    fn key(&self, kind: EntryKind, parts: &[&[u8]]) -> CacheKey {
        let revision = [self.revision];
        let revision: &[&[u8]] = if self.revision == 0 { &[] } else { &[&revision] };
        CacheKey { subject: self.fingerprint.0, kind, variant: hash(&[parts, revision].concat()) }
    }
}

/// Under what a rendition's facts are kept.
pub fn rendition(
    source: DecodedBy,
    identity: ProviderIdentity,
    options: &EncodeOptions,
    scope: CacheScope,
) -> CacheKey {
    let EncodeOptions { format, quality, note } = options;
    let note = note.as_deref().unwrap_or_default().as_bytes();
    let parts = [PIPELINE, &identity.0, format.extension().as_bytes(), &[*quality], note, scope.bytes()];
    source.key(EntryKind::Rendition, &parts)
}

/// Under what an encoded picture is kept, by its own SHA-256.
pub fn picture(digest: [u8; 32], scope: CacheScope) -> CacheKey {
    CacheKey { subject: digest, kind: EntryKind::Picture, variant: hash(&[scope.bytes()]) }
}

/// What a photo's chroma is kept under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhotoKey {
    /// The luminance.
    pub pixels: PixelKey,
    /// SHA-256 of its opacity, which is no part of the pixel key, but a provider sees paper where a photo is
    /// transparent.
    pub alpha: [u8; 32],
}

impl PhotoKey {
    /// Hashes every pixel: not for async threads.
    pub fn new(photo: &Photo) -> Self {
        let alpha = Sha256::digest(photo.alpha.as_deref().unwrap_or_default()).into();
        Self { pixels: photo.pixel_key(), alpha }
    }
}

/// Under what a provider's chroma is kept.
pub fn chroma(photo: &PhotoKey, identity: ProviderIdentity, scope: CacheScope) -> CacheKey {
    let variant = hash(&[PIPELINE, &identity.0, &photo.alpha, scope.bytes()]);
    CacheKey { subject: photo.pixels.0, kind: EntryKind::Chroma, variant }
}

/// Under what a provider's own pixels are kept, luma-lock being off.
pub fn own(source: DecodedBy, identity: ProviderIdentity, scope: CacheScope) -> CacheKey {
    source.key(EntryKind::Own, &[PIPELINE, &identity.0, scope.bytes()])
}

/// Requests that may share one call: same picture, same route, same parameters.
pub fn flight(
    ask: &ColorizeRequest,
    search: &CacheSearch,
    source: DecodedBy,
    format: OutputFormat,
) -> [u8; 32] {
    let CacheSearch { snapshot, fingerprint, route, scope, .. } = search;
    let flags = [ask.reuse.find, ask.reuse.keep].map(u8::from);
    let mut parts = vec![fingerprint.0.to_vec(), flags.to_vec(), scope.bytes().to_vec()];
    parts.push(format!("{:?}", snapshot.config.on_color).into());
    parts.push(format!("{:?}", snapshot.config.on_damage).into());
    for about in route.iter().map(|provider| provider.about()) {
        let options = encode_options(&snapshot.config.output, format, about);
        parts.push(about.name.clone().into());
        parts.push(rendition(source, about.identity(), &options, *scope).variant.to_vec());
    }
    hash(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// The same for requests of one client alone.
pub fn own_flight(flight: [u8; 32], account: Option<&str>) -> [u8; 32] {
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
