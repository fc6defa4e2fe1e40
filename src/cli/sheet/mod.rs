//! `pixcolor sheet`: contact sheets that show each original beside its result, to check what `colorize` has made.
//!
//! The journal of `colorize` names the pairs. `pictures` decodes and shrinks them, one sheet at a time, and `page`
//! draws the sheet.

mod canvas;
mod mark;
mod page;
mod pictures;
mod text;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::colorize::originals_of;
use super::output::{self, Attributes, Part};
use super::{CliError, complain, say};
use crate::config::ConfigSource;
use crate::photo::{self, EncodeOptions, OutputFormat, Photo, Rgb};
use pictures::Pictures;

/// The most pairs of a sheet. A sheet has only full rows, except at its end.
const PAIRS: u32 = 40;

/// The most pairs in a row; a wider sheet would exceed the 16,383 pixels of a WebP.
const MAX_COLUMNS: i64 = 20;

const QUALITY: u8 = 90;

#[derive(clap::Args)]
pub struct Args {
    /// The results folder of `pixcolor colorize -o`, or a folder with results beside their originals
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The sheet (.jpg, .png or .webp); further sheets are sheet-2.jpg, sheet-3.jpg and so on
    #[arg(short, long, value_name = "FILE", default_value = "sheet.jpg")]
    output: PathBuf,
    /// Pairs in a row
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=MAX_COLUMNS))]
    columns: u32,
    /// Replace files that are not contact sheets
    #[arg(long)]
    force: bool,
}

/// A result and its original.
struct Pair {
    /// The result's path in the folder.
    name: PathBuf,
    original: PathBuf,
    result: PathBuf,
}

/// The file of a sheet.
struct Target {
    path: PathBuf,
    /// Whether an existing file is replaced.
    replace: bool,
}

/// Writes the sheets. Fails if there is no pair, or a sheet cannot be written.
pub fn run(source: &ConfigSource, args: &Args) -> Result<ExitCode, CliError> {
    let format = format_of(&args.output)?;
    let limits = super::load(source)?.config.limits;
    let recorded = pairs(&args.folder)?;
    let count = recorded.len();
    let pairs: Vec<Pair> = recorded.into_iter().filter(|pair| pair.result.is_file()).collect();
    let gone = count - pairs.len();
    if pairs.is_empty() {
        let folder = args.folder.display();
        return Err(format!("{folder}: every result that `colorize` wrote there is gone").into());
    }
    // One short row needs no room for a full one.
    let columns = args.columns.min(pairs.len() as u32);
    let sheets: Vec<&[Pair]> = pairs.chunks((PAIRS / columns * columns) as usize).collect();
    let targets = (1..=sheets.len()).map(|number| target(&args.output, number, args.force));
    // All targets are checked before the first picture is decoded, which may take long.
    let targets = targets.collect::<Result<Vec<Target>, CliError>>()?;
    let pictures = Pictures::new(&limits);
    for (pairs, target) in sheets.iter().zip(targets) {
        let page = page::draw(&pictures.load(pairs)?, columns)?;
        write(&target, &encoded(&page, format)?)?;
        let (path, count) = (target.path.display(), pairs.len());
        say(format_args!("{path}: {count} {}", if count == 1 { "pair" } else { "pairs" }));
    }
    let next = numbered(&args.output, sheets.len() + 1);
    if mark::is_sheet(&next).unwrap_or_default() {
        complain(format_args!("{} is of an earlier run and does not belong to these sheets", next.display()));
    }
    if let Some(summary) = summary(gone, &pictures) {
        say(summary);
    }
    Ok(ExitCode::SUCCESS)
}

fn format_of(output: &Path) -> Result<OutputFormat, CliError> {
    let named = output.extension().and_then(|extension| extension.to_str()?.parse().ok());
    named.filter(|format| *format != OutputFormat::Tiff).ok_or_else(|| {
        let output = output.display();
        format!("{output}: the name of a sheet must end in .jpg, .png or .webp").into()
    })
}

/// The pairs of a folder, by the path of the result.
fn pairs(folder: &Path) -> Result<Vec<Pair>, CliError> {
    let shown = folder.display();
    let root = folder.canonicalize().map_err(|error| format!("{shown}: {error}"))?;
    if !root.is_dir() {
        return Err(format!("{shown} is not a folder: name the folder of the results").into());
    }
    let pair = |(result, original): (PathBuf, PathBuf)| {
        let name = result.strip_prefix(&root).unwrap_or(&result).to_owned();
        Pair { name, original, result }
    };
    let pairs: Vec<Pair> = originals_of(&root)?.into_iter().map(pair).collect();
    if pairs.is_empty() {
        return Err(format!(
            "{shown} has no results that `pixcolor colorize` has recorded: name a folder that was given to \
             `colorize -o`, or a folder in which this user's `colorize` has written results beside their originals"
        )
        .into());
    }
    Ok(pairs)
}

/// The path of a sheet, by its number from 1.
fn numbered(output: &Path, number: usize) -> PathBuf {
    if number == 1 {
        return output.to_owned();
    }
    let mut name = OsString::from(output.file_stem().unwrap_or_default());
    name.push(format!("-{number}."));
    name.push(output.extension().unwrap_or_default());
    output.with_file_name(name)
}

/// Checks that a sheet can be written.
fn target(output: &Path, number: usize, force: bool) -> Result<Target, CliError> {
    let path = numbered(output, number);
    output::check(&path)?;
    let replace = match output::existing(&path)? {
        None => force,
        Some(_) if force || mark::is_sheet(&path)? => true,
        Some(_) => {
            let path = path.display();
            return Err(format!(
                "{path} exists and is not a contact sheet: choose another name with `-o`, or replace it with \
                 `--force`"
            )
            .into());
        }
    };
    Ok(Target { path, replace })
}

fn encoded(page: &Rgb, format: OutputFormat) -> Result<Vec<u8>, CliError> {
    // The photo contributes only its size.
    let photo = Photo::from_gray(page.gray());
    let bytes = photo::encode_own(&photo, page, &EncodeOptions::plain(format, QUALITY))?.bytes;
    Ok(mark::marked(&bytes, format, (page.width, page.height)))
}

fn write(target: &Target, bytes: &[u8]) -> Result<(), CliError> {
    Ok(Part::write(&target.path, bytes, &Attributes::default())?.publish(&target.path, target.replace)?)
}

/// What is missing from the sheets; `None` if they are complete.
fn summary(gone: usize, pictures: &Pictures) -> Option<String> {
    let counts = [
        ("results that are gone and left out", gone),
        ("originals that were not found", pictures.not_found()),
        ("pictures that cannot be shown", pictures.unreadable()),
    ];
    let missing: Vec<String> = counts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{what}: {count}"))
        .collect();
    let mut text = missing.join("; ");
    text.get_mut(..1)?.make_ascii_uppercase();
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_sheets_are_numbered_before_the_extension() {
        for (output, number, expected) in [
            ("a/sheet.jpg", 1, "a/sheet.jpg"),
            ("a/sheet.jpg", 2, "a/sheet-2.jpg"),
            ("a.b.webp", 10, "a.b-10.webp"),
        ] {
            assert_eq!(numbered(Path::new(output), number), Path::new(expected));
        }
    }

    #[test]
    fn the_extension_names_the_format() {
        assert_eq!(format_of(Path::new("a.JPEG")).unwrap(), OutputFormat::Jpeg);
        assert_eq!(format_of(Path::new("a.webp")).unwrap(), OutputFormat::WebP);
        for wrong in ["sheet", "sheet.tif", "sheet.pdf", ".jpg"] {
            let error = format_of(Path::new(wrong)).unwrap_err().to_string();
            assert!(error.contains(".jpg, .png or .webp"), "{error}");
        }
    }
}
