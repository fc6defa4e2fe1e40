//! The metadata among the tags of a TIFF's page.

use super::{MAX_PART, Upload};
use crate::photo::ifd::{self, Directory};
use crate::photo::metadata::exif::{Exif, tag};
use crate::photo::metadata::photoshop;
use crate::photo::metadata::resolution::Resolution;

pub(super) fn read(bytes: &[u8], page: u32) -> Upload {
    let Some(page) = ifd::pages(bytes).page(page) else { return Upload::default() };
    let mut exif = Exif::of_page(page);
    let values = |tag: u16| page.field(tag.into())?.values().filter(|values| values.len() <= MAX_PART);
    // Some programs repeat the first directory's tags among those of the camera.
    exif.exif.remove(&tag::ORIENTATION);
    Upload {
        orientation: exif.orientation(),
        iptc: iptc(page)
            .or_else(|| Some(photoshop::iptc(values(tag::PHOTOSHOP)?)?.to_vec()))
            .unwrap_or_default(),
        xmp: values(tag::XMP).unwrap_or_default().to_vec(),
        extended_xmp: Vec::new(),
        resolution: Resolution::of_tags(&exif.primary, exif.little_endian),
        exif: Some(exif),
    }
}

/// IPTC-IIM. Some programs give it the type LONG, and some of these swap its bytes.
fn iptc(page: Directory<'_>) -> Option<Vec<u8>> {
    const LONG: u32 = 4;
    let field = page.field(tag::IPTC.into())?;
    let mut values = field.values().filter(|values| values.len() <= MAX_PART)?.to_vec();
    if field.kind() == LONG && values.first() != Some(&0x1C) {
        values.chunks_exact_mut(4).for_each(<[u8]>::reverse);
    }
    Some(values)
}
