//! How an upload is answered that is damaged but viewable.

use super::reference::Words;
use super::table::Table;

const WORDS: Words = &[(
    "on_damage",
    "How to treat a damaged file that can be decoded in part: \"accept\" colours that part and adds a warning to the response, \"refuse\" rejects it with 422.",
)];

/// What the gateway does with a damaged upload of which a part can be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDamage {
    /// It is coloured as far as it goes, and the answer has a warning. The default: for many a photograph the damaged
    /// file is the only copy.
    #[default]
    Accept,
    /// It is refused.
    Refuse,
}

impl OnDamage {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        table.describe(WORDS);
        let words = [("accept", Self::Accept), ("refuse", Self::Refuse)];
        table.choice("on_damage", &words).unwrap_or_default()
    }
}
