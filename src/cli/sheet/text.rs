//! Fits text into the boxes of a sheet. All characters have the same width.

/// The text with at most `most` characters: a longer one loses its middle, because a path is recognised by its start
/// and its end.
pub fn shortened(text: &str, most: usize) -> String {
    const GAP: &str = "...";
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let kept = most.saturating_sub(GAP.len());
    // The end gets more, because it is the file's name.
    let start: String = text.chars().take(kept / 3).collect();
    let end: String = text.chars().skip(count - (kept - kept / 3)).collect();
    format!("{start}{GAP}{end}")
}

/// The lines of a text that is broken at spaces. Lines have at most `most` characters, unless a word is longer.
pub fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_caption_loses_its_middle() {
        assert_eq!(shortened("album/1931.jpg", 14), "album/1931.jpg");
        assert_eq!(shortened("album/1931.jpg", 12), "alb...31.jpg");
        assert_eq!(shortened("größe/übermäßig.jpg", 12), "grö...ig.jpg");
        for most in 3..30 {
            let shortened = shortened(&"é".repeat(40), most);
            assert_eq!(shortened.chars().count(), most, "{shortened}");
        }
    }

    #[test]
    fn a_reason_is_broken_at_spaces() {
        assert_eq!(wrapped("original not found", 30), ["original not found"]);
        assert_eq!(wrapped("original not found", 12), ["original not", "found"]);
        assert_eq!(wrapped("unbreakable is", 4), ["unbreakable", "is"]);
        assert!(wrapped("", 9).is_empty());
    }
}
