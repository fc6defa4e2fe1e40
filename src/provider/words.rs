//! What others say, made fit for our logs and answers.

/// Most characters of somebody else's words that are passed on.
const MOST: usize = 200;

/// A text from outside on one short line, without control characters and without the key: hosts have
/// been seen to repeat it.
pub fn quote(text: &str, key: &str) -> String {
    let clean = if key.is_empty() { text.to_owned() } else { text.replace(key, "(the key)") };
    let words: Vec<&str> = clean.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let line = words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_are_one_short_line_without_the_key() {
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
        assert_eq!(long.chars().count(), MOST + 1);
        assert!(long.ends_with('…'));
    }
}
