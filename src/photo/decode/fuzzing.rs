//! Parts of decoders that read bytes of a file and that nothing outside can call by themselves, for `fuzz/`, `benches/` and the
//! test that replays its inputs (`tests/photos/corpora.rs`). Always compiled, because an integration test sees the
//! library as anybody does, without `cfg(test)`; hidden, because it is no part of the API; linked into no binary that
//! does not call it.

use image::metadata::Orientation;

use super::profile::ToSrgb;
use super::{InputFormat, exif, jpeg};
use crate::photo::{Damage, Limits, PhotoError, read_head};

/// Finds the segments of a JPEG, and writes the files that are made of it before a decoder reads it: first the one that
/// is made of a damaged file, then each component of a progressive one.
///
/// # Errors
/// As [`crate::photo::Photo::decode`]; [`PhotoError::Unsupported`] for another format.
pub fn jpeg_parts(bytes: &[u8], limits: &Limits) -> Result<Vec<Vec<u8>>, PhotoError> {
    let head = read_head(bytes, limits)?;
    match head.format {
        InputFormat::Jpeg => jpeg::parts(bytes, head),
        format => Err(PhotoError::Unsupported(format!("A {format} file has no segments."))),
    }
}

/// Reads every Huffman code of a JPEG and says what is missing of its picture.
///
/// # Errors
/// As [`jpeg_parts`].
pub fn jpeg_damage(bytes: &[u8], limits: &Limits) -> Result<Option<Damage>, PhotoError> {
    let head = read_head(bytes, limits)?;
    match head.format {
        InputFormat::Jpeg => jpeg::damage(bytes, head),
        format => Err(PhotoError::Unsupported(format!("A {format} file has no Huffman codes."))),
    }
}

/// The orientation in EXIF.
pub fn orientation(bytes: &[u8]) -> Option<Orientation> {
    exif::orientation(bytes)
}

/// Brings samples to sRGB by a profile; `None` when the profile is left out, or says that they are sRGB already.
pub fn icc(profile: &[u8], colors: usize, samples: &[u16]) -> Option<Vec<u16>> {
    ToSrgb::new(Some(profile), colors).row16(samples).map(<[u16]>::to_vec)
}
