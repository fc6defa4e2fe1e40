//! What happens to a call that has not begun when every client that waited for it has left.

use super::reference::Words;
use super::table::Table;

pub(super) const WORDS: Words = &[(
    "on_disconnect",
    "What happens to a call that has not begun after every waiting client has left: \"drop\" cancels it at no cost, \"finish\" makes it and caches the result. The default is \"drop\" if calls can cost credit by `price`, else \"finish\".",
)];

const CHOICES: [(&str, OnDisconnect); 2] = [("drop", OnDisconnect::Drop), ("finish", OnDisconnect::Finish)];

/// What the gateway does with a call that has not begun and for which no client waits any more. A call that has begun
/// is always finished: it may have been paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDisconnect {
    /// The call does not begin, and nothing is charged.
    Drop,
    /// The call is made, so that its result is in the cache when the client comes back.
    Finish,
}

impl OnDisconnect {
    /// `free`: whether a call cannot cost anything.
    pub(super) fn read(table: &mut Table<'_>, free: bool) -> Self {
        table.choice_or("on_disconnect", &CHOICES, if free { Self::Finish } else { Self::Drop })
    }

    /// The word for it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Finish => "finish",
        }
    }
}
