//! Converts text to a header value.

/// Maximum length of the value, in characters.
const MOST: usize = 500;

/// Converts a text to one line of at most [`MOST`] printable ASCII characters. Other characters become `?` or a space.
pub fn header_text(text: &str) -> String {
    let safe = |c: char| match c {
        ' '..='~' => c,
        c if c.is_control() || c.is_whitespace() => ' ',
        _ => '?',
    };
    text.chars().take(MOST).map(safe).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_becomes_one_header_line(text in "\\PC{0,40}[\\x00-\\x20\u{85}\u{2028}é]{0,9}\\PC{0,900}") {
            let line = header_text(&text);
            prop_assert!(line.len() <= MOST);
            prop_assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)));
        }
    }
}
