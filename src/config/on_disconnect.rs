//! What to do with a call that has not begun after all its clients have disconnected.

use super::reference::Words;
use super::table::Table;

pub(super) const WORDS: Words = &[(
    "on_disconnect",
    "What happens to a call that has not begun after every waiting client has left: \"drop\" cancels it at no cost, \"finish\" makes it and caches the result. The default is \"drop\" if calls can cost credit by `price`, else \"finish\".",
)];

const CHOICES: [(&str, OnDisconnect); 2] = [("drop", OnDisconnect::Drop), ("finish", OnDisconnect::Finish)];

/// What to do with a call that has not begun and for which no client waits. A call that has begun is always finished,
/// because it may already cost credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDisconnect {
    /// Do not make the call; nothing is charged.
    Drop,
    /// Make the call, so that its result is in the cache when the client comes back.
    Finish,
}

impl OnDisconnect {
    /// `free`: whether a call never costs anything.
    pub(super) fn read(table: &mut Table<'_>, free: bool) -> Self {
        table.choice_or("on_disconnect", &CHOICES, if free { Self::Finish } else { Self::Drop })
    }

    /// The word in the configuration.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Finish => "finish",
        }
    }
}
