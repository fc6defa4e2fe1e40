//! The report of a run: one row for each input, as CSV (RFC 4180) or as lines of JSON.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::CliError;
use super::record::{Record, shown};
use crate::hex::hex;

/// What happened to an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    #[serde(rename = "coloured")]
    Colored,
    /// An earlier run has written its result.
    Done,
    /// It is in colour already, and its own picture is the result.
    Passed,
    Skipped,
    Failed,
    /// The run ended before its turn.
    Left,
}

/// One row. Empty fields are unknown or do not apply.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub path: String,
    /// SHA-256 of the input file.
    pub sha256: Option<String>,
    /// Size of the result in pixels.
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub status: Status,
    /// Why an input was skipped or failed, and what a damaged file lacks.
    pub reason: Option<String>,
    pub provider: Option<String>,
    pub model: Option<String>,
    /// Whether a cache had the result or its colour.
    pub cached: Option<bool>,
    /// The cost in credits: a decimal, or "unknown".
    pub credits: Option<String>,
    /// The cost in money, such as "0.12 EUR".
    pub money: Option<String>,
    pub seconds: Option<f64>,
    pub output: Option<String>,
    /// SHA-256 of the result's file.
    pub output_sha256: Option<String>,
}

impl Row {
    pub fn new(path: &Path, status: Status, reason: Option<String>) -> Self {
        Self {
            path: shown(path),
            sha256: None,
            width: None,
            height: None,
            status,
            reason,
            provider: None,
            model: None,
            cached: None,
            credits: None,
            money: None,
            seconds: None,
            output: None,
            output_sha256: None,
        }
    }

    /// The row of a result, with what its record has.
    pub fn of_record(path: &Path, output: &Path, status: Status, record: &Record) -> Self {
        Self {
            sha256: Some(hex(&record.original.sha256)),
            width: Some(record.width),
            height: Some(record.height),
            provider: record.provider.clone(),
            model: record.model.clone(),
            credits: Some(record.credits.clone()),
            money: record.money.clone(),
            output: Some(shown(output)),
            output_sha256: Some(hex(&record.result.sha256)),
            ..Self::new(path, status, record.damage.clone())
        }
    }
}

/// A report that is written while the run goes on, so that it is complete up to the moment of a crash. An error does
/// not stop the run: [`Self::end`] returns it.
pub struct Report {
    path: PathBuf,
    format: Format,
    error: Option<String>,
}

/// The error for a name without the extension of a format.
pub const WRONG_NAME: &str = "the report's name must end in .csv or .jsonl";

/// Whether a report can have this name.
pub fn is_valid_name(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| extension == "csv" || extension == "jsonl")
}

enum Format {
    Csv(Box<csv::Writer<File>>),
    JsonLines(BufWriter<File>),
}

impl Report {
    /// The extension decides about the format.
    pub fn create(path: &Path) -> Result<Self, CliError> {
        let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
        let extension = extension.as_ref().and_then(|extension| extension.to_str());
        let file = || {
            File::create(path)
                .map_err(|error| format!("the report cannot be written to {}: {error}", path.display()))
        };
        let format = match extension {
            Some("csv") => Format::Csv(Box::new(csv::Writer::from_writer(file()?))),
            Some("jsonl") => Format::JsonLines(BufWriter::new(file()?)),
            _ => return Err(WRONG_NAME.into()),
        };
        Ok(Self { path: path.to_owned(), format, error: None })
    }

    pub fn write(&mut self, row: &Row) {
        let written = match &mut self.format {
            Format::Csv(writer) => writer.serialize(row).map_err(|error| error.to_string()),
            Format::JsonLines(writer) => {
                let line = serde_json::to_string(row).map_err(|error| error.to_string());
                line.and_then(|line| writeln!(writer, "{line}").map_err(|error| error.to_string()))
            }
        };
        self.note(written);
    }

    /// Writes what is buffered to the file.
    pub fn flush(&mut self) {
        let flushed = match &mut self.format {
            Format::Csv(writer) => writer.flush(),
            Format::JsonLines(writer) => writer.flush(),
        };
        self.note(flushed.map_err(|error| error.to_string()));
    }

    fn note(&mut self, result: Result<(), String>) {
        if let (Err(error), None) = (result, &self.error) {
            self.error = Some(error);
        }
    }

    /// Writes the rest. Returns the first error.
    pub fn end(mut self) -> Result<(), CliError> {
        self.flush();
        match self.error {
            None => Ok(()),
            Some(error) => Err(format!("the report {} is not complete: {error}", self.path.display()).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_and_json_lines_have_the_same_columns() {
        let folder = tempfile::tempdir().unwrap();
        let row = Row {
            width: Some(3),
            cached: Some(false),
            seconds: Some(0.5),
            ..Row::new(Path::new("a, \"b\".jpg"), Status::Colored, None)
        };
        let [csv, lines] = ["r.csv", "r.jsonl"].map(|name| {
            let path = folder.path().join(name);
            let mut report = Report::create(&path).unwrap();
            report.write(&row);
            report.write(&row);
            report.end().unwrap();
            std::fs::read_to_string(path).unwrap()
        });
        assert_eq!(
            csv.lines().next().unwrap(),
            "path,sha256,width,height,status,reason,provider,model,cached,credits,money,seconds,output,output_sha256"
        );
        assert_eq!(csv.lines().nth(1).unwrap(), "\"a, \"\"b\"\".jpg\",,3,,coloured,,,,false,,,0.5,,");
        let object: serde_json::Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
        assert_eq!((&object["path"], &object["height"]), (&"a, \"b\".jpg".into(), &serde_json::Value::Null));
        assert_eq!((csv.lines().count(), lines.lines().count()), (3, 2));
        assert!(Report::create(&folder.path().join("r.txt")).is_err());
    }
}
