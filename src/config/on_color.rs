//! What to do with a photo that already has colour.

use super::reference::Words;
use super::table::Table;

const WORDS: Words = &[(
    "on_colour",
    "How to treat a photo that is already in colour: \"pass\" returns it unchanged but without metadata, \"refuse\" rejects it with 422, \"recolour\" colours it again and pays for it.",
)];

/// What to do with an upload that already has colour, so that no credit is spent on it by accident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnColor {
    /// Return it unchanged. This is the default, because it costs nothing and returns no error that old clients do
    /// not know.
    #[default]
    Pass,
    /// Return an error.
    Refuse,
    /// Colour it again, as if it were black and white.
    Recolor,
}

impl OnColor {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        table.describe(WORDS);
        let words = [("pass", Self::Pass), ("refuse", Self::Refuse), ("recolour", Self::Recolor)];
        table.choice("on_colour", &words).unwrap_or_default()
    }
}
