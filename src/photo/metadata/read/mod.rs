//! Reads the metadata of an upload, as its file format contains it.

mod bmp;
pub(super) mod jpeg;
pub(super) mod png;
mod tiff;
mod webp;

use super::exif::Exif;
use super::resolution::Resolution;
use crate::photo::{DecodeOptions, InputFormat, format_of};

/// Maximum bytes of an XMP packet or of another compressed or divided part.
const MAX_PART: usize = 1 << 20;

/// The metadata of an upload.
#[derive(Default)]
pub(super) struct Upload {
    pub(super) exif: Option<Exif>,
    /// The orientation that the decoder applies, 1 to 8.
    pub(super) orientation: Option<u32>,
    /// IPTC-IIM data sets.
    pub(super) iptc: Vec<u8>,
    /// An XMP packet, and the packet that extends it.
    pub(super) xmp: Vec<u8>,
    pub(super) extended_xmp: Vec<u8>,
    /// The resolution that the format itself states.
    pub(super) resolution: Option<Resolution>,
}

impl Upload {
    /// Reads as much as can be found.
    pub(super) fn of(bytes: &[u8], options: &DecodeOptions) -> Self {
        match format_of(bytes) {
            Ok(InputFormat::Jpeg) => jpeg::read(bytes),
            Ok(InputFormat::Png) => png::read(bytes),
            Ok(InputFormat::WebP) => webp::read(bytes),
            Ok(InputFormat::Tiff) => tiff::read(bytes, options.page),
            Ok(InputFormat::Bmp) => bmp::read(bytes),
            Ok(InputFormat::Gif | InputFormat::Jxl) | Err(_) => Self::default(),
        }
    }

    /// Takes EXIF data whose orientation the decoder applies.
    fn take_exif(&mut self, blob: &[u8]) {
        if let Some(exif) = Exif::of_blob(blob) {
            self.orientation = exif.orientation();
            self.exif = Some(exif);
        }
    }
}
