//! The rules of XML that quick-xml does not check (XML 1.0; Namespaces in XML 1.0).

use std::borrow::Cow;

use quick_xml::name::QName;

use super::is_allowed;

/// Why a packet is rejected.
#[derive(Debug)]
pub(super) struct Invalid(pub(super) &'static str);

/// The characters of a packet, which may be UTF-8 or, in old files, UTF-16.
pub(super) fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, Invalid> {
    let big = match bytes {
        [0xFE, 0xFF, ..] | [0, b'<', ..] => true,
        [0xFF, 0xFE, ..] | [b'<', 0, ..] => false,
        _ => return str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| Invalid("not UTF-8")),
    };
    let unit = |&pair: &[u8; 2]| if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) };
    let units: Vec<u16> = bytes.as_chunks().0.iter().map(unit).collect();
    String::from_utf16(&units).map(Cow::Owned).map_err(|_| Invalid("not UTF-16"))
}

pub(super) fn text(bytes: &[u8]) -> Result<String, Invalid> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Invalid("not UTF-8"))
}

/// Checks a reference to a character, or to one of the entities that XML knows without a document type.
pub(super) fn checked_reference(reference: &str) -> Result<(), Invalid> {
    let unescaped = quick_xml::escape::unescape(reference).map_err(|_| Invalid("a reference"))?;
    if unescaped.chars().all(is_allowed) { Ok(()) } else { Err(Invalid("a reference")) }
}

/// Checks that a name has at most one prefix and only characters of names (Namespaces in XML 1.0, 3).
pub(super) fn checked_name(name: QName<'_>) -> Result<(), Invalid> {
    let name = text(name.0)?;
    let (prefix, local) = name.split_once(':').unwrap_or(("_", &name));
    let is_sound = |part: &str| {
        let mut characters = part.chars();
        characters.next().is_some_and(starts_name) && characters.all(continues_name)
    };
    if is_sound(prefix) && is_sound(local) { Ok(()) } else { Err(Invalid("a name")) }
}

/// XML 1.0, 2.3.
fn starts_name(character: char) -> bool {
    matches!(character,
        'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

fn continues_name(character: char) -> bool {
    starts_name(character)
        || matches!(character,
            '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}
