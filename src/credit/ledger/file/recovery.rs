//! Reading a ledger's file: what it says, and what is broken in it.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::credit::amount::Credits;
use crate::credit::ledger::record::{NoRecord, decode};
use crate::credit::ledger::state::State;

/// How a ledger's file begins; the format's version follows.
pub const HEADER: &str = "pixcolor-ledger ";
/// The version that is written, and the newest that can be read.
pub const VERSION: u32 = 1;
/// Longest line that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// What was found when a ledger was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Records that were read.
    pub records: u64,
    /// Where bytes that are no record are kept, if there were any.
    pub kept_aside: Option<PathBuf>,
    /// Reservations that were never settled: they count as spent.
    pub unsettled: u64,
    /// What they come to.
    pub unsettled_credits: Credits,
}

/// A file that was read.
pub struct Found {
    /// What its records say.
    pub state: State,
    /// How many there are.
    pub records: u64,
    /// What is broken in it.
    pub damage: Damage,
    /// Its length in bytes.
    pub length: u64,
}

/// What is broken in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Nothing.
    None,
    /// Its end: what was being written when the program or the machine stopped.
    Tail {
        /// Up to here it is whole.
        whole: u64,
    },
    /// Something before a whole record: the disk, or a person.
    Middle {
        /// So many lines.
        lines: u64,
    },
}

/// Why a file cannot be used at all. It is left as it is.
#[derive(Debug)]
pub enum Unusable {
    /// It cannot be read.
    Io(io::Error),
    /// It does not begin as a ledger does.
    NotALedger,
    /// Another version of the program wrote it.
    Newer(String),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "it cannot be read: {error}"),
            Self::NotALedger => f.write_str(
                "it does not begin as a ledger does. Put a copy of the ledger in its place, or move it away to \
                 begin a new one",
            ),
            Self::Newer(what) => write!(
                f,
                "a newer version of PixColor wrote it ({what}), and this one, {}, would lose what it says. Run that \
                 version, or move the file away to begin a new one",
                env!("CARGO_PKG_VERSION")
            ),
        }
    }
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a file; none if it is not there or has nothing in it.
pub fn read(path: &Path) -> Result<Option<Found>, Unusable> {
    let file = match File::open(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        file => file?,
    };
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(None);
    }
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut at = next(&mut reader, &mut line)?;
    check_header(&line)?;

    let (mut state, mut records, mut broken, mut damage) = (State::default(), 0, 0, Damage::None);
    loop {
        let read = next(&mut reader, &mut line)?;
        if read == 0 {
            return Ok(Some(Found { state, records, damage, length }));
        }
        match decode(&line) {
            Ok(record) => {
                state.apply(record);
                records += 1;
                if broken > 0 {
                    damage = Damage::Middle { lines: broken };
                }
            }
            Err(NoRecord::Foreign(what)) => return Err(Unusable::Newer(what)),
            Err(NoRecord::Broken) => {
                broken += 1;
                if damage == Damage::None {
                    damage = Damage::Tail { whole: at };
                }
            }
        }
        at += read;
    }
}

/// Reads a line, or as much of it as is allowed; gives its length in bytes, 0 at the end.
fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<u64> {
    line.clear();
    reader.take(LONGEST).read_until(b'\n', line).map(|read| read as u64)
}

fn check_header(line: &[u8]) -> Result<(), Unusable> {
    let text = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
    let version =
        text.and_then(|text| text.strip_prefix(HEADER)).and_then(|number| number.parse::<u32>().ok());
    match version {
        Some(1..=VERSION) => Ok(()),
        Some(newer @ VERSION..) => Err(Unusable::Newer(format!("format {newer}"))),
        _ => Err(Unusable::NotALedger),
    }
}
