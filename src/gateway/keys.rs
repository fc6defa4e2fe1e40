//! Cache keys of renditions and colour, and the keys by which identical requests share a flight.
//!
//! Each key is a hash over everything that changes the result. Each part is hashed with its length before it, so that
//! different lists of parts have different hashes. A setting that changes pixels must be a part here or in the provider
//! identity; otherwise the cache returns old pictures.

use sha2::{Digest, Sha256};

use super::lookup::FORMATS;
use super::plan::CacheSearch;
use super::request::{Client, ColorizeRequest, Fingerprint, RenditionOptions};
use crate::cache::{CacheKey, EntryKind};
use crate::config::{CacheSharing, Config, OutputConfig};
use crate::photo::{
    self, DecodeOptions, Depth, EncodeOptions, Mark, MetadataPolicy, OutputFormat, Photo, PixelKey, Rotation,
};
use crate::provider::{ProviderIdentity, ProviderInfo};

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

/// How a rendition says that it was coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MarkStyle {
    None,
    /// The remark "coloured by MODEL", which earlier versions wrote. Their entries are looked up for their facts only.
    Remark,
    Xmp,
}

/// How a page of an upload becomes a file: everything that changes the file's bytes, except the provider. The content
/// of its metadata follows from the upload and the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    pub format: OutputFormat,
    quality: u8,
    depth: Depth,
    metadata: MetadataPolicy,
    mark: MarkStyle,
    decode: DecodeOptions,
}

impl Encoding {
    pub fn new(config: &OutputConfig, format: OutputFormat, options: &RenditionOptions) -> Self {
        let quality = match format {
            OutputFormat::WebP => config.webp_quality,
            OutputFormat::Jpeg => config.jpeg_quality,
            // These are lossless: their keys must not depend on a quality.
            OutputFormat::Png | OutputFormat::Tiff => 100,
        };
        let RenditionOptions { metadata, depth, decode, .. } = *options;
        let mark = if config.mark { MarkStyle::Xmp } else { MarkStyle::None };
        Self { format, quality, depth, metadata, mark, decode }
    }

    /// All encodings of the same page and rotation, also those that only earlier versions or other values of
    /// `output.mark` made.
    pub fn all(config: &OutputConfig, decode: DecodeOptions) -> impl Iterator<Item = Self> {
        use MetadataPolicy::{Keep, KeepWithoutLocation, Strip};
        let config = *config;
        let options = [Strip, Keep, KeepWithoutLocation].into_iter().flat_map(move |metadata| {
            [Depth::Eight, Depth::Sixteen].map(|depth| RenditionOptions {
                format: None,
                metadata,
                depth,
                decode,
            })
        });
        let encodings = options.flat_map(move |options| {
            let formats = FORMATS.into_iter().filter(move |format| options.allows(*format));
            formats.map(move |format| Self::new(&config, format, &options))
        });
        let marks = [MarkStyle::Xmp, MarkStyle::None, MarkStyle::Remark];
        encodings.flat_map(move |encoding| marks.map(|mark| Self { mark, ..encoding }))
    }

    /// The mark of a provider's rendition; `None` if renditions are not marked.
    pub fn mark(&self, about: &ProviderInfo) -> Option<Mark> {
        let version = Some(about.version.clone()).filter(|version| !version.is_empty());
        (self.mark == MarkStyle::Xmp).then(|| Mark { model: about.model.clone(), version })
    }

    /// The options for the encoder, for one thread. Reads the upload's metadata, so it must not run on an async thread.
    pub fn options(&self, upload: &[u8], mark: Option<&Mark>, size: (u32, u32)) -> EncodeOptions {
        EncodeOptions {
            format: self.format,
            quality: self.quality,
            depth: self.depth,
            tags: photo::rendition_tags(upload, &self.decode, self.metadata, mark, size),
            threads: 1,
        }
    }

    /// The parts of a key. A part that earlier versions did not have is added only if it differs from what they did, so
    /// that their entries are hits.
    fn new_parts(&self) -> Vec<String> {
        let mut parts = Vec::new();
        if self.depth != Depth::Eight {
            parts.push(format!("depth={}", self.depth.bits()));
        }
        if self.metadata != MetadataPolicy::Strip {
            parts.push(format!("metadata={}", self.metadata));
        }
        parts.extend(decode_parts(&self.decode));
        parts
    }
}

/// The parts of a key that say how an upload is read; none for the first page without rotation.
fn decode_parts(decode: &DecodeOptions) -> Vec<String> {
    let page = (decode.page != 1).then(|| format!("page={}", decode.page));
    let rotation =
        (decode.rotation != Rotation::None).then(|| format!("rotate={}", decode.rotation.degrees()));
    page.into_iter().chain(rotation).collect()
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

/// The key of a rendition's facts. The model and its version, which a mark contains, are part of the identity.
pub fn rendition(
    source: DecodedBy,
    about: &ProviderInfo,
    encoding: &Encoding,
    scope: CacheScope,
) -> CacheKey {
    let Encoding { format, quality, mark, .. } = *encoding;
    let mark = match mark {
        MarkStyle::None => String::new(),
        MarkStyle::Remark => format!("coloured by {}", about.model),
        MarkStyle::Xmp => "xmp".to_owned(),
    };
    let (identity, extension) = (about.identity(), format.extension().as_bytes());
    let quality = [quality];
    let new = encoding.new_parts();
    let old: [&[u8]; 6] = [PIPELINE, &identity.0, extension, &quality, mark.as_bytes(), scope.bytes()];
    let parts: Vec<&[u8]> = old.into_iter().chain(new.iter().map(String::as_bytes)).collect();
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
pub fn own_pixels(
    source: DecodedBy,
    decode: &DecodeOptions,
    identity: ProviderIdentity,
    scope: CacheScope,
) -> CacheKey {
    let new = decode_parts(decode);
    let old: [&[u8]; 3] = [PIPELINE, &identity.0, scope.bytes()];
    let parts: Vec<&[u8]> = old.into_iter().chain(new.iter().map(String::as_bytes)).collect();
    source.key(EntryKind::Own, &parts)
}

/// The key of a flight: requests with the same upload, route and parameters have the same key.
pub fn flight(
    request: &ColorizeRequest,
    search: &CacheSearch,
    revision: u8,
    encoding: &Encoding,
) -> [u8; 32] {
    let CacheSearch { snapshot, route, scope, .. } = search;
    let (config, upload) = (&snapshot.config, search.source(revision));
    let flags = [request.reuse.lookup, request.reuse.store].map(u8::from);
    let mut parts = vec![upload.fingerprint.0.to_vec(), flags.to_vec(), scope.bytes().to_vec()];
    parts.push(format!("{:?}", config.on_color).into());
    parts.push(format!("{:?}", config.on_damage).into());
    for about in route.iter().map(|provider| provider.info()) {
        parts.push(about.name.clone().into());
        parts.push(rendition(upload, about, encoding, *scope).variant.to_vec());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> ProviderInfo {
        ProviderInfo {
            name: "a".to_owned(),
            kind: "fake",
            model: "m".to_owned(),
            version: "1".to_owned(),
            leaves_machine: false,
            send_max_pixels: 1,
            luma_lock: true,
            settings: String::new(),
        }
    }

    const SOURCE: DecodedBy = DecodedBy { fingerprint: Fingerprint([7; 32]), revision: 1 };
    const ALL: CacheScope = CacheScope(None);

    fn config(mark: bool) -> OutputConfig {
        OutputConfig { mark, ..OutputConfig::default() }
    }

    /// The parts of the keys of version 0.1.0, for a source of revision 1.
    #[test]
    fn without_options_and_mark_the_keys_are_those_of_earlier_versions() {
        let about = about();
        let identity = about.identity().0;
        for (format, extension, quality) in
            [(OutputFormat::Jpeg, b"jpg".as_slice(), 90), (OutputFormat::Png, b"png", 100)]
        {
            let encoding = Encoding::new(&config(false), format, &RenditionOptions::default());
            let key = rendition(SOURCE, &about, &encoding, ALL);
            let parts: [&[u8]; 7] = [b"1", &identity, extension, &[quality], b"", b"", &[1]];
            assert_eq!((key.subject, key.variant), ([7; 32], hash(&parts)));
        }
        let own = own_pixels(SOURCE, &DecodeOptions::default(), about.identity(), ALL);
        assert_eq!(own.variant, hash(&[b"1", &identity, b"", &[1]]));
        let photo = PhotoKey { pixels: PixelKey([2; 32]), alpha: [3; 32] };
        let chroma = chroma(&photo, about.identity(), ALL);
        assert_eq!(chroma.variant, hash(&[b"1", &identity, &[3; 32], b""]));
    }

    #[test]
    fn every_option_changes_the_key_of_a_rendition() {
        let (about, mut keys) = (about(), std::collections::BTreeSet::new());
        let mut count = 0;
        for page in [1, 2, 90] {
            for rotation in [Rotation::None, Rotation::Quarter, Rotation::Half, Rotation::ThreeQuarters] {
                for encoding in Encoding::all(&config(true), DecodeOptions { page, rotation }) {
                    keys.insert(rendition(SOURCE, &about, &encoding, ALL));
                    count += 1;
                }
            }
        }
        // Three policies, four formats with 8 bits and two with 16, three marks.
        assert_eq!((keys.len(), count), (count, 3 * 4 * 3 * 6 * 3));
    }
}
