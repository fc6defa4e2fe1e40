//! The directories of a TIFF (TIFF 6.0, section 2) and of a BigTIFF, read in place.
//!
//! Entries are neither copied nor collected, so a directory costs no memory, whatever size it claims.

use std::collections::HashSet;

use super::head::{be16, be32, le16, le32};

/// Maximum entries of a directory, as in libtiff.
const MAX_ENTRIES: usize = 4096;

/// Maximum directories in the chain of pages, including thumbnails and masks.
pub(super) const MAX_PAGES: usize = 4096;

/// Maximum pages whose sub-directories are searched for a picture, and maximum sub-directories of each.
const MAX_PARENTS: usize = 64;
const MAX_SUB_DIRECTORIES: usize = 16;

/// The tags that are read.
pub(super) mod tag {
    pub(in crate::photo) const NEW_SUBFILE_TYPE: u32 = 254;
    pub(in crate::photo) const SUBFILE_TYPE: u32 = 255;
    pub(in crate::photo) const WIDTH: u32 = 256;
    pub(in crate::photo) const HEIGHT: u32 = 257;
    pub(in crate::photo) const BITS: u32 = 258;
    pub(in crate::photo) const COMPRESSION: u32 = 259;
    pub(in crate::photo) const PHOTOMETRIC: u32 = 262;
    pub(in crate::photo) const FILL_ORDER: u32 = 266;
    pub(in crate::photo) const STRIP_OFFSETS: u32 = 273;
    pub(in crate::photo) const ORIENTATION: u32 = 274;
    pub(in crate::photo) const SAMPLES: u32 = 277;
    pub(in crate::photo) const ROWS_PER_STRIP: u32 = 278;
    pub(in crate::photo) const STRIP_BYTE_COUNTS: u32 = 279;
    pub(in crate::photo) const PLANAR: u32 = 284;
    pub(in crate::photo) const T4_OPTIONS: u32 = 292;
    pub(in crate::photo) const PAGE_NUMBER: u32 = 297;
    pub(in crate::photo) const PREDICTOR: u32 = 317;
    pub(in crate::photo) const COLOR_MAP: u32 = 320;
    pub(in crate::photo) const TILE_WIDTH: u32 = 322;
    pub(in crate::photo) const TILE_HEIGHT: u32 = 323;
    pub(in crate::photo) const TILE_OFFSETS: u32 = 324;
    pub(in crate::photo) const TILE_BYTE_COUNTS: u32 = 325;
    pub(in crate::photo) const SUB_DIRECTORIES: u32 = 330;
    pub(in crate::photo) const INK_SET: u32 = 332;
    pub(in crate::photo) const EXTRA_SAMPLES: u32 = 338;
    pub(in crate::photo) const SAMPLE_FORMAT: u32 = 339;
    pub(in crate::photo) const JPEG_TABLES: u32 = 347;
    pub(in crate::photo) const YCC_COEFFICIENTS: u32 = 529;
    pub(in crate::photo) const YCC_SUBSAMPLING: u32 = 530;
    pub(in crate::photo) const REFERENCE_BLACK_WHITE: u32 = 532;
    pub(in crate::photo) const EXIF_DIRECTORY: u32 = 34_665;
    pub(in crate::photo) const ICC_PROFILE: u32 = 34_675;
    pub(in crate::photo) const GPS_DIRECTORY: u32 = 34_853;
    pub(in crate::photo) const INTEROPERABILITY_DIRECTORY: u32 = 40_965;
}

/// A TIFF's bytes, its byte order and the width of its fields.
#[derive(Clone, Copy)]
pub(super) struct TiffBytes<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) little_endian: bool,
    big_tiff: bool,
}

impl<'a> TiffBytes<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let file = Self { bytes, little_endian: bytes.first() == Some(&b'I'), big_tiff: false };
        match file.at16(2)? {
            42 => Some(file),
            // The size of an offset follows, which must be 8.
            43 => (file.at16(4)? == 8).then_some(Self { big_tiff: true, ..file }),
            _ => None,
        }
    }

    fn at16(&self, at: usize) -> Option<u32> {
        if self.little_endian { le16(self.bytes, at) } else { be16(self.bytes, at) }
    }

    fn at32(&self, at: usize) -> Option<u32> {
        if self.little_endian { le32(self.bytes, at) } else { be32(self.bytes, at) }
    }

    fn at64(&self, at: usize) -> Option<u64> {
        let after = at.checked_add(4)?;
        let (high, low) = if self.little_endian { (after, at) } else { (at, after) };
        Some(u64::from(self.at32(high)?) << 32 | u64::from(self.at32(low)?))
    }

    /// A field as wide as an offset.
    fn offset(&self, at: usize) -> Option<usize> {
        if self.big_tiff { usize::try_from(self.at64(at)?).ok() } else { Some(self.at32(at)? as usize) }
    }

    pub(super) fn is_big_tiff(&self) -> bool {
        self.big_tiff
    }

    pub(super) fn directory(self, at: usize) -> Option<Directory<'a>> {
        let (entries, first, step) = match self.big_tiff {
            true => (usize::try_from(self.at64(at)?).ok()?, at.checked_add(8)?, 20),
            false => (self.at16(at)? as usize, at.checked_add(2)?, 12),
        };
        // An offset of 0 means that there is no directory.
        if at == 0 || entries == 0 || entries > MAX_ENTRIES {
            return None;
        }
        let end = first.checked_add(entries * step)?;
        (end <= self.bytes.len()).then_some(Directory { file: self, first, step, end })
    }

    /// The first directory.
    pub(super) fn first(self) -> Option<Directory<'a>> {
        self.chain().next()
    }

    /// The directories of the chain in order, at most [`MAX_PAGES`]. The chain ends at a directory that was in it
    /// already. It also ends when its directories have more bytes than the file, which is possible only if they
    /// overlap; so the time to search all of them is proportional to the file's size.
    fn chain(self) -> impl Iterator<Item = Directory<'a>> {
        let mut next = self.offset(if self.big_tiff { 8 } else { 4 });
        let (mut seen, mut left) = (HashSet::new(), self.bytes.len());
        let chain = std::iter::from_fn(move || {
            let at = next.filter(|&at| seen.insert(at))?;
            let directory = self.directory(at)?;
            left = left.checked_sub(directory.end - at)?;
            next = self.offset(directory.end);
            Some(directory)
        });
        chain.take(MAX_PAGES)
    }
}

/// A directory: the tags of one image.
#[derive(Clone, Copy)]
pub(super) struct Directory<'a> {
    pub(super) file: TiffBytes<'a>,
    first: usize,
    step: usize,
    end: usize,
}

/// The pages of a file: the directories of the chain that are neither smaller copies nor masks. If there are none, the
/// only page is the first such sub-directory, or else the first directory.
pub(super) struct Pages<'a> {
    file: Option<TiffBytes<'a>>,
    /// Number of pages in the chain.
    chained: u32,
    /// The page of a file that has none in its chain.
    other: Option<Directory<'a>>,
}

pub(super) fn pages(bytes: &[u8]) -> Pages<'_> {
    let Some(file) = TiffBytes::of(bytes) else { return Pages { file: None, chained: 0, other: None } };
    let chained = file.chain().filter(Directory::is_picture).count() as u32;
    let below = || file.chain().take(MAX_PARENTS).flat_map(Directory::sub_directories);
    let other = match chained {
        0 => below().find(Directory::is_picture).or_else(|| file.chain().next()),
        _ => None,
    };
    Pages { file: Some(file), chained, other }
}

impl<'a> Pages<'a> {
    /// The number of pages; 0 for a file whose first directory cannot be read.
    pub(super) fn count(&self) -> u32 {
        self.chained + u32::from(self.other.is_some())
    }

    /// The directory of a page, from 1 on.
    pub(super) fn page(&self, page: u32) -> Option<Directory<'a>> {
        let index = page.checked_sub(1)? as usize;
        match self.other {
            Some(other) => (index == 0).then_some(other),
            None => self.file?.chain().filter(Directory::is_picture).nth(index),
        }
    }
}

impl<'a> Directory<'a> {
    /// The first entry of a tag.
    pub(super) fn field(&self, wanted: u32) -> Option<Field<'a>> {
        let at = self.entries().find(|&at| self.file.at16(at) == Some(wanted))?;
        Field::of_entry(self.file, at)
    }

    /// The number and the values of every readable tag, in the file's order.
    pub(super) fn fields(self) -> impl Iterator<Item = (u32, Field<'a>)> {
        self.entries().filter_map(move |at| Some((self.file.at16(at)?, Field::of_entry(self.file, at)?)))
    }

    /// The directory that a tag points to.
    pub(super) fn linked(&self, pointer: u32) -> Option<Directory<'a>> {
        self.file.directory(usize::try_from(self.number(pointer)?).ok()?)
    }

    fn entries(&self) -> impl Iterator<Item = usize> + use<> {
        (self.first..self.end).step_by(self.step)
    }

    /// The first number of a tag.
    pub(super) fn number(&self, wanted: u32) -> Option<u64> {
        self.field(wanted)?.number(0)
    }

    /// Width and height.
    pub(super) fn size(&self) -> Option<(u32, u32)> {
        let side = |wanted| u32::try_from(self.number(wanted)?).ok();
        side(tag::WIDTH).zip(side(tag::HEIGHT))
    }

    fn is_picture(&self) -> bool {
        const REDUCED_OR_MASK: u64 = 1 | 4;
        const OLD_REDUCED: u64 = 2;
        const PHOTOMETRIC_MASK: u64 = 4;
        self.size().is_some()
            && self.number(tag::NEW_SUBFILE_TYPE).unwrap_or(0) & REDUCED_OR_MASK == 0
            && self.number(tag::SUBFILE_TYPE) != Some(OLD_REDUCED)
            && self.number(tag::PHOTOMETRIC) != Some(PHOTOMETRIC_MASK)
    }

    fn sub_directories(self) -> impl Iterator<Item = Directory<'a>> {
        let places = self.field(tag::SUB_DIRECTORIES);
        let places =
            places.into_iter().flat_map(|field| (0..MAX_SUB_DIRECTORIES).map_while(move |i| field.number(i)));
        places.filter_map(move |at| self.file.directory(usize::try_from(at).ok()?))
    }
}

/// The values of one tag.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    file: TiffBytes<'a>,
    kind: u32,
    count: usize,
    place: usize,
}

impl<'a> Field<'a> {
    fn of_entry(file: TiffBytes<'a>, at: usize) -> Option<Self> {
        let (kind, count) = (file.at16(at + 2)?, file.offset(at + 4)?);
        let (value, room) = if file.big_tiff { (at + 12, 8) } else { (at + 8, 4) };
        let fits = count.saturating_mul(Self::size(kind)) <= room;
        let place = if fits { value } else { file.offset(value)? };
        Some(Self { file, kind, count, place })
    }

    /// Bytes per value of a type; 0 for an unknown type.
    pub(super) fn size(kind: u32) -> usize {
        match kind {
            // 129 is UTF-8 text (EXIF 3.0).
            1 | 2 | 6 | 7 | 129 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16 | 17 | 18 => 8,
            _ => 0,
        }
    }

    /// The number of the type of the values.
    pub(super) fn kind(&self) -> u32 {
        self.kind
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn little_endian(&self) -> bool {
        self.file.little_endian
    }

    /// The position of the values.
    pub(super) fn position(&self) -> usize {
        self.place
    }

    /// The bytes of all values, in the file's byte order; `None` for an unknown type, or if they are cut off.
    pub(super) fn values(&self) -> Option<&'a [u8]> {
        let length = self.count.checked_mul(Self::size(self.kind)).filter(|&length| length > 0)?;
        self.file.bytes.get(self.place..self.place.checked_add(length)?)
    }

    fn place(&self, index: usize) -> Option<usize> {
        if index >= self.count {
            return None;
        }
        self.place.checked_add(index.checked_mul(Self::size(self.kind))?)
    }

    /// A value of any integer type; `None` if negative.
    pub(super) fn number(&self, index: usize) -> Option<u64> {
        let (file, at) = (&self.file, self.place(index)?);
        match self.kind {
            1 => file.bytes.get(at).copied().map(u64::from),
            6 => u64::try_from(*file.bytes.get(at)? as i8).ok(),
            3 => file.at16(at).map(u64::from),
            8 => u64::try_from(file.at16(at)? as u16 as i16).ok(),
            4 | 13 => file.at32(at).map(u64::from),
            9 => u64::try_from(file.at32(at)? as i32).ok(),
            16 | 18 => file.at64(at),
            17 => u64::try_from(file.at64(at)? as i64).ok(),
            _ => None,
        }
    }

    /// A value of any numeric type.
    pub(super) fn real(&self, index: usize) -> Option<f64> {
        let (file, at) = (&self.file, self.place(index)?);
        match self.kind {
            5 => Some(f64::from(file.at32(at)?) / f64::from(file.at32(at + 4)?)),
            10 => Some(f64::from(file.at32(at)? as i32) / f64::from(file.at32(at + 4)? as i32)),
            11 => Some(f32::from_bits(file.at32(at)?).into()),
            12 => Some(f64::from_bits(file.at64(at)?)),
            _ => Some(self.number(index)? as f64),
        }
    }

    /// The values of a tag with a one-byte type; `None` for other types, or if the values are cut off.
    pub(super) fn bytes(&self) -> Option<&'a [u8]> {
        let end = self.place.checked_add(self.count)?;
        if Self::size(self.kind) == 1 { self.file.bytes.get(self.place..end) } else { None }
    }
}
