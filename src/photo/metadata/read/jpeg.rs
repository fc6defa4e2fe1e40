//! The metadata segments of a JPEG: JFIF, EXIF, XMP with its extension (ISO 16684-3), and Photoshop's resources.

use std::collections::BTreeMap;

use super::{MAX_PART, Upload};
use crate::photo::head::{be16, be32};
use crate::photo::metadata::photoshop;
use crate::photo::metadata::resolution::Resolution;

pub(in super::super) const EXIF: &[u8] = b"Exif\0\0";
pub(in super::super) const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
pub(in super::super) const EXTENDED_XMP: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";
pub(in super::super) const PHOTOSHOP: &[u8] = b"Photoshop 3.0\0";

/// The characters of an MD5.
const GUID: usize = 32;

pub(super) fn read(bytes: &[u8]) -> Upload {
    let mut upload = Upload::default();
    let mut resources = Vec::new();
    let mut extension = Extension::default();
    let mut has_exif = false;
    for (marker, body) in segments(bytes) {
        match marker {
            0xE0 => {
                if let Some(header) = body.strip_prefix(b"JFIF\0") {
                    upload.resolution = upload.resolution.or_else(|| density(header));
                }
            }
            0xE1 => {
                if let Some(exif) = body.strip_prefix(EXIF) {
                    // Later ones come from embedded pictures.
                    if !std::mem::replace(&mut has_exif, true) {
                        upload.take_exif(exif);
                    }
                } else if let Some(xmp) = body.strip_prefix(XMP).filter(|_| upload.xmp.is_empty()) {
                    upload.xmp = xmp.to_vec();
                } else if let Some(part) = body.strip_prefix(EXTENDED_XMP) {
                    extension.take(part);
                }
            }
            0xED if resources.len() <= MAX_PART => {
                resources.extend(body.strip_prefix(PHOTOSHOP).unwrap_or_default());
            }
            _ => {}
        }
    }
    upload.iptc = photoshop::iptc(&resources).unwrap_or_default().to_vec();
    upload.extended_xmp = extension.of(&upload.xmp);
    upload
}

/// The resolution in a JFIF header: version, unit, densities.
fn density(header: &[u8]) -> Option<Resolution> {
    let side = |at| be16(header, at).and_then(|side| u16::try_from(side).ok());
    Resolution::of_jfif(*header.get(2)?, side(3)?, side(5)?)
}

/// Markers and bodies of the segments before the first scan.
fn segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut at = 2;
    std::iter::from_fn(move || {
        loop {
            match (*bytes.get(at)?, *bytes.get(at + 1)?) {
                // Fill bytes, and data between segments, which the decoder skips as well.
                (0xFF, 0xFF) => at += 1,
                (0..0xFF, _) => at += memchr::memchr(0xFF, &bytes[at..])?,
                // Stuffing, and markers without a length.
                (0xFF, 0 | 1 | 0xD0..=0xD8) => at += 2,
                // The end, or a scan.
                (0xFF, 0xD9 | 0xDA) => return None,
                (_, marker) => {
                    let length = be16(bytes, at + 2)? as usize;
                    let body = bytes.get(at + 4..at + 2 + length)?;
                    at += 2 + length;
                    return Some((marker, body));
                }
            }
        }
    })
}

/// Maximum number of extended packets; only one is used.
const MAX_PACKETS: usize = 16;

/// The parts of extended packets: of each packet, which its MD5 names, the parts by their positions.
#[derive(Default)]
struct Extension<'a> {
    packets: BTreeMap<&'a [u8], BTreeMap<u32, &'a [u8]>>,
}

impl<'a> Extension<'a> {
    fn take(&mut self, segment: &'a [u8]) {
        let Some((guid, rest)) = segment.split_at_checked(GUID) else { return };
        // The length of the whole packet, and the position of this part in it.
        let Some((position, part)) = be32(rest, 4).zip(rest.get(8..)) else { return };
        if self.packets.len() < MAX_PACKETS || self.packets.contains_key(guid) {
            self.packets.entry(guid).or_default().insert(position, part);
        }
    }

    /// The packet that a main packet names; empty if there is none, or parts are missing.
    fn of(&self, main: &[u8]) -> Vec<u8> {
        let named = self.packets.iter().find(|(guid, _)| memchr::memmem::find(main, guid).is_some());
        let mut whole = Vec::new();
        for (&position, part) in named.into_iter().flat_map(|(_, parts)| parts) {
            if position as usize != whole.len() || whole.len() + part.len() > MAX_PART {
                return Vec::new();
            }
            whole.extend(*part);
        }
        whole
    }
}
