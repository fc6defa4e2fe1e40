//! Joins TIFF files of one page each into one TIFF file of several pages.
//!
//! Compressed strips are copied as they are, so joining costs no quality and little time. All offsets change, so every
//! directory is written anew, with its values and the directories that it points to.

use std::borrow::Cow;

use super::PhotoError;
use super::ifd::{self, Directory, Field, MAX_PAGES, tag};

/// Maximum depth of directories: the page, its Exif directory, and the interoperability directory of that.
const MAX_DEPTH: usize = 3;

/// Maximum bytes of a classic TIFF, whose offsets have 32 bits.
const LARGEST: u64 = u32::MAX as u64;

// Types of values (TIFF 6.0, section 2).
const SHORT: u32 = 3;
const LONG: u32 = 4;

/// Joins TIFF files that [`super::encode`] wrote into one TIFF file, whose pages have the order of the files.
///
/// # Errors
/// [`PhotoError::Unwritable`] for no files, too many files, more than 4 GiB, or a file that is not a little-endian
/// TIFF of one page.
pub fn join_pages(files: &[impl AsRef<[u8]>]) -> Result<Vec<u8>, PhotoError> {
    join(files, LARGEST)
}

fn join(files: &[impl AsRef<[u8]>], largest: u64) -> Result<Vec<u8>, PhotoError> {
    if files.is_empty() || files.len() > MAX_PAGES {
        return Err(failed(format!("there are {}, and 1 to {MAX_PAGES} are possible", files.len())));
    }
    let mut file = TiffFile { bytes: b"II*\0\0\0\0\0".to_vec(), largest, page: 0, most: 0 };
    // The place of the next directory's offset.
    let mut link = 4;
    for (index, page) in files.iter().enumerate() {
        let page = page.as_ref();
        // Directories that share values could otherwise make the result far larger than the files.
        (file.page, file.most) = (index + 1, file.bytes.len() + 2 * page.len() + 1024);
        let directory = only_page(page).ok_or_else(|| file.unreadable())?;
        let written = file.copy(directory, Some([index as u16, files.len() as u16]), MAX_DEPTH)?;
        file.bytes[link..link + 4].copy_from_slice(&written.offset.to_le_bytes());
        link = written.link;
    }
    Ok(file.bytes)
}

fn failed(reason: String) -> PhotoError {
    PhotoError::Unwritable(format!("The pages cannot be joined into one TIFF file: {reason}."))
}

/// The directory of a little-endian classic TIFF of one page.
fn only_page(file: &[u8]) -> Option<Directory<'_>> {
    let pages = ifd::pages(file);
    let directory = pages.page(1).filter(|_| pages.count() == 1)?;
    (directory.file.little_endian && !directory.file.is_big_tiff()).then_some(directory)
}

/// The file that is written.
struct TiffFile {
    bytes: Vec<u8>,
    /// Maximum bytes of the file.
    largest: u64,
    /// The number of the current page, and maximum bytes of the file up to the end of that page.
    page: usize,
    most: usize,
}

/// The place of a directory that was written.
struct Written {
    offset: u32,
    /// The position of the next directory's offset.
    link: usize,
}

/// A tag that is written.
struct Tag<'a> {
    number: u32,
    kind: u32,
    count: u32,
    value: Cow<'a, [u8]>,
}

impl TiffFile {
    fn unreadable(&self) -> PhotoError {
        failed(format!("page {} is not a TIFF as PixColor writes it", self.page))
    }

    /// Copies a directory and everything that it points to; a page gets its number and the number of pages.
    fn copy(
        &mut self,
        directory: Directory<'_>,
        page: Option<[u16; 2]>,
        depth: usize,
    ) -> Result<Written, PhotoError> {
        let mut tags = Vec::new();
        for (number, field) in directory.fields() {
            let (kind, value) = match number {
                tag::NEW_SUBFILE_TYPE | tag::PAGE_NUMBER if page.is_some() => continue,
                tag::STRIP_OFFSETS => (LONG, Cow::Owned(self.copy_strips(&directory, field)?)),
                tag::EXIF_DIRECTORY | tag::GPS_DIRECTORY | tag::INTEROPERABILITY_DIRECTORY => {
                    let offset = self.copy_below(&directory, field, depth - 1)?;
                    (field.kind(), Cow::Owned(offset.to_le_bytes().to_vec()))
                }
                _ => (field.kind(), Cow::Borrowed(field.values().ok_or_else(|| self.unreadable())?)),
            };
            tags.push(Tag { number, kind, count: field.count() as u32, value });
        }
        if let Some([index, pages]) = page {
            const PAGE_OF_SEVERAL: u32 = 2;
            let value = [index.to_le_bytes(), pages.to_le_bytes()].concat();
            tags.push(Tag { number: tag::PAGE_NUMBER, kind: SHORT, count: 2, value: value.into() });
            let value = PAGE_OF_SEVERAL.to_le_bytes().to_vec();
            tags.push(Tag { number: tag::NEW_SUBFILE_TYPE, kind: LONG, count: 1, value: value.into() });
        }
        tags.sort_by_key(|tag| tag.number);
        self.write(tags)
    }

    /// Copies the data of all strips; returns their new offsets.
    fn copy_strips(&mut self, directory: &Directory<'_>, offsets: Field<'_>) -> Result<Vec<u8>, PhotoError> {
        let lengths = directory.field(tag::STRIP_BYTE_COUNTS).ok_or_else(|| self.unreadable())?;
        let mut places = Vec::new();
        for strip in 0..offsets.count() {
            let place = offsets.number(strip).zip(lengths.number(strip));
            let data = place.and_then(|(at, length)| {
                let at = usize::try_from(at).ok()?;
                directory.file.bytes.get(at..at.checked_add(usize::try_from(length).ok()?)?)
            });
            let data = data.ok_or_else(|| self.unreadable())?;
            places.extend(self.append(data)?.to_le_bytes());
        }
        Ok(places)
    }

    /// Copies the directory that a tag points to; returns its new offset.
    fn copy_below(
        &mut self,
        directory: &Directory<'_>,
        pointer: Field<'_>,
        depth: usize,
    ) -> Result<u32, PhotoError> {
        let at = pointer.number(0).filter(|_| depth > 0 && pointer.count() == 1);
        let below = at.and_then(|at| directory.file.directory(usize::try_from(at).ok()?));
        Ok(self.copy(below.ok_or_else(|| self.unreadable())?, None, depth)?.offset)
    }

    /// Writes a directory after the values that do not fit into it.
    fn write(&mut self, tags: Vec<Tag<'_>>) -> Result<Written, PhotoError> {
        let mut directory = (tags.len() as u16).to_le_bytes().to_vec();
        for Tag { number, kind, count, value } in tags {
            let mut inside = [0; 4];
            match value.len() {
                length @ ..=4 => inside[..length].copy_from_slice(&value),
                _ => inside = self.append(&value)?.to_le_bytes(),
            }
            directory.extend((number as u16).to_le_bytes());
            directory.extend((kind as u16).to_le_bytes());
            directory.extend(count.to_le_bytes());
            directory.extend(inside);
        }
        directory.extend([0; 4]);
        let offset = self.append(&directory)?;
        Ok(Written { offset, link: self.bytes.len() - 4 })
    }

    /// Appends bytes at an even position; returns their offset.
    fn append(&mut self, bytes: &[u8]) -> Result<u32, PhotoError> {
        let offset = self.bytes.len().next_multiple_of(2);
        let end = offset + bytes.len();
        if end > self.most {
            return Err(self.unreadable());
        }
        if end as u64 > self.largest {
            let maximum = "they have more than 4 GiB together, and a TIFF file can have at most 4 GiB";
            return Err(failed(maximum.to_owned()));
        }
        self.bytes.resize(offset, 0);
        self.bytes.extend_from_slice(bytes);
        Ok(offset as u32)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::photo::{Chroma, DecodeOptions, EncodeOptions, Gray, Limits, OutputFormat, Photo, encode};

    fn page(width: u32) -> Vec<u8> {
        let photo = Photo::from_gray(Gray { width, height: 3, luma: (0..width as u16 * 3).collect() });
        let chroma = Chroma::new(1, 1, vec![0.0], vec![0.0]).unwrap();
        encode(&photo, &chroma, &EncodeOptions::plain(OutputFormat::Tiff, 90)).unwrap().bytes
    }

    /// A page with an Exif directory, which has an interoperability directory, and a GPS directory.
    fn with_directories() -> Vec<u8> {
        let mut file = b"II*\0\0\0\0\0".to_vec();
        let directory = |file: &mut Vec<u8>, entries: &[(u16, u16, u32, u32)]| {
            let at = file.len() as u32;
            file.extend((entries.len() as u16).to_le_bytes());
            for (number, kind, count, value) in entries {
                file.extend([number.to_le_bytes(), kind.to_le_bytes()].concat());
                file.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
            }
            file.extend([0; 4]);
            at
        };
        let words = file.len() as u32;
        file.extend(b"2031:05:06 07:08:09\0");
        let inner = directory(&mut file, &[(1, 2, 4, u32::from_le_bytes(*b"R98\0"))]);
        let exif = directory(&mut file, &[(0x9003, 2, 20, words), (40_965, 4, 1, inner)]);
        let gps = directory(&mut file, &[(0, 1, 4, 0x0302)]);
        let pixel = file.len() as u32;
        file.extend([200, 0]);
        let first = directory(
            &mut file,
            &[
                (256, 4, 1, 1),
                (257, 4, 1, 1),
                (258, 3, 1, 8),
                (262, 3, 1, 1),
                (273, 4, 1, pixel),
                (279, 4, 1, 1),
                (34_665, 4, 1, exif),
                (34_853, 4, 1, gps),
            ],
        );
        file[4..8].copy_from_slice(&first.to_le_bytes());
        file
    }

    #[test]
    fn directories_below_a_page_are_copied_with_their_values() {
        let joined = join_pages(&[page(5), with_directories(), page(9)]).unwrap();
        let pages = ifd::pages(&joined);
        assert_eq!(pages.count(), 3);
        let second = pages.page(2).unwrap();
        fn below<'a>(directory: &Directory<'a>, tag: u32) -> Directory<'a> {
            directory.file.directory(directory.number(tag).unwrap() as usize).unwrap()
        }
        let exif = below(&second, tag::EXIF_DIRECTORY);
        assert_eq!(exif.field(0x9003).unwrap().values().unwrap(), b"2031:05:06 07:08:09\0");
        let inner = below(&exif, tag::INTEROPERABILITY_DIRECTORY);
        assert_eq!(inner.field(1).unwrap().values().unwrap(), b"R98\0");
        assert_eq!(below(&second, tag::GPS_DIRECTORY).field(0).unwrap().values().unwrap(), [2, 3, 0, 0]);
        assert_eq!(second.field(tag::PAGE_NUMBER).unwrap().values().unwrap(), [1, 0, 3, 0]);
        for (page, width) in [(1, 5), (2, 1), (3, 9)] {
            let options = DecodeOptions { page, ..DecodeOptions::default() };
            let photo = Photo::decode_as(&joined, &options, &Limits::default()).unwrap();
            assert_eq!((photo.width(), photo.damage), (width, None));
        }
    }

    #[test]
    fn what_cannot_be_joined_is_refused_with_a_reason() {
        let words = |files: &[Vec<u8>]| join_pages(files).unwrap_err().to_string();
        assert!(words(&[]).contains("1 to 4096"));
        assert!(words(&[page(2), b"GIF89a".to_vec()]).contains("page 2 is not a TIFF"));
        let two = join_pages(&[page(2), page(3)]).unwrap();
        assert!(words(&[two]).contains("page 1 is not a TIFF"));
        let error = join(&[page(40), page(40)], 300).unwrap_err().to_string();
        assert!(error.contains("4 GiB"), "{error}");
    }

    proptest! {
        #[test]
        fn changed_files_neither_panic_nor_grow(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut: prop::sample::Index,
        ) {
            let mut file = with_directories();
            for (at, byte) in changes {
                let at = at.index(file.len());
                file[at] = byte;
            }
            file.truncate(file.len() - cut.index(file.len()) / 8);
            if let Ok(joined) = join_pages(&[&file]) {
                prop_assert!(joined.len() <= 2 * file.len() + 2048);
            }
        }
    }
}
