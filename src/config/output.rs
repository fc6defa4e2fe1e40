//! Settings of the encoders of renditions.

use super::reference::Words;
use super::table::Table;

const WORDS: Words = &[
    ("jpeg_quality", "Quality of JPEG results."),
    ("webp_quality", "Quality of WebP results."),
    ("mark", "Whether a result contains \"coloured by MODEL\" in its metadata."),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputConfig {
    /// 1 to 100.
    pub jpeg_quality: u8,
    /// 1 to 100.
    pub webp_quality: u8,
    /// Whether a rendition's metadata say "coloured by MODEL".
    pub mark: bool,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self { jpeg_quality: 90, webp_quality: 85, mark: false }
    }
}

impl OutputConfig {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        table.describe(WORDS);
        let default = Self::default();
        Self {
            jpeg_quality: table.whole("jpeg_quality", default.jpeg_quality, 1..=100),
            webp_quality: table.whole("webp_quality", default.webp_quality, 1..=100),
            mark: table.flag("mark", default.mark),
        }
    }
}
