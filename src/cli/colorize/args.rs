//! The arguments of `pixcolor colorize`.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, ValueEnum};
use sha2::{Digest, Sha256};

use super::super::remote::base_url;
use super::inputs::Filter;
use super::pages::Pages;
use super::report;
use super::settings::Settings;
use crate::credit::Credits;
use crate::gateway::RenditionOptions;
use crate::hex::hex;
use crate::photo::{DecodeOptions, Depth, MetadataPolicy, OutputFormat, Rotation};

/// Maximum pictures at a time.
const MAX_JOBS: i64 = 256;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Photographs, folders (with all folders in them), glob patterns, or `-` for a list on standard input
    /// (one path a line, or separated by NUL)
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// The folder for the results, with the same tree as the originals [default: beside each original]
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,
    /// Names of the results: `photo-coloured.jpg`, or the same as the originals (only with `-o`)
    #[arg(long, value_enum, value_name = "NAME", default_value = "coloured")]
    pub(super) name: ResultName,
    /// Only these files of folders, patterns and lists, such as '*.tif'; can be repeated
    #[arg(long, value_name = "GLOB")]
    pub(super) include: Vec<String>,
    /// Not these files and folders; can be repeated
    #[arg(long, value_name = "GLOB")]
    pub(super) exclude: Vec<String>,
    /// Photographs at a time [default: the number of cores; 4 with `--gateway`]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MAX_JOBS))]
    pub(super) jobs: Option<u16>,
    /// Colour again what is done, and replace files that `colorize` has not written
    #[arg(long)]
    pub(super) force: bool,
    /// Compare files by their SHA-256, not by size and time of the last change
    #[arg(long)]
    pub(super) checksum: bool,
    /// Write a report with a row for each file (.csv or .jsonl); an existing file is overwritten
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
    /// Show how many photographs would be coloured, and what that would cost; send nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Stop before the calls of this run cost more credits
    #[arg(long, value_name = "N")]
    pub(super) max_credits: Option<Credits>,
    /// Print only errors
    #[arg(short, long, conflicts_with = "json")]
    pub(super) quiet: bool,
    /// Print a JSON object a line: one for each file, then the summary
    #[arg(long)]
    pub(super) json: bool,
    /// Metadata of the results: keep, keep-without-location or strip [default: `metadata` of the
    /// configuration, else keep]
    #[arg(long, value_name = "POLICY")]
    pub(super) metadata: Option<MetadataPolicy>,
    /// Give results the current time instead of the times of their originals
    #[arg(long)]
    pub(super) no_preserve: bool,
    /// Rotate clockwise by 90, 180 or 270 degrees
    #[arg(long, value_name = "DEGREES", default_value = "0", hide_default_value = true)]
    pub(super) rotate: Rotation,
    /// Bits per sample: 8 or 16; 16 needs PNG or TIFF
    #[arg(long, value_name = "BITS", default_value = "8")]
    pub(super) depth: Depth,
    /// Pages of multi-page TIFFs, such as 1,3-5 [default: all]
    #[arg(long, value_name = "PAGES")]
    pub(super) pages: Option<Pages>,
    /// Use this provider instead of the route
    #[arg(long, value_name = "NAME")]
    pub(super) provider: Option<String>,
    /// Output format: png, jpeg, webp or tiff [default: the photograph's own, or png]
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<OutputFormat>,
    /// Use a running gateway, such as http://127.0.0.1:8080; photographs in its cache are not uploaded
    /// again
    #[arg(long, value_name = "URL")]
    pub(super) gateway: Option<String>,
    /// The file with the client's key for that gateway
    #[arg(long, value_name = "FILE", requires = "gateway")]
    pub(super) key_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResultName {
    Coloured,
    Same,
}

impl Args {
    /// Ends the program with exit code 2 if arguments contradict each other.
    pub(super) fn check(&self) {
        let eight_bits = self.format.filter(|format| self.depth == Depth::Sixteen && !format.has_16_bits());
        let wrong = if self.name == ResultName::Same && self.output.is_none() {
            "`--name same` needs a folder for the results: add `-o DIR`".to_owned()
        } else if let Some(format) = eight_bits {
            format!("a {format} has 8 bits per sample: `--depth 16` needs `--format tiff` or `--format png`")
        } else if let Some(error) = self.gateway.as_deref().and_then(|address| base_url(address).err()) {
            error.to_string()
        } else if let Err(error) = Filter::new(&self.include, &self.exclude) {
            error.to_string()
        } else if self.report.as_deref().is_some_and(|path| !report::is_valid_name(path)) {
            report::WRONG_NAME.to_owned()
        } else {
            return;
        };
        let mut command = super::super::Cli::command();
        command.build();
        let colorize = command.find_subcommand_mut("colorize").cloned().unwrap_or(command);
        colorize.clone().error(ErrorKind::ArgumentConflict, wrong).exit();
    }

    pub(super) const fn options(&self, metadata: MetadataPolicy) -> RenditionOptions {
        let decode = DecodeOptions { page: 1, rotation: self.rotate };
        RenditionOptions { format: self.format, metadata, depth: self.depth, decode }
    }

    /// `fixed`: what changes results and is not an argument.
    pub(super) fn settings(&self, options: &RenditionOptions, fixed: Vec<String>) -> Settings {
        let pages = self.pages.as_ref().map(Pages::to_string).unwrap_or_default();
        let chosen = [
            options.metadata.name().to_owned(),
            options.depth.bits().to_string(),
            options.decode.rotation.degrees().to_string(),
            pages,
        ];
        let mut hash = Sha256::new();
        for part in chosen.iter().chain(&fixed) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Settings {
            output: self.output.clone(),
            same_name: self.name == ResultName::Same,
            format: self.format,
            depth: self.depth,
            force: self.force,
            checksum: self.checksum,
            dry_run: self.dry_run,
            hash: hex(&hash.finalize()[..8]),
        }
    }
}
