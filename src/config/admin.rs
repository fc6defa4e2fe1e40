//! Who may use the admin routes.

use super::reference::Words;
use super::secret::Secret;
use super::table::Table;

const WORDS: Words = &[(
    "token",
    "The admin token, sent as `Authorization: Bearer TOKEN`. Without it the admin routes return 404.",
)];

#[derive(Clone, Debug, Default)]
pub struct AdminConfig {
    /// The bearer token of administrators. Without a value the admin routes answer 404 to every client.
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
