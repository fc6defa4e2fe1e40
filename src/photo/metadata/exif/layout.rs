//! Writes EXIF data as the directories of a TIFF.

use std::ops::Range;

use super::{Entries, Exif, LONG, Value, tag};

/// Where directories are written.
#[derive(Clone, Copy)]
pub(in super::super) struct Place {
    /// The position of the first byte in the file.
    pub(in super::super) start: usize,
    /// Whether the file is a BigTIFF, whose fields are wider.
    pub(in super::super) wide: bool,
}

/// The Exif and GPS directories, and those below them, at a position in a TIFF.
pub(in super::super) struct SubDirectories {
    pub(in super::super) bytes: Vec<u8>,
    /// The tags that point to the directories, and their positions in the file.
    pub(in super::super) pointers: Vec<(u16, usize)>,
}

impl Exif {
    /// A TIFF without image data, as JPEG, PNG and WebP contain it.
    pub(in super::super) fn to_blob(&self) -> Vec<u8> {
        const HEADER: usize = 8;
        let exif = self.with_readable_note(HEADER);
        let mut writer = Writer::new(&exif, Place { start: HEADER, wide: false });
        let primary = writer.place(&exif.primary, exif.pointers().count());
        let pointers = writer.sub_directories(&exif);
        writer.directory(&primary, &pointers);
        let magic = if exif.little_endian { *b"II\x2A\0" } else { *b"MM\0\x2A" };
        [magic.as_slice(), &writer.number(primary.at, 4), &writer.bytes].concat()
    }

    /// The directories to which a TIFF's own directory points.
    pub(in super::super) fn sub_directories(&self, place: Place) -> SubDirectories {
        let exif = self.with_readable_note(place.start);
        let mut writer = Writer::new(&exif, place);
        let pointers = writer.sub_directories(&exif);
        SubDirectories { bytes: writer.bytes, pointers }
    }

    /// The pointers of the first directory.
    fn pointers(&self) -> impl Iterator<Item = u16> {
        let exif = !(self.exif.is_empty() && self.interop.is_empty());
        let exif = exif.then_some(tag::EXIF_POINTER);
        let gps = (!self.gps.is_empty()).then_some(tag::GPS_POINTER);
        exif.into_iter().chain(gps)
    }
}

/// The positions of a directory and its values.
struct Placed<'a> {
    entries: &'a Entries,
    /// The number of pointers that are added to the entries.
    pointers: usize,
    at: usize,
    /// The position of each value; `None` for one in the directory itself.
    values: Vec<Option<usize>>,
}

struct Writer {
    little_endian: bool,
    place: Place,
    bytes: Vec<u8>,
    /// The position of the next block, from the start of the file.
    next: usize,
    /// The bytes of the maker note.
    reserved: Range<usize>,
}

impl Writer {
    fn new(exif: &Exif, place: Place) -> Self {
        let note = exif.exif.get(&tag::MAKER_NOTE).zip(exif.maker_note_at);
        let reserved = match note {
            Some((note, at)) => at..at + note.bytes.len(),
            None => 0..0,
        };
        let next = place.start;
        Self { little_endian: exif.little_endian, place, bytes: Vec::new(), next, reserved }
    }

    fn sub_directories(&mut self, exif: &Exif) -> Vec<(u16, usize)> {
        let interop = (!exif.interop.is_empty()).then_some(&exif.interop);
        exif.pointers()
            .map(|pointer| {
                if pointer == tag::GPS_POINTER {
                    let gps = self.place(&exif.gps, 0);
                    self.directory(&gps, &[]);
                    return (pointer, gps.at);
                }
                let camera = self.place(&exif.exif, interop.iter().count());
                let below = interop.map(|interop| {
                    let interop = self.place(interop, 0);
                    self.directory(&interop, &[]);
                    (tag::INTEROP_POINTER, interop.at)
                });
                self.directory(&camera, below.as_slice());
                (pointer, camera.at)
            })
            .collect()
    }

    /// The bytes of a field as wide as an offset.
    fn width(&self) -> usize {
        if self.place.wide { 8 } else { 4 }
    }

    /// Assigns positions to a directory with this number of additional entries, and to its values.
    fn place<'a>(&mut self, entries: &'a Entries, pointers: usize) -> Placed<'a> {
        let count = entries.len() + pointers;
        let at = self.assign(if self.place.wide { 8 + 20 * count + 8 } else { 2 + 12 * count + 4 });
        let assign = |(&tag, value): (&u16, &Value)| match value.bytes.len() {
            length if length <= self.width() => None,
            _ if tag == tag::MAKER_NOTE && !self.reserved.is_empty() => Some(self.reserved.start),
            length => Some(self.assign(length)),
        };
        Placed { entries, pointers, at, values: entries.iter().map(assign).collect() }
    }

    /// An even position for a block.
    fn assign(&mut self, length: usize) -> usize {
        let at = self.next.next_multiple_of(2);
        let overlaps = at < self.reserved.end && self.reserved.start < at + length;
        let at = if overlaps { self.reserved.end.next_multiple_of(2) } else { at };
        self.next = at + length;
        at
    }

    fn directory(&mut self, placed: &Placed<'_>, pointers: &[(u16, usize)]) {
        debug_assert_eq!(placed.pointers, pointers.len());
        let width = self.width();
        let mut rows: Vec<(u16, Vec<u8>)> = Vec::new();
        for ((&tag, value), &at) in placed.entries.iter().zip(&placed.values) {
            let mut inline = value.bytes.clone();
            if let Some(at) = at {
                self.put(at, &value.bytes);
                inline = self.number(at, width);
            }
            inline.resize(width, 0);
            rows.push((tag, self.row(tag, value.kind, value.count(), &inline)));
        }
        for &(tag, at) in pointers {
            rows.push((tag, self.row(tag, LONG, 1, &self.pointer(at))));
        }
        rows.sort_by_key(|(tag, _)| *tag);
        let mut table = self.number(rows.len(), if self.place.wide { 8 } else { 2 });
        rows.iter().for_each(|(_, row)| table.extend(row));
        table.resize(table.len() + width, 0);
        self.put(placed.at, &table);
    }

    fn row(&self, tag: u16, kind: u16, count: usize, inline: &[u8]) -> Vec<u8> {
        let numbers = [(tag.into(), 2), (kind.into(), 2), (count, self.width())];
        let numbers = numbers.map(|(number, width)| self.number(number, width)).concat();
        [&numbers, inline].concat()
    }

    /// A position as a LONG, padded to the width of a field.
    fn pointer(&self, at: usize) -> Vec<u8> {
        let mut bytes = self.number(at, 4);
        bytes.resize(self.width(), 0);
        bytes
    }

    fn number(&self, number: usize, width: usize) -> Vec<u8> {
        let number = number as u64;
        match self.little_endian {
            true => number.to_le_bytes()[..width].to_vec(),
            false => number.to_be_bytes()[8 - width..].to_vec(),
        }
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        let from = at - self.place.start;
        let to = from + bytes.len();
        if self.bytes.len() < to {
            self.bytes.resize(to, 0);
        }
        self.bytes[from..to].copy_from_slice(bytes);
    }
}
