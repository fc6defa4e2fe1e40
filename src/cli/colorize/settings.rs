//! The settings of a run that decide what its results are, and where they go.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::inputs::Input;
use crate::photo::{Depth, InputFormat, OutputFormat};

/// What decides about the results.
#[derive(Debug)]
pub struct Settings {
    /// The results folder; `None`: beside the originals.
    pub output: Option<PathBuf>,
    /// Whether a result has the name of its original.
    pub same_name: bool,
    pub format: Option<OutputFormat>,
    pub depth: Depth,
    pub force: bool,
    pub checksum: bool,
    pub dry_run: bool,
    /// A hash of everything that changes the content of results, in hexadecimal digits.
    pub hash: String,
}

impl Settings {
    /// The format of an input's result. A TIFF gives a TIFF here, while the HTTP API returns a PNG.
    pub fn format_of(&self, input: InputFormat) -> OutputFormat {
        self.format.unwrap_or(match input {
            InputFormat::Tiff => OutputFormat::Tiff,
            other => other.output(),
        })
    }

    /// The path of an input's result.
    pub fn output_of(&self, input: &Input, format: OutputFormat) -> PathBuf {
        let place = match &self.output {
            Some(folder) => folder.join(&input.relative),
            None => input.path.clone(),
        };
        let mut name = place.file_stem().unwrap_or_default().to_owned();
        if self.same_name {
            name.push(".");
            // `.jpeg` and `.tiff` stay as they are.
            let extension = place.extension().filter(|extension| is_of(extension, format));
            name.push(extension.unwrap_or(OsStr::new(format.extension())));
        } else {
            name.push(format.colored_ending());
        }
        place.with_file_name(name)
    }
}

fn is_of(extension: &OsStr, format: OutputFormat) -> bool {
    extension.to_str().and_then(|extension| extension.parse().ok()) == Some(format)
}
