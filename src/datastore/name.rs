//! Names of collections and files, and their encoding on disk.
//!
//! The encoding keeps ASCII letters, digits, `-`, `_` and `.`. All other bytes, and a leading dot, are written as `%`
//! and two hexadecimal digits. An encoded name cannot lead out of its folder, and it is never that of a hidden file.
//! Different names have different encodings.

use std::fmt;

/// Maximum length of an encoded name, in bytes. File systems allow 255.
const MOST: usize = 240;

/// The name of a collection, or of a file in one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name cannot be empty, `.` or `..`")]
    Reserved,
    #[error("a name cannot have slashes, backslashes or control characters")]
    Characters,
    #[error(
        "a name cannot be longer than {MOST} bytes, where every byte other than a-z, A-Z, 0-9, `-`, `_` and `.` counts \
         as three"
    )]
    TooLong,
}

impl Name {
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if matches!(text, "" | "." | "..") {
            return Err(NameError::Reserved);
        }
        if text.contains(['/', '\\']) || text.chars().any(char::is_control) {
            return Err(NameError::Characters);
        }
        if encode(text).len() > MOST {
            return Err(NameError::TooLong);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The encoded name.
    pub fn on_disk(&self) -> String {
        encode(&self.0)
    }

    /// Decodes a name; `None` if the text is not the encoding of a name.
    pub fn from_disk(encoded: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(encoded.len());
        let mut rest = encoded.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
                byte => byte,
            });
        }
        // Any other way to encode a name is rejected, so that no name is listed twice.
        Self::parse(&String::from_utf8(bytes).ok()?).ok().filter(|name| name.on_disk() == encoded)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for (index, byte) in text.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && index > 0) {
            encoded.push(char::from(byte));
        } else {
            let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble & 15)]);
            encoded.extend(['%', digit(byte >> 4), digit(byte)]);
        }
    }
    encoded
}

fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'A'..=b'F' => Some(c - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_file_names_are_valid_and_paths_are_not() {
        for (text, encoded) in [
            ("T-800.txt", "T-800.txt"),
            (".hidden", "%2Ehidden"),
            ("a b", "a%20b"),
            ("ä", "%C3%A4"),
            ("...", "%2E.."),
            ("%2e%2e", "%252e%252e"),
            ("C:", "C%3A"),
            ("\u{202e}gnp.exe", "%E2%80%AEgnp.exe"),
        ] {
            assert_eq!(Name::parse(text).unwrap().on_disk(), encoded);
        }
        for (text, error) in [
            ("", NameError::Reserved),
            (".", NameError::Reserved),
            ("..", NameError::Reserved),
            ("a/b", NameError::Characters),
            ("..\\x", NameError::Characters),
            ("a\0", NameError::Characters),
            ("a\nb", NameError::Characters),
            ("\u{85}", NameError::Characters),
            (&"a".repeat(241), NameError::TooLong),
            (&"ä".repeat(41), NameError::TooLong),
        ] {
            assert_eq!(Name::parse(text), Err(error), "{text:?}");
        }
        for encoded in ["", ".", "..", ".acl", "a b", "%2e", "%41", "%", "%2", "%FF", "a%2Fb", "%00"] {
            assert_eq!(Name::from_disk(encoded), None, "{encoded:?}");
        }
    }

    proptest! {
        #[test]
        fn every_name_encodes_to_a_plain_file_name_and_decodes_again(text in "\\PC{0,60}|[./\\\\%a-c\\x00-\\x1f]{0,20}") {
            let Ok(name) = Name::parse(&text) else { return Ok(()) };
            let encoded = name.on_disk();
            prop_assert!(encoded.len() <= MOST);
            prop_assert!(!encoded.starts_with('.'));
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.%".contains(&b)));
            let mut parts = std::path::Path::new(&encoded).components();
            prop_assert!(matches!(parts.next(), Some(std::path::Component::Normal(_))));
            prop_assert!(parts.next().is_none());
            prop_assert_eq!(Name::from_disk(&encoded), Some(name));
        }
    }
}
