//! Who may use the admin routes.

use schemars::JsonSchema;
use serde::Deserialize;

use super::secret::Secret;

/// Access to the admin routes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AdminConfig {
    /// The admin token, sent as `Authorization: Bearer TOKEN`. Without it the admin routes return 404.
    pub token: Option<Secret>,
}

impl AdminConfig {
    pub(super) fn warning(&self) -> Option<String> {
        let why = self.token.as_ref()?.why_unset()?;
        Some(format!("`admin.token` has no value, so that admin routes answer 404: {why}"))
    }
}
