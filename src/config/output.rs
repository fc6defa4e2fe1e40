//! Settings of the encoders of renditions.

use schemars::JsonSchema;
use serde::Deserialize;
use smart_default::SmartDefault;

/// Encoding of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, SmartDefault)]
#[serde(default)]
pub struct OutputConfig {
    /// Quality of JPEG results.
    #[schemars(range(min = 1, max = 100))]
    #[default = 90]
    pub jpeg_quality: u8,
    /// Quality of WebP results.
    #[schemars(range(min = 1, max = 100))]
    #[default = 85]
    pub webp_quality: u8,
    /// Whether the XMP of a result says that a network coloured it: IPTC's `DigitalSourceType`, and as creator tool
    /// PixColor with the model and its version. Also without other metadata.
    #[default = true]
    pub mark: bool,
}
