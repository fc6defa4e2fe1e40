//! Folders on disk that replace the page's built-in files.

use std::path::PathBuf;

use super::reference::Words;
use super::table::Table;

const WORDS: Words = &[
    ("templates", "Folder with your own templates, which replace the embedded ones of the same name."),
    ("static", "The same for style sheets, scripts and images."),
];

/// A file in one of these folders replaces the built-in file of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssetsConfig {
    /// Page templates.
    pub templates: Option<PathBuf>,
    /// Style sheets, scripts and images.
    pub r#static: Option<PathBuf>,
}

impl AssetsConfig {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        table.describe(WORDS);
        Self { templates: table.folder("templates"), r#static: table.folder("static") }
    }
}
