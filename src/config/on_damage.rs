//! What to do with an upload that is damaged but partly decodable.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to do with a damaged upload of which a part can be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnDamage {
    /// Colour the decodable part and add a warning to the response. This is the default, because the damaged file is
    /// often the only copy.
    #[default]
    Accept,
    /// Return an error.
    Refuse,
}
