//! Reads the metadata of an upload, and prepares what its rendition contains.
//!
//! Metadata is read into plain values (`read`), changed so that it describes the rendition (`exif`, `iptc`, `xmp`), and
//! written as the rendition's format requires it (`write`). Damaged metadata is dropped: it never fails a request.

mod exif;
mod iptc;
mod photoshop;
mod profile;
mod read;
mod resolution;
#[cfg(test)]
mod tests;
mod write;
mod xmp;

use super::{CodecStep, DecodeOptions, Mark, MetadataPolicy, Rotation, caught};
use exif::{Changes, Exif};
use iptc::Iptc;
use read::Upload;
use resolution::Resolution;
use xmp::Packet;

/// The metadata that an encoder writes into a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    exif: Option<Exif>,
    iptc: Option<Iptc>,
    xmp: Option<Packet>,
    resolution: Option<Resolution>,
    /// Whether the file contains an ICC profile. A TIFF always does, and a PNG states sRGB in another way.
    profile: bool,
}

/// The metadata of a rendition of an upload. `bytes` is the whole upload, the size is the rendition's, upright.
pub fn rendition_tags(
    bytes: &[u8],
    options: &DecodeOptions,
    policy: MetadataPolicy,
    mark: Option<&Mark>,
    size: (u32, u32),
) -> Tags {
    let kept = || Ok(kept_tags(bytes, options, policy == MetadataPolicy::KeepWithoutLocation, size));
    let mut tags = match policy {
        MetadataPolicy::Strip => Tags::default(),
        _ => caught(CodecStep::Decode, "metadata", kept).unwrap_or(Tags { profile: true, ..Tags::default() }),
    };
    if let Some(mark) = mark {
        tags.xmp.get_or_insert_default().add_mark(mark);
    }
    tags
}

/// The upload's metadata as its rendition contains it.
fn kept_tags(bytes: &[u8], options: &DecodeOptions, without_location: bool, size: (u32, u32)) -> Tags {
    let mut upload = Upload::of(bytes, options);
    let by_file = matches!(upload.orientation, Some(5..=8));
    let by_client = matches!(options.rotation, Rotation::Quarter | Rotation::ThreeQuarters);
    let changes = Changes { without_location, size, turned: by_file != by_client };
    // A resolution in EXIF counts for formats that state theirs elsewhere.
    let in_exif = |exif: &Exif| Resolution::of_tags(&exif.primary, exif.little_endian);
    let resolution = upload.resolution.or_else(|| upload.exif.as_ref().and_then(in_exif));
    if let Some(exif) = &mut upload.exif {
        exif.edit(&changes);
    }
    let mut iptc = Iptc::of(&upload.iptc);
    if without_location {
        iptc.drop_location();
    }
    Tags {
        exif: upload.exif.filter(|exif| !exif.is_empty()),
        iptc: Some(iptc).filter(|iptc| !iptc.is_empty()),
        xmp: packet(&upload.xmp, &upload.extended_xmp, &changes),
        resolution: resolution
            .map(|resolution| if changes.turned { resolution.turned() } else { resolution }),
        profile: true,
    }
}

/// The upload's XMP packet with its extension.
fn packet(main: &[u8], extension: &[u8], changes: &Changes) -> Option<Packet> {
    let read = |bytes: &[u8]| Packet::of(bytes, changes.without_location).filter(|_| !bytes.is_empty());
    let mut packet = read(main)?;
    if let Some(extension) = read(extension) {
        packet.merge(extension);
    }
    packet.edit(changes);
    Some(packet).filter(|packet| !packet.is_empty())
}
