//! Photoshop's image resources, in which JPEG, PNG and some TIFF files contain IPTC-IIM.

use crate::photo::head::{be16, be32};

/// The identifier of the resource with IPTC-IIM.
const IPTC: u16 = 0x0404;

const SIGNATURE: &[u8] = b"8BIM";

/// The content of the IPTC-IIM resource.
pub(super) fn iptc(resources: &[u8]) -> Option<&[u8]> {
    let mut rest = resources;
    loop {
        // Signature, identifier, name with its length padded to an even size, length, content.
        let id = be16(rest.strip_prefix(SIGNATURE)?, 0)?;
        let name = usize::from(*rest.get(6)?) + 1;
        let length_at = 6 + name.next_multiple_of(2);
        let length = be32(rest, length_at)? as usize;
        let content = rest.get(length_at + 4..)?;
        if id == u32::from(IPTC) {
            return content.get(..length);
        }
        rest = content.get(length.checked_next_multiple_of(2)?..)?;
    }
}

/// A single resource with IPTC-IIM.
pub(super) fn of_iptc(iptc: &[u8]) -> Vec<u8> {
    let length = (iptc.len() as u32).to_be_bytes();
    let mut resource = [SIGNATURE, &IPTC.to_be_bytes(), &[0, 0], &length, iptc].concat();
    resource.resize(resource.len().next_multiple_of(2), 0);
    resource
}
