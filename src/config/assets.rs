//! Folders on disk that replace the page's built-in files.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// Files of the page on disk, in place of the embedded ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AssetsConfig {
    /// Folder with your own templates, which replace the embedded ones of the same name.
    #[schemars(extend("format" = "folder"))]
    pub templates: Option<PathBuf>,
    /// The same for style sheets, scripts and images.
    #[schemars(extend("format" = "folder"))]
    pub r#static: Option<PathBuf>,
}
