//! IPTC-IIM (IPTC Information Interchange Model, version 4.2).

use std::collections::BTreeSet;

/// Maximum bytes of all data sets that are read.
const MAX_BYTES: usize = 1 << 20;

/// Bytes before the value of a data set, if its length has two bytes.
const HEADER: usize = 5;

/// The byte before each data set.
const MARKER: u8 = 0x1C;

/// The data sets of the application record (2) that name a place: content location code and name, city, sublocation,
/// state, and code and name of the country.
const LOCATION: [u8; 7] = [26, 27, 90, 92, 95, 100, 101];

/// A preview of the picture, and what describes it.
const PREVIEW: [u8; 3] = [200, 201, 202];

/// The last record that is metadata; later ones contain the object itself.
const LAST_RECORD: u8 = 6;

/// Data sets in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Iptc(Vec<DataSet>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct DataSet {
    record: u8,
    number: u8,
    value: Vec<u8>,
}

impl Iptc {
    /// Reads data sets up to the first one that is damaged.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut rest = bytes.get(..MAX_BYTES).unwrap_or(bytes);
        let sets = std::iter::from_fn(|| {
            let (set, after) = DataSet::first(rest)?;
            rest = after;
            Some(set)
        });
        let is_metadata =
            |set: &DataSet| set.record <= LAST_RECORD && !(set.record == 2 && PREVIEW.contains(&set.number));
        Self(sets.filter(is_metadata).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn drop_location(&mut self) {
        self.0.retain(|set| set.record != 2 || !LOCATION.contains(&set.number));
    }

    /// Drops the largest data sets, so that the written data has at most `limit` bytes.
    pub(super) fn shrink(&mut self, limit: usize) {
        let mut length = self.to_bytes().len();
        let mut by_length: Vec<usize> = (0..self.0.len()).collect();
        by_length.sort_by_key(|&index| self.0[index].value.len());
        let mut dropped = BTreeSet::new();
        while length > limit
            && let Some(index) = by_length.pop()
        {
            let DataSet { record, number, ref value } = self.0[index];
            tracing::debug!(record, number, "dropped IPTC data because it is too long");
            length -= value.len() + HEADER;
            dropped.insert(index);
        }
        let mut index = 0..;
        self.0.retain(|_| index.next().is_some_and(|index| !dropped.contains(&index)));
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for DataSet { record, number, value } in &self.0 {
            bytes.extend([MARKER, *record, *number]);
            match u16::try_from(value.len()) {
                Ok(length) if length < EXTENDED => bytes.extend(length.to_be_bytes()),
                // The length has four bytes.
                _ => {
                    bytes.extend((EXTENDED | 4).to_be_bytes());
                    bytes.extend((value.len() as u32).to_be_bytes());
                }
            }
            bytes.extend(value);
        }
        bytes
    }

    /// The values of a data set of the application record, as text.
    pub(super) fn texts(&self, number: u8) -> Vec<String> {
        let values = self.0.iter().filter(|set| (set.record, set.number) == (2, number));
        values.map(|set| Self::text(&set.value)).filter(|text| !text.is_empty()).collect()
    }

    /// Text is UTF-8 if the envelope record says so. Programs also write UTF-8, or Latin-1, without saying so.
    fn text(value: &[u8]) -> String {
        let text = match str::from_utf8(value) {
            Ok(text) => text.to_owned(),
            Err(_) => value.iter().map(|&byte| char::from(byte)).collect(),
        };
        text.trim_matches(['\0', ' ']).to_owned()
    }
}

/// The bit of a length that says that it is the length of the length.
const EXTENDED: u16 = 0x8000;

impl DataSet {
    /// The data set at the start of `bytes`, and the bytes after it.
    fn first(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&[marker, record, number, high, low], rest) = bytes.split_first_chunk()?;
        if marker != MARKER {
            return None;
        }
        let short = u16::from_be_bytes([high, low]);
        let (length, rest) = match short {
            0..EXTENDED => (usize::from(short), rest),
            _ => {
                let (digits, rest) = rest.split_at_checked(usize::from(short & !EXTENDED))?;
                let add = |length: usize, &digit: &u8| length.checked_mul(256)?.checked_add(digit.into());
                (digits.iter().try_fold(0, add)?, rest)
            }
        };
        let (value, rest) = rest.split_at_checked(length)?;
        Some((Self { record, number, value: value.to_vec() }, rest))
    }
}
