//! Prepares texts that came from hosts and programs for logs and responses: as one short line, with API keys masked.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The longest text that `quote` does not shorten, in characters.
const MAX_CHARS: usize = 200;

/// The shortest base64 fragment of a key that is masked. Shorter fragments would match by chance.
const MIN_BASE64: usize = 8;

/// A host's or a program's text as one short line without control characters. The key is masked, because some hosts
/// repeat it.
pub fn quote(text: &str, key: &str) -> String {
    let clean = masked(text, &[key], "(the key)");
    let words: Vec<&str> = clean.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let line = words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// A text with these keys masked, as plain text and as base64 of the key alone or of a longer string that contains it.
pub fn masked(text: &str, keys: &[&str], mask: &str) -> String {
    let mut forms: Vec<String> =
        keys.iter().filter(|key| !key.is_empty()).flat_map(|key| forms(key)).collect();
    // Longest first, for a key that contains another one.
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms.iter().fold(text.to_owned(), |text, form| text.replace(form.as_str(), mask))
}

/// The key itself and its base64 forms. Base64 encodes three bytes as four characters, so a key within a longer text
/// has three alignments; the characters at both ends depend on the neighbouring bytes and are left out.
fn forms(key: &str) -> Vec<String> {
    let mut forms = vec![key.to_owned()];
    for before in 0..3 {
        let bytes = [&[0; 2][..before], key.as_bytes()].concat();
        let (first, last) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for text in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            let own = text.get(first..last).filter(|own| own.len() >= MIN_BASE64);
            forms.extend(own.filter(|own| forms.iter().all(|form| form != own)).map(str::to_owned));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    #[test]
    fn a_quote_is_one_short_line_without_the_key() {
        for (text, expected) in [
            ("fine", "fine"),
            (
                "bad key simSECRET, sent as\n'Simple simSECRET'",
                "bad key (the key), sent as 'Simple (the key)'",
            ),
            ("a\r\nSet-Cookie: b\u{1b}[31m\0c", "a Set-Cookie: b [31m c"),
            ("", ""),
        ] {
            assert_eq!(quote(text, "simSECRET"), expected);
        }
        let long = quote(&"é".repeat(500), "");
        assert_eq!(long.chars().count(), MAX_CHARS + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn a_key_in_base64_is_masked_whatever_surrounds_it() {
        let key = "sk-a?b>c~hunter2-ÿÿ";
        for around in ["", "a", "ab", "Bearer ", "user:", "Basic abcd "] {
            for after in ["", "x", "\"}"] {
                let whole = format!("{around}{key}{after}");
                for said in [STANDARD.encode(&whole), URL_SAFE.encode(&whole), STANDARD_NO_PAD.encode(&whole)]
                {
                    let shown = quote(&format!("bad header {said}, sorry"), key);
                    // At most two characters at either end remain, because they also depend on the neighbouring bytes.
                    let left =
                        shown.replace("bad header ", "").replace(", sorry", "").replace("(the key)", "");
                    let beside = (around.len() + after.len()) * 4 / 3 + 8;
                    assert!(shown.contains("(the key)") && left.len() <= beside, "{whole}: {said} {shown}");
                }
            }
        }
        assert_eq!(masked("one two", &["", "two"], "x"), "one x");
        assert_eq!(masked("abcdef", &["abc", "abcdef"], "x"), "x");
    }
}
