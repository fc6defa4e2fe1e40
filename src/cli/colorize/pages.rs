//! `--pages`: which pages of a multi-page TIFF are coloured.

use std::fmt;
use std::num::ParseIntError;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Pages as `1,3-5`, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pages(Vec<RangeInclusive<u32>>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give pages from 1 on, such as 1,3-5")]
pub struct InvalidPages;

impl From<ParseIntError> for InvalidPages {
    fn from(_: ParseIntError) -> Self {
        Self
    }
}

impl Pages {
    /// The pages of a file that has `pages`. A page that the file lacks is included, so that it is an error later; a
    /// range ends one page after the last.
    pub fn of(&self, pages: u32) -> Vec<u32> {
        let end =
            |range: &RangeInclusive<u32>| *range.end().min(&(pages.saturating_add(1)).max(*range.start()));
        self.0.iter().flat_map(|range| *range.start()..=end(range)).collect()
    }
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = self.0.iter().map(|range| format!("{}-{}", range.start(), range.end()));
        f.write_str(&ranges.collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Pages {
    type Err = InvalidPages;

    fn from_str(text: &str) -> Result<Self, InvalidPages> {
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range = first.trim().parse()?..=last.trim().parse()?;
            if *range.start() == 0 || range.is_empty() { Err(InvalidPages) } else { Ok(range) }
        };
        text.split(',').map(range).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_listed_in_the_given_order() {
        let pages = |text: &str, count| text.parse::<Pages>().unwrap().of(count);
        assert_eq!(pages("1,3-5", 9), [1, 3, 4, 5]);
        assert_eq!(pages("7, 2", 9), [7, 2]);
        assert_eq!(pages("2-4000000000", 3), [2, 3, 4], "page 4 does not exist, which is an error");
        assert_eq!(pages("8-9", 3), [8]);
        assert_eq!("1, 3-5".parse::<Pages>().unwrap().to_string(), "1-1,3-5");
        for wrong in ["", "0", "3-1", "a", "1,", "-2", "1-2-3"] {
            assert_eq!(wrong.parse::<Pages>(), Err(InvalidPages), "{wrong}");
        }
    }
}
