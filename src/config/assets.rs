//! The page's own files on disk, instead of those inside the program.

use std::path::PathBuf;

use super::reference::Words;
use super::table::Table;

const WORDS: Words = &[
    ("templates", "Folder with your own templates, which replace the embedded ones of the same name."),
    ("static", "The same for style sheets, scripts and images."),
];

/// Folders whose files go before the built-in ones of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssetsConfig {
    /// Templates of the pages.
    pub templates: Option<PathBuf>,
    /// Style sheets, scripts and pictures.
    pub r#static: Option<PathBuf>,
}

impl AssetsConfig {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        table.describe(WORDS);
        Self { templates: table.folder("templates"), r#static: table.folder("static") }
    }
}
