//! The records of the ledger file: one line of text each, with a checksum.
//!
//! The format is `CHECKSUM {"KIND": {...}}`. The checksum is the first 8 hexadecimal digits of the SHA-256 of the
//! JSON. A settlement repeats its reservation, so that a lost line never affects another line.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::{Date, OffsetDateTime};

use super::reservation::ReservationRecord;
use super::{SettleResult, Settlement};
use crate::credit::amount::Credits;
use crate::credit::experience::{CallSample, CallTotals, FinishedCall, SizeClass};
use crate::credit::usage::Tally;

time::serde::format_description!(iso_date, Date, "[year]-[month]-[day]");

/// Number of digits of a checksum.
const CHECKSUM: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Record {
    Reserve(ReserveRecord),
    Settle(SettleRecord),
    /// A reservation has ended without a call.
    Release {
        id: u64,
    },
    /// The totals of a day for one provider and one client. When the ledger is rewritten, this record replaces
    /// the records of the settled calls.
    Day {
        /// The day in UTC.
        #[serde(with = "iso_date")]
        day: Date,
        provider: String,
        /// `None` for calls without a client, and for all calls on days before last month.
        client: Option<String>,
        tally: Tally,
    },
    /// The credit charged to one client on days whose totals no longer name clients.
    Client {
        client: String,
        credits: Credits,
    },
    /// Cost and time of a provider's calls for photos of one size class.
    Experience {
        provider: String,
        size: SizeClass,
        /// Totals since the ledger began.
        sums: CallTotals,
        /// The latest successful calls of known cost, the oldest first.
        recent: Vec<CallSample>,
    },
}

/// A reservation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReserveRecord {
    pub id: u64,
    /// The time of the reservation in UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub provider: String,
    pub client: Option<String>,
    /// The reserved credit.
    pub most: Credits,
    /// Pixels of the photo.
    pub pixels: u64,
    /// Pixels of the image that is sent to the provider.
    pub sent_pixels: u64,
}

/// A settlement, with its reservation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettleRecord {
    pub reserve: ReserveRecord,
    pub charged: Credits,
    /// Whether the cost is unknown; then the full reservation is charged.
    pub unknown: bool,
    /// Whether the call returned usable colour.
    #[serde(rename = "coloured")]
    pub colored: bool,
    /// Time that the provider took, in milliseconds.
    pub took_ms: u64,
    /// CPU time on this machine, in microseconds.
    pub cpu_us: u64,
}

impl From<ReservationRecord> for ReserveRecord {
    fn from(
        ReservationRecord { id, at, provider, client, most, pixels, sent_pixels }: ReservationRecord,
    ) -> Self {
        Self { id, at, provider, client, most, pixels, sent_pixels }
    }
}

impl From<ReserveRecord> for ReservationRecord {
    fn from(ReserveRecord { id, at, provider, client, most, pixels, sent_pixels }: ReserveRecord) -> Self {
        Self { id, at, provider, client, most, pixels, sent_pixels }
    }
}

impl SettleRecord {
    pub fn new(reserve: ReserveRecord, settled: SettleResult, settlement: &Settlement) -> Self {
        let whole = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
        Self {
            reserve,
            charged: settled.charged,
            unknown: settled.unknown,
            colored: settlement.colored,
            took_ms: whole(settlement.took.as_millis()),
            cpu_us: whole(settlement.cpu.as_micros()),
        }
    }

    /// The call as the history of calls counts it.
    pub fn ended(&self) -> FinishedCall {
        FinishedCall {
            charged: self.charged,
            known: !self.unknown,
            colored: self.colored,
            pixels: self.reserve.pixels,
            took_ms: self.took_ms,
            cpu_us: self.cpu_us,
        }
    }

    /// The call as the usage totals count it.
    pub fn tally(&self) -> Tally {
        let overrun = self.charged.minus(self.reserve.most).max(Credits::ZERO);
        Tally {
            calls: 1,
            failed: u64::from(!self.colored),
            unknown: u64::from(self.unknown),
            overruns: u64::from(overrun > Credits::ZERO),
            credits: self.charged,
            overrun,
            pixels: if self.colored { self.reserve.pixels } else { 0 },
            sent_pixels: self.reserve.sent_pixels,
            took_ms: self.took_ms,
            cpu_us: self.cpu_us,
        }
    }
}

/// Why a line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// The line is damaged: it is incomplete, or its checksum is wrong.
    Broken,
    /// The line is intact, but this version cannot parse it, so a newer version wrote it. The text is the parser's
    /// error.
    Foreign(String),
}

/// Appends a record as a line.
pub fn encode(record: &impl Serialize, lines: &mut Vec<u8>) -> serde_json::Result<()> {
    let json = serde_json::to_vec(record)?;
    lines.extend_from_slice(checksum(&json).as_bytes());
    lines.push(b' ');
    lines.extend_from_slice(&json);
    lines.push(b'\n');
    Ok(())
}

/// Parses a line, which must include its line end.
pub fn decode<T: DeserializeOwned>(line: &[u8]) -> Result<T, RecordError> {
    let line = line.strip_suffix(b"\n").ok_or(RecordError::Broken)?;
    let (sum, json) = line.split_at_checked(CHECKSUM).ok_or(RecordError::Broken)?;
    let json = json.strip_prefix(b" ").ok_or(RecordError::Broken)?;
    if checksum(json).as_bytes() != sum {
        return Err(RecordError::Broken);
    }
    serde_json::from_slice(json).map_err(|error| RecordError::Foreign(error.to_string()))
}

fn checksum(json: &[u8]) -> String {
    Sha256::digest(json).iter().take(CHECKSUM / 2).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    fn settle(provider: String, client: Option<String>, number: i64) -> Record {
        let most = Credits::from_micro(number);
        let at = datetime!(2026-03-01 12:00:05 UTC);
        Record::Settle(SettleRecord {
            reserve: ReserveRecord { id: 7, at, provider, client, most, pixels: u64::MAX, sent_pixels: 0 },
            charged: most,
            unknown: true,
            colored: false,
            took_ms: 1,
            cpu_us: 2,
        })
    }

    #[test]
    fn a_record_is_a_line_that_a_person_can_read() {
        let mut line = Vec::new();
        encode(&Record::Release { id: 7 }, &mut line).unwrap();
        // The checksum was computed with `sha256sum`.
        assert_eq!(String::from_utf8(line).unwrap(), "9b755d3b {\"release\":{\"id\":7}}\n");
    }

    #[test]
    fn a_record_of_a_newer_version_is_distinguished_from_a_damaged_one() {
        for json in [r#"{"audit":{"id":1}}"#, r#"{"release":{"id":1,"why":"x"}}"#, "[]", "7"] {
            let line = format!("{} {json}\n", checksum(json.as_bytes()));
            assert!(matches!(decode::<Record>(line.as_bytes()), Err(RecordError::Foreign(_))), "{json}");
        }
    }

    proptest! {
        #[test]
        fn a_written_record_is_read_back(provider in "\\PC*", client in proptest::option::of("\\PC*"), number: i64) {
            let record = settle(provider, client, number);
            let mut line = Vec::new();
            encode(&record, &mut line).unwrap();
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert_eq!(decode(&line), Ok(record));
        }

        #[test]
        fn a_changed_or_cut_line_is_damaged(at: prop::sample::Index, bit in 0..8_u8, cut: bool) {
            let record = settle("algorithmia".into(), None, 5);
            let mut line = Vec::new();
            encode(&record, &mut line).unwrap();
            let at = at.index(line.len());
            if cut { line.truncate(at) } else { line[at] ^= 1 << bit }
            prop_assert_eq!(decode::<Record>(&line), Err(RecordError::Broken));
        }

        #[test]
        fn no_bytes_make_decode_panic(bytes: Vec<u8>) {
            prop_assert!(decode::<Record>(&bytes).is_err());
        }
    }
}
