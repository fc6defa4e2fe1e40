//! The request's `Cache-Control` (RFC 9111, section 5.2.1).

use crate::gateway::Reuse;

/// `no-cache` skips the lookup, `no-store` stores nothing; other directives are ignored.
pub fn allowed<'h>(lines: impl Iterator<Item = &'h str>) -> Reuse {
    let mut reuse = Reuse::default();
    for directive in lines.flat_map(|line| line.split(',')) {
        match directive.trim() {
            word if word.eq_ignore_ascii_case("no-cache") => reuse.lookup = false,
            word if word.eq_ignore_ascii_case("no-store") => reuse.store = false,
            _ => {}
        }
    }
    reuse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cache_and_no_store_are_parsed_in_any_notation() {
        for (lines, lookup, store) in [
            (&[][..], true, true),
            (&["max-age=0"], true, true),
            (&["no-cache"], false, true),
            (&["No-Store"], true, false),
            (&["max-age=0, no-cache,no-store"], false, false),
            (&["no-cache", "no-store"], false, false),
            (&["no-cachet, xno-store"], true, true),
        ] {
            assert_eq!(allowed(lines.iter().copied()), Reuse { lookup, store }, "{lines:?}");
        }
    }
}
