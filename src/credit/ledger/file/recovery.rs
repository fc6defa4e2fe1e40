//! Reads a ledger's file and detects damage.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::credit::amount::Credits;
use crate::credit::ledger::record::{RecordError, decode};
use crate::credit::ledger::state::LedgerState;

/// The first bytes of a ledger; the version of the format follows.
pub const HEADER: &str = "pixcolor-ledger ";
/// The format version that this program writes, which is also the newest that it can read.
pub const VERSION: u32 = 1;
/// Maximum length of a line, in bytes.
const LONGEST: u64 = 1 << 20;

/// The result of opening a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The number of readable records.
    pub records: u64,
    /// Where damaged bytes were saved, if there were any.
    pub kept_aside: Option<PathBuf>,
    /// The number of reservations that had no settlement and were charged in full.
    pub unsettled: u64,
    /// The sum of these reservations.
    pub unsettled_credits: Credits,
}

/// The content of a ledger's file.
pub struct LedgerContent {
    /// The totals of its records.
    pub state: LedgerState,
    /// The number of readable records.
    pub records: u64,
    pub damage: LedgerDamage,
    /// The length of the file in bytes.
    pub length: u64,
}

impl LedgerContent {
    /// The content of a new file.
    pub fn nothing() -> Self {
        Self { state: LedgerState::default(), records: 0, damage: LedgerDamage::None, length: 0 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerDamage {
    None,
    /// The last line has no line end: it was being written when the program or the machine stopped.
    Tail {
        /// The length of the complete lines, in bytes.
        whole: u64,
    },
    /// Lines were damaged, by a disk fault, a power failure or a person.
    Lines {
        count: u64,
        /// The number of the first damaged line; the header is line 1.
        first: u64,
        /// The length of the part before the first damaged line, in bytes.
        whole: u64,
        /// Whether every damaged line contains zero bytes, like pages that were not written before a power failure. A
        /// torn last line does not matter.
        holes: bool,
    },
    /// The file is empty.
    Empty,
    /// The first line is not the header of a ledger.
    Header,
}

/// Why a file cannot be used. The file is left unchanged.
#[derive(Debug)]
pub enum UnusableLedger {
    Io(io::Error),
    Newer(String),
}

impl fmt::Display for UnusableLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "it cannot be read: {error}"),
            Self::Newer(what) => write!(
                f,
                "a newer version of PixColor wrote it ({what}), and this one, {}, would lose its data. Run that version; or, to begin a new ledger, move the file away and run `pixcolor ledger accept-loss`",
                env!("CARGO_PKG_VERSION")
            ),
        }
    }
}

impl From<io::Error> for UnusableLedger {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a file; `None` if it does not exist.
pub fn read(path: &Path) -> Result<Option<LedgerContent>, UnusableLedger> {
    let file = match File::open(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        file => file?,
    };
    let length = file.metadata()?.len();
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let (mut at, mut number) = (next(&mut reader, &mut line)?, 1);
    let mut found = LedgerContent { length, ..LedgerContent::nothing() };
    if at == 0 {
        return Ok(Some(LedgerContent { damage: LedgerDamage::Empty, ..found }));
    }
    if !is_header(&line)? {
        found.damage = LedgerDamage::Header;
    }
    loop {
        let read = next(&mut reader, &mut line)?;
        if read == 0 {
            return Ok(Some(found));
        }
        number += 1;
        match decode(&line) {
            Ok(record) => {
                found.state.apply(record);
                found.records += 1;
            }
            Err(RecordError::Foreign(what)) => return Err(UnusableLedger::Newer(what)),
            Err(RecordError::Broken) => found.damage = found.damage.and(&line, number, at),
        }
        at += read;
    }
}

impl LedgerDamage {
    /// The damage, including one more damaged line, which begins at the byte `at`.
    fn and(self, line: &[u8], number: u64, at: u64) -> Self {
        let hole = line.contains(&0);
        // A line longer than `LONGEST` is read in pieces, and a piece of that length is not a torn line.
        let torn = !line.ends_with(b"\n") && (line.len() as u64) < LONGEST;
        match self {
            Self::None if torn => Self::Tail { whole: at },
            Self::None | Self::Tail { .. } => Self::Lines { count: 1, first: number, whole: at, holes: hole },
            // A torn line after lines of zeros is from the same crash.
            Self::Lines { count, first, whole, holes } => {
                Self::Lines { count: count + 1, first, whole, holes: holes && (hole || torn) }
            }
            Self::Empty | Self::Header => self,
        }
    }
}

/// Reads a line, or its first `LONGEST` bytes. Returns the number of bytes read: 0 at the end of the file.
fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<u64> {
    line.clear();
    reader.take(LONGEST).read_until(b'\n', line).map(|read| read as u64)
}

fn is_header(line: &[u8]) -> Result<bool, UnusableLedger> {
    let text = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
    let version =
        text.and_then(|text| text.strip_prefix(HEADER)).and_then(|number| number.parse::<u32>().ok());
    match version {
        Some(1..=VERSION) => Ok(true),
        Some(newer @ VERSION..) => Err(UnusableLedger::Newer(format!("format {newer}"))),
        _ => Ok(false),
    }
}
