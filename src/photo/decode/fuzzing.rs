//! Internal parts of the decoders that read a file's bytes, made public for `fuzz/`, `benches/` and the test that
//! replays the fuzz inputs (`tests/photos/corpora.rs`). This module is always compiled, because integration tests see
//! the library without `cfg(test)`. It is hidden from the documentation because it is not part of the API. A binary
//! that does not call these functions does not contain them.

use image::metadata::Orientation;

use super::profile::ToSrgb;
use super::{InputFormat, exif, jpeg};
use crate::photo::{Damage, Limits, PhotoError, read_head};

/// Finds the segments of a JPEG and returns the JPEG files that PixColor may make from it before decoding: first the
/// repaired file, then, if the JPEG is progressive, one file for each component that can be extracted.
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

/// Reads every Huffman code of a JPEG and describes what is missing from its picture.
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

/// Reads the orientation from EXIF data.
pub fn orientation(bytes: &[u8]) -> Option<Orientation> {
    exif::orientation(bytes)
}

/// Converts samples to sRGB with an ICC profile; `None` if the profile is ignored or is sRGB itself.
pub fn icc(profile: &[u8], colors: usize, samples: &[u16]) -> Option<Vec<u16>> {
    ToSrgb::new(Some(profile), colors).row16(samples).map(<[u16]>::to_vec)
}
