//! Parts of decoders that read bytes of a file and that nothing outside can call by themselves, for `fuzz/` and for the
//! test that replays its inputs (`tests/photos/corpora.rs`). Always compiled, because an integration test sees the
//! library as anybody does, without `cfg(test)`; hidden, because it is no part of the API; linked into no binary that
//! does not call it.

use super::profile::ToSrgb;
use super::{InputFormat, jpeg};
use crate::photo::{Limits, PhotoError, read_head};

/// Finds the segments of a JPEG and takes every component of a progressive one out as a file of its own.
///
/// # Errors
/// As [`crate::photo::Photo::decode`]; [`PhotoError::Unsupported`] for another format.
pub fn jpeg_components(bytes: &[u8], limits: &Limits) -> Result<Vec<Vec<u8>>, PhotoError> {
    let head = read_head(bytes, limits)?;
    match head.format {
        InputFormat::Jpeg => jpeg::components(bytes, head),
        format => Err(PhotoError::Unsupported(format!("A {format} file has no segments."))),
    }
}

/// Brings samples to sRGB by a profile; `None` when the profile is left out, or says that they are sRGB already.
pub fn icc(profile: &[u8], colours: usize, samples: &[u16]) -> Option<Vec<u16>> {
    ToSrgb::new(Some(profile), colours).row16(samples).map(<[u16]>::to_vec)
}
