//! What becomes of a photograph that is in colour already.

use super::reference::Words;
use super::table::Table;

const WORDS: Words = &[(
    "on_colour",
    "How to treat a photo that is already in colour: \"pass\" returns it unchanged but without metadata, \"refuse\" rejects it with 422, \"recolour\" colours it again and pays for it.",
)];

/// What is done with an upload in colour, so that no credit is spent on it by accident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnColor {
    /// It is given back as it looks. The default: nothing is spent, and no client meets an error that it does
    /// not know.
    #[default]
    Pass,
    /// It is refused.
    Refuse,
    /// It is coloured anew, as if it were black and white.
    Recolor,
}

impl OnColor {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        table.describe(WORDS);
        let words = [("pass", Self::Pass), ("refuse", Self::Refuse), ("recolour", Self::Recolor)];
        table.choice("on_colour", &words).unwrap_or_default()
    }
}
