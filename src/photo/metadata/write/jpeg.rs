//! The segments of a JPEG.

use crate::photo::metadata::exif::{Value, tag};
use crate::photo::metadata::read::jpeg::{EXIF, EXTENDED_XMP, PHOTOSHOP, XMP};
use crate::photo::metadata::xmp::Extension;
use crate::photo::metadata::{Tags, photoshop, profile};

const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP2: u8 = 0xE2;
const APP13: u8 = 0xED;

/// The value of YCbCrPositioning for samples of chroma in the middle of their pixels.
const CENTERED: u16 = 1;

/// Maximum bytes of a segment's body.
const MAX_BODY: usize = 65_533;

/// Maximum bytes of a main XMP packet (ISO 16684-3, 7.3).
const MAX_XMP: usize = 65_502;

/// Bytes of an extended packet in one segment.
const PART: usize = 65_000;

impl Tags {
    /// Markers and bodies of the segments at the start of a JPEG, in the order that JFIF and EXIF require.
    pub(in crate::photo) fn jpeg_segments(&self) -> Vec<(u8, Vec<u8>)> {
        let mut segments = vec![(APP0, self.jfif())];
        if let Some(mut exif) = self.exif.clone() {
            // EXIF requires it. Our encoder takes the mean of the pixels around each sample of chroma.
            exif.primary.insert(tag::YCBCR_POSITIONING, Value::short(CENTERED, exif.little_endian));
            exif.shrink(MAX_BODY - EXIF.len());
            segments.push((APP1, [EXIF, &exif.to_blob()].concat()));
        }
        if let Some(xmp) = &self.xmp {
            let divided = xmp.divided(MAX_XMP);
            segments.push((APP1, [XMP, divided.main.as_bytes()].concat()));
            let parts = divided.extension.iter().flat_map(extension_segments);
            segments.extend(parts.map(|part| (APP1, part)));
        }
        if let Some(mut iptc) = self.iptc.clone() {
            // Header, padding and checks of the resource take less than 32 bytes.
            iptc.shrink(MAX_BODY - PHOTOSHOP.len() - 32);
            segments.push((APP13, [PHOTOSHOP, &photoshop::of_iptc(&iptc.to_bytes())].concat()));
        }
        if self.profile {
            // The first of one segments.
            segments.push((APP2, [b"ICC_PROFILE\0\x01\x01", profile::srgb()].concat()));
        }
        segments
    }

    /// The JFIF header: version 1.2, unit and densities, no thumbnail. Without a resolution, pixels are square.
    fn jfif(&self) -> Vec<u8> {
        let density = self.resolution.and_then(|resolution| resolution.to_jfif());
        let (unit, x, y) = density.unwrap_or((0, 1, 1));
        [b"JFIF\0\x01\x02", [unit].as_slice(), &x.to_be_bytes(), &y.to_be_bytes(), &[0, 0]].concat()
    }
}

fn extension_segments(extension: &Extension) -> impl Iterator<Item = Vec<u8>> {
    let Extension { text, guid } = extension;
    let length = (text.len() as u32).to_be_bytes();
    text.as_bytes().chunks(PART).zip((0_u32..).step_by(PART)).map(move |(part, position)| {
        [EXTENDED_XMP, guid.as_bytes(), &length, &position.to_be_bytes(), part].concat()
    })
}
