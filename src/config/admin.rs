//! Who may use the admin routes.

use super::reference::Words;
use super::secret::Secret;
use super::table::Table;

const WORDS: Words = &[(
    "token",
    "What an administrator sends as `Authorization: Bearer TOKEN`; where it is not set, the admin routes answer 404 to everybody.",
)];

/// Access to the admin routes.
#[derive(Clone, Debug, Default)]
pub struct AdminConfig {
    /// What an administrator sends. Without a value the admin routes answer 404 to everyone.
    pub token: Option<Secret>,
}

impl AdminConfig {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        table.describe(WORDS);
        let token = table.secret("token");
        if let Some(why) = token.as_ref().and_then(Secret::why_unset) {
            table.warning(format!("`admin.token` has no value, so that admin routes answer 404: {why}"));
        }
        Self { token }
    }
}
