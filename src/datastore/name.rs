//! Names of collections and files, and how they are spelt on disk: letters, digits, `-`, `_` and `.` as they are,
//! everything else and a leading dot as `%` and two digits. So no name can leave its folder, hide, or be
//! mistaken for another, whatever a client calls its files.

use std::fmt;

/// Longest name as it is spelt on disk, in bytes; file systems take 255.
const MOST: usize = 240;

/// The name of a collection, or of a file in one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is nothing, or it would lead elsewhere.
    #[error("a name cannot be empty, `.` or `..`")]
    Nothing,
    /// It has characters that no name may have.
    #[error("a name cannot have slashes, backslashes or control characters")]
    Characters,
    /// It is too long.
    #[error(
        "a name cannot be longer than {MOST} bytes, where what is not of a-z, A-Z, 0-9, `-`, `_` and `.` counts thrice"
    )]
    Long,
}

impl Name {
    /// The name that a text is.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if matches!(text, "" | "." | "..") {
            return Err(NameError::Nothing);
        }
        if text.contains(['/', '\\']) || text.chars().any(char::is_control) {
            return Err(NameError::Characters);
        }
        if spelt(text).len() > MOST {
            return Err(NameError::Long);
        }
        Ok(Self(text.to_owned()))
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it is spelt on disk.
    pub fn on_disk(&self) -> String {
        spelt(&self.0)
    }

    /// The name that is spelt like this; none if no name is.
    pub fn from_disk(spelling: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(spelling.len());
        let mut rest = spelling.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
                byte => byte,
            });
        }
        // Each name has one spelling, so that none is listed twice.
        Self::parse(&String::from_utf8(bytes).ok()?).ok().filter(|name| name.on_disk() == spelling)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn spelt(text: &str) -> String {
    let mut spelt = String::with_capacity(text.len());
    for (index, byte) in text.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && index > 0) {
            spelt.push(char::from(byte));
        } else {
            let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble & 15)]);
            spelt.extend(['%', digit(byte >> 4), digit(byte)]);
        }
    }
    spelt
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
    fn names_are_what_people_call_their_files_and_nothing_that_leads_elsewhere() {
        for (text, spelling) in [
            ("T-800.txt", "T-800.txt"),
            (".hidden", "%2Ehidden"),
            ("a b", "a%20b"),
            ("ä", "%C3%A4"),
            ("...", "%2E.."),
            ("%2e%2e", "%252e%252e"),
            ("C:", "C%3A"),
            ("\u{202e}gnp.exe", "%E2%80%AEgnp.exe"),
        ] {
            assert_eq!(Name::parse(text).unwrap().on_disk(), spelling);
        }
        for (text, error) in [
            ("", NameError::Nothing),
            (".", NameError::Nothing),
            ("..", NameError::Nothing),
            ("a/b", NameError::Characters),
            ("..\\x", NameError::Characters),
            ("a\0", NameError::Characters),
            ("a\nb", NameError::Characters),
            ("\u{85}", NameError::Characters),
            (&"a".repeat(241), NameError::Long),
            (&"ä".repeat(41), NameError::Long),
        ] {
            assert_eq!(Name::parse(text), Err(error), "{text:?}");
        }
        for spelling in ["", ".", "..", ".acl", "a b", "%2e", "%41", "%", "%2", "%FF", "a%2Fb", "%00"] {
            assert_eq!(Name::from_disk(spelling), None, "{spelling:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_a_name_is_a_plain_file_name_on_disk_and_comes_back(text in "\\PC{0,60}|[./\\\\%a-c\\x00-\\x1f]{0,20}") {
            let Ok(name) = Name::parse(&text) else { return Ok(()) };
            let spelling = name.on_disk();
            prop_assert!(spelling.len() <= MOST);
            prop_assert!(!spelling.starts_with('.'));
            prop_assert!(spelling.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.%".contains(&b)));
            let mut parts = std::path::Path::new(&spelling).components();
            prop_assert!(matches!(parts.next(), Some(std::path::Component::Normal(_))));
            prop_assert!(parts.next().is_none());
            prop_assert_eq!(Name::from_disk(&spelling), Some(name));
        }
    }
}
