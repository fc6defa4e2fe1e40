//! Cache keys.

use std::fmt;

use crate::hex::{hex, unhex};

/// A SHA-256 that identifies what an entry is about.
pub type CacheSubject = [u8; 32];

/// Identifies an entry by its subject, kind and variant.
///
/// All entries about a subject can be listed and removed without knowing the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheKey {
    /// The fingerprint of an upload, a pixel key, or the digest of an encoded image.
    pub subject: CacheSubject,
    pub kind: EntryKind,
    /// SHA-256 of everything else that the entry depends on.
    pub variant: [u8; 32],
}

/// The kind of an entry. Entries of different kinds may have the same subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// The facts of a rendition. The subject is the fingerprint.
    Rendition,
    /// An encoded image. The subject is its digest.
    Picture,
    /// A provider's chroma. The subject is the pixel key.
    Chroma,
    /// The image of a provider without luma-lock. The subject is the fingerprint.
    Own,
}

impl EntryKind {
    pub const ALL: [Self; 4] = [Self::Rendition, Self::Picture, Self::Chroma, Self::Own];

    /// The name in file names.
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
    /// Parses a file name; `None` if it is not the name of an entry.
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
    fn a_key_is_parsed_from_its_own_name_only() {
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
