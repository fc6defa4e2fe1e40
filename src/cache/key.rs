//! What values are kept under.

use std::fmt;

use crate::hex::{hex, unhex};

/// SHA-256 of what a value is about.
pub type CacheSubject = [u8; 32];

/// What a value is about, and which of the values about it this is.
///
/// Everything about one subject can be listed, and so be removed, without knowing the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheKey {
    /// What the value is about: the fingerprint of an upload, a pixel key, the digest of a rendition.
    pub subject: CacheSubject,
    /// What sort of value.
    pub kind: EntryKind,
    /// SHA-256 of everything else that the value depends on.
    pub variant: [u8; 32],
}

/// What sort of value; keeps sorts apart that share a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// What is known of a rendition, the digest of its picture among it, by fingerprint.
    Rendition,
    /// An encoded picture, by its own digest.
    Picture,
    /// A provider's chroma, by pixel key.
    Chroma,
    /// A provider's own pixels, by fingerprint.
    Own,
}

impl EntryKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Rendition, Self::Picture, Self::Chroma, Self::Own];

    /// Its name, which is in file names.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Rendition => "rendition",
            Self::Picture => "picture",
            Self::Chroma => "chroma",
            Self::Own => "own",
        }
    }
}

impl CacheKey {
    /// The key that is written like this, if one is.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (hashes, kind) = name.split_once('.')?;
        let (subject, variant) = hashes.split_once('-')?;
        let kind = EntryKind::ALL.into_iter().find(|known| known.label() == kind)?;
        Some(Self { subject: unhex(subject)?, kind, variant: unhex(variant)? })
    }
}

/// As a file name: `SUBJECT-VARIANT.KIND`.
impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}.{}", hex(&self.subject), hex(&self.variant), self.kind.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_from_its_name_and_nothing_else_is_a_key() {
        let subject = std::array::from_fn(|i| i as u8 * 7);
        for kind in EntryKind::ALL {
            let key = CacheKey { subject, kind, variant: [0xf0; 32] };
            assert_eq!(CacheKey::parse(&key.to_string()), Some(key));
        }
        let name = CacheKey { subject, kind: EntryKind::Own, variant: [1; 32] }.to_string();
        for wrong in [
            name.to_uppercase(),
            name.replace(".own", ""),
            name.replace(".own", ".png"),
            name.replace('-', ""),
            name[1..].to_owned(),
            format!("0{name}"),
            format!("{name}.part"),
            name.replace("01", "0g"),
            "é".repeat(32),
            String::new(),
        ] {
            assert_eq!(CacheKey::parse(&wrong), None, "{wrong}");
        }
    }
}
