//! What to do with an upload that is damaged but partly decodable.

use super::reference::Words;
use super::table::Table;

const WORDS: Words = &[(
    "on_damage",
    "How to treat a damaged file that can be decoded in part: \"accept\" colours that part and adds a warning to the response, \"refuse\" rejects it with 422.",
)];

/// What to do with a damaged upload of which a part can be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDamage {
    /// Colour the decodable part and add a warning to the response. This is the default, because the damaged file is
    /// often the only copy.
    #[default]
    Accept,
    /// Return an error.
    Refuse,
}

impl OnDamage {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        table.describe(WORDS);
        let words = [("accept", Self::Accept), ("refuse", Self::Refuse)];
        table.choice("on_damage", &words).unwrap_or_default()
    }
}
