//! What to do with a photo that already has colour.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to do with an upload that already has colour, so that no credit is spent on it by accident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnColor {
    /// Return its own picture, encoded again. This is the default, because it costs nothing and returns no error that
    /// old clients do not know.
    #[default]
    Pass,
    /// Return an error.
    Refuse,
    /// Colour it again, as if it were black and white.
    #[serde(rename = "recolour")]
    Recolor,
}
