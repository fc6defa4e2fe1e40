//! EXIF data (CIPA DC-008) as lists of tags, apart from the layout of a file.
//!
//! The directory of the thumbnail is not read. Values stay in the upload's byte order until they are written.

mod edit;
mod layout;
pub(super) mod tag;

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::resolution::Resolution;
use crate::photo::ifd::{Directory, Field, TiffBytes};

pub(super) use edit::Changes;
pub(super) use layout::Place;

/// Maximum bytes of one value. Text and maker notes may be longer.
const MAX_VALUE: usize = 64 << 10;
const MAX_LONG_VALUE: usize = 1 << 20;

/// Maximum bytes of all values, because the entries of a hostile file may all claim the same bytes.
const MAX_VALUES: usize = 2 << 20;

/// The values of one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// The type (TIFF 6.0, section 2).
    pub(super) kind: u16,
    pub(super) bytes: Vec<u8>,
}

pub(super) type Entries = BTreeMap<u16, Value>;

/// The directories of EXIF data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exif {
    /// The byte order of all values.
    pub(super) little_endian: bool,
    /// The first directory (IFD0), without tags that describe the image data.
    pub(super) primary: Entries,
    pub(super) exif: Entries,
    pub(super) gps: Entries,
    pub(super) interop: Entries,
    /// The original position of the maker note, because it may contain positions relative to the TIFF header.
    pub(super) maker_note_at: Option<usize>,
}

impl Exif {
    /// Reads EXIF data that starts with a TIFF header, optionally after `Exif\0\0`.
    pub(super) fn of_blob(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(b"Exif\0\0").unwrap_or(bytes);
        let file = TiffBytes::of(bytes)?;
        let mut exif = Self::of_page(file.first()?);
        // In EXIF data these two may state the size of the whole picture.
        for side in [tag::IMAGE_WIDTH, tag::IMAGE_LENGTH] {
            if let Some(field) = file.first()?.field(side.into()) {
                exif.primary.extend(Value::of(&field).map(|value| (side, value)));
            }
        }
        Some(exif)
    }

    /// Reads the metadata among the tags of a TIFF's page.
    pub(super) fn of_page(page: Directory<'_>) -> Self {
        let mut budget = MAX_VALUES;
        let mut read = |directory: Option<Directory<'_>>| match directory {
            Some(directory) => entries(directory, &mut budget),
            None => Entries::new(),
        };
        let camera = page.linked(tag::EXIF_POINTER.into());
        let location = page.linked(tag::GPS_POINTER.into());
        let interop = camera.and_then(|camera| camera.linked(tag::INTEROP_POINTER.into()));
        let maker_note = camera.and_then(|camera| camera.field(tag::MAKER_NOTE.into()));
        let mut primary = read(Some(page));
        primary.retain(|&tag, _| !tag::describes_image_data(tag));
        // Tags in the wrong directory are treated as in the right one.
        let mut exif = read(camera);
        exif.retain(|&tag, _| tag == tag::MAKER_NOTE || !tag::describes_image_data(tag));
        let mut interop = read(interop);
        interop.retain(|&tag, _| tag::is_interoperability(tag));
        Self {
            little_endian: page.file.little_endian,
            primary,
            exif,
            gps: read(location),
            interop,
            maker_note_at: maker_note.map(|field| field.position()),
        }
    }

    pub(super) fn orientation(&self) -> Option<u32> {
        self.primary.get(&tag::ORIENTATION)?.number(self.little_endian)
    }

    pub(super) fn is_empty(&self) -> bool {
        [&self.primary, &self.exif, &self.gps, &self.interop].iter().all(|entries| entries.is_empty())
    }

    /// States a resolution, unless one is stated already.
    pub(super) fn add_resolution(&mut self, resolution: Resolution) {
        if !self.primary.contains_key(&tag::X_RESOLUTION) {
            self.primary.extend(resolution.to_tags(self.little_endian));
        }
    }

    /// The same values in another byte order.
    pub(super) fn in_order(&self, little_endian: bool) -> Self {
        let mut other = self.clone();
        if little_endian != self.little_endian {
            other.little_endian = little_endian;
            for entries in [&mut other.primary, &mut other.exif, &mut other.gps, &mut other.interop] {
                entries.values_mut().for_each(Value::swap_bytes);
            }
        }
        other
    }

    /// Drops the maker note, then the largest values, until the written data has at most `limit` bytes.
    pub(super) fn shrink(&mut self, limit: usize) {
        /// Bytes of an entry besides its value, and a byte of padding.
        const ENTRY: usize = 13;
        let mut length = self.to_blob().len();
        while length > limit {
            let note = self.exif.remove(&tag::MAKER_NOTE).map(|note| (tag::MAKER_NOTE, note.bytes.len()));
            let is_note = note.is_some();
            let Some((dropped, bytes)) = note.or_else(|| self.drop_largest()) else { return };
            tracing::debug!(
                tag = dropped,
                length,
                limit,
                "dropped an EXIF value because the data is too long"
            );
            length = length.saturating_sub(bytes + ENTRY);
            // The padding before a maker note is gone with it.
            if is_note || length <= limit {
                length = self.to_blob().len();
            }
        }
    }

    /// Returns the tag and the length of the dropped value.
    fn drop_largest(&mut self) -> Option<(u16, usize)> {
        let directories = [&mut self.primary, &mut self.exif, &mut self.gps, &mut self.interop];
        let largest = |entries: &Entries| {
            entries.iter().map(|(&tag, value)| (value.bytes.len(), tag)).max().unwrap_or_default()
        };
        let entries = directories.into_iter().max_by_key(|entries| largest(entries).0)?;
        let (length, tag) = largest(entries);
        entries.remove(&tag).map(|_| (tag, length))
    }

    /// Without a maker note that cannot be written at its original position: its values would be read from other
    /// places. `start` is the first position that is free.
    fn with_readable_note(&self, start: usize) -> Cow<'_, Self> {
        /// Maximum position at which a maker note is kept; the bytes before it are padding.
        const MAX_POSITION: usize = 64 << 10;
        /// Notes in which positions are relative to their own start.
        const RELATIVE: [&[u8]; 6] =
            [b"Nikon\0\x02", b"OLYMPUS\0", b"OM SYSTEM\0", b"FUJIFILM", b"Apple iOS\0", b"PENTAX \0"];
        let Some(note) = self.exif.get(&tag::MAKER_NOTE) else { return Cow::Borrowed(self) };
        if self.maker_note_at.is_some_and(|at| (start..MAX_POSITION).contains(&at)) {
            return Cow::Borrowed(self);
        }
        let mut other = self.clone();
        other.maker_note_at = None;
        if !RELATIVE.iter().any(|start| note.bytes.starts_with(start)) {
            tracing::debug!("dropped a maker note because it cannot stay at its position");
            other.exif.remove(&tag::MAKER_NOTE);
        }
        Cow::Owned(other)
    }
}

/// The entries of a directory, without those that point to other directories. `budget` is the number of bytes that
/// may still be read.
fn entries(directory: Directory<'_>, budget: &mut usize) -> Entries {
    let mut entries = Entries::new();
    for (tag, field) in directory.fields() {
        let Ok(tag) = u16::try_from(tag) else { continue };
        if tag::is_pointer(tag) || entries.contains_key(&tag) {
            continue;
        }
        let Some(value) = Value::of(&field).filter(|value| value.bytes.len() <= value.longest(tag)) else {
            continue;
        };
        let Some(rest) = budget.checked_sub(value.bytes.len()) else { break };
        *budget = rest;
        entries.insert(tag, value);
    }
    entries
}

// TIFF types (TIFF 6.0, section 2; BigTIFF; EXIF 3.0).
pub(super) const BYTE: u16 = 1;
pub(super) const ASCII: u16 = 2;
pub(super) const SHORT: u16 = 3;
pub(super) const LONG: u16 = 4;
pub(super) const RATIONAL: u16 = 5;
pub(super) const UNDEFINED: u16 = 7;
const SRATIONAL: u16 = 10;
const IFD: u16 = 13;
const LONG8: u16 = 16;
const IFD8: u16 = 18;
const UTF8: u16 = 129;

impl Value {
    /// Reads a value. `None` if it is cut off, too long, or the position of a directory.
    fn of(field: &Field<'_>) -> Option<Self> {
        let kind = u16::try_from(field.kind()).ok()?;
        match kind {
            IFD | IFD8 => None,
            // Only a BigTIFF has this type.
            LONG8 => {
                let small = |index| u32::try_from(field.number(index)?).ok();
                let numbers = (0..field.count().min(MAX_VALUE)).map(small).collect::<Option<Vec<_>>>()?;
                let bytes = numbers.iter().flat_map(|number| match field.little_endian() {
                    true => number.to_le_bytes(),
                    false => number.to_be_bytes(),
                });
                Some(Self { kind: LONG, bytes: bytes.collect() })
            }
            _ => {
                let bytes = field.values().filter(|bytes| bytes.len() <= MAX_LONG_VALUE)?;
                Some(Self { kind, bytes: bytes.to_vec() })
            }
        }
    }

    /// Maximum bytes of a value of this tag and type.
    fn longest(&self, tag: u16) -> usize {
        if tag == tag::MAKER_NOTE || matches!(self.kind, ASCII | UTF8) { MAX_LONG_VALUE } else { MAX_VALUE }
    }

    pub(super) fn short(number: u16, little_endian: bool) -> Self {
        let bytes = if little_endian { number.to_le_bytes() } else { number.to_be_bytes() };
        Self { kind: SHORT, bytes: bytes.to_vec() }
    }

    pub(super) fn long(number: u32, little_endian: bool) -> Self {
        let bytes = if little_endian { number.to_le_bytes() } else { number.to_be_bytes() };
        Self { kind: LONG, bytes: bytes.to_vec() }
    }

    pub(super) fn rational((n, d): (u32, u32), little_endian: bool) -> Self {
        let [n, d] = [n, d].map(|number| Self::long(number, little_endian).bytes);
        Self { kind: RATIONAL, bytes: [n, d].concat() }
    }

    pub(super) fn undefined(bytes: Vec<u8>) -> Self {
        Self { kind: UNDEFINED, bytes }
    }

    pub(super) fn count(&self) -> usize {
        self.bytes.len() / Field::size(self.kind.into()).max(1)
    }

    /// The first value, if the type is BYTE, SHORT or LONG.
    pub(super) fn number(&self, little_endian: bool) -> Option<u32> {
        let size = match self.kind {
            BYTE => 1,
            SHORT => 2,
            LONG => 4,
            _ => return None,
        };
        let digits = self.bytes.get(..size)?.iter();
        let add = |number: u32, &digit: &u8| number << 8 | u32::from(digit);
        Some(if little_endian { digits.rev().fold(0, add) } else { digits.fold(0, add) })
    }

    /// The first numerator and denominator of a RATIONAL.
    pub(super) fn fraction(&self, little_endian: bool) -> Option<(u32, u32)> {
        let (n, d) = self.bytes.split_at_checked(4).filter(|_| self.kind == RATIONAL)?;
        let number = |bytes: &[u8]| Self { kind: LONG, bytes: bytes.to_vec() }.number(little_endian);
        Some((number(n)?, number(d)?))
    }

    fn swap_bytes(&mut self) {
        let unit = match self.kind {
            RATIONAL | SRATIONAL => 4,
            kind => Field::size(kind.into()).max(1),
        };
        // The order of these characters is the file's (4.6.5, UserComment).
        let unit = if self.kind == UNDEFINED && self.bytes.starts_with(b"UNICODE\0") { 2 } else { unit };
        let start = if unit == 2 && self.kind == UNDEFINED { 8 } else { 0 };
        self.bytes[start..].chunks_exact_mut(unit).for_each(<[u8]>::reverse);
    }
}
