//! The metadata chunks of a WebP (RFC 9649, 2.7.1.5).

use super::Upload;
use crate::photo::head::le32;

pub(super) fn read(bytes: &[u8]) -> Upload {
    let mut upload = Upload::default();
    let mut at = 12;
    while let Some((name, content)) = chunk(bytes, at) {
        match name {
            b"EXIF" if upload.exif.is_none() => upload.take_exif(content),
            b"XMP " if upload.xmp.is_empty() => upload.xmp = content.to_vec(),
            _ => {}
        }
        at += 8 + content.len().next_multiple_of(2);
    }
    upload
}

/// Name and content of the chunk at a position.
fn chunk(bytes: &[u8], at: usize) -> Option<(&[u8], &[u8])> {
    let length = le32(bytes, at.checked_add(4)?)? as usize;
    let content = bytes.get(at + 8..)?.get(..length)?;
    Some((&bytes[at..at + 4], content))
}
