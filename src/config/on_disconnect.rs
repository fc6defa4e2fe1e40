//! What to do with a call if all of its clients have disconnected before it has begun.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to do with a call that has not begun and for which no client waits. A call that has begun is always finished,
/// because it may already cost credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnDisconnect {
    /// Do not make the call; nothing is charged.
    Drop,
    /// Make the call, so that its result is in the cache when the client comes back.
    Finish,
}

impl OnDisconnect {
    /// The word in the configuration.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Finish => "finish",
        }
    }
}
