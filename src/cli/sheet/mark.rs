//! Marks a file as a contact sheet, so that the next run may replace it, and no other file.
//!
//! The mark is a comment in a JPEG, a text in a PNG, and a chunk of its own in a WebP. Viewers ignore it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::photo::OutputFormat;

const MARK: &[u8] = b"PixColor contact sheet";

/// The mark of a JPEG or a PNG is within this many bytes from the start, that of a WebP from the end.
const REACH: u64 = 256;

/// Adds the mark to an encoded picture. Its size is width and height.
pub fn marked(file: &[u8], format: OutputFormat, size: (u32, u32)) -> Vec<u8> {
    match format {
        OutputFormat::Jpeg => jpeg(file),
        OutputFormat::Png => png(file),
        OutputFormat::WebP => webp(file, size),
        OutputFormat::Tiff => file.to_vec(),
    }
}

/// Whether a file is a marked sheet; false if it does not exist.
pub fn is_sheet(path: &Path) -> io::Result<bool> {
    let Some(mut file) = crate::files::there(File::open(path))? else { return Ok(false) };
    let length = file.metadata()?.len();
    let mut ends = Vec::new();
    file.by_ref().take(REACH).read_to_end(&mut ends)?;
    file.seek(SeekFrom::Start(length.saturating_sub(REACH)))?;
    file.take(REACH).read_to_end(&mut ends)?;
    Ok(memchr::memmem::find(&ends, MARK).is_some())
}

/// A comment (T.81, B.2.4.5) after the JFIF header, which must be the first segment.
fn jpeg(file: &[u8]) -> Vec<u8> {
    let at = match file {
        [_, _, 0xFF, 0xE0, high, low, ..] => 4 + usize::from(u16::from_be_bytes([*high, *low])),
        _ => 2,
    };
    let (start, rest) = file.split_at(at.min(file.len()));
    let length = (MARK.len() as u16 + 2).to_be_bytes();
    [start, &[0xFF, 0xFE], &length, MARK, rest].concat()
}

/// A text chunk with the keyword for the program (PNG, 11.3.3) after the header chunk.
fn png(file: &[u8]) -> Vec<u8> {
    /// The end of the signature and the header.
    const HEADER: usize = 33;
    let chunk = [b"tEXt", &b"Software\0"[..], MARK].concat();
    let length = (chunk.len() as u32 - 4).to_be_bytes();
    let (start, rest) = file.split_at(HEADER.min(file.len()));
    [start, &length, &chunk, &crc32fast::hash(&chunk).to_be_bytes(), rest].concat()
}

/// An unknown chunk at the end, which only the extended format may have.
fn webp(file: &[u8], (width, height): (u32, u32)) -> Vec<u8> {
    /// The end of the RIFF header.
    const HEADER: usize = 12;
    let rest = file.get(HEADER..).unwrap_or_default();
    let mut chunks = Vec::with_capacity(rest.len() + 64);
    if !rest.starts_with(b"VP8X") {
        chunks.extend(b"VP8X\x0A\0\0\0\0\0\0\0");
        chunks.extend(&(width - 1).to_le_bytes()[..3]);
        chunks.extend(&(height - 1).to_le_bytes()[..3]);
    }
    chunks.extend(rest);
    chunks.extend(b"note");
    chunks.extend((MARK.len() as u32).to_le_bytes());
    chunks.extend(MARK);
    let length = (chunks.len() as u32 + 4).to_le_bytes();
    [b"RIFF", &length[..], b"WEBP", &chunks].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::{EncodeOptions, Limits, Photo, Rgb, encode_own};

    // A WebP chunk of odd length would need padding.
    const _: () = assert!(MARK.len().is_multiple_of(2));

    #[test]
    fn a_marked_picture_is_a_sheet_and_has_the_same_pixels() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet");
        assert!(!is_sheet(&path).unwrap());
        let rgb = Rgb { width: 40, height: 30, pixels: (0..3600).map(|i| (i % 251) as u8).collect() };
        let photo = Photo::from_gray(rgb.gray());
        let decode = |file: &[u8]| Rgb::decode(file, &Limits::default()).unwrap();
        for format in [OutputFormat::Jpeg, OutputFormat::Png, OutputFormat::WebP] {
            let file = encode_own(&photo, &rgb, &EncodeOptions::plain(format, 90)).unwrap().bytes;
            let marked = marked(&file, format, (40, 30));
            assert_eq!(decode(&marked), decode(&file), "{format}");
            assert_eq!(image::load_from_memory(&marked).unwrap().to_rgb8().dimensions(), (40, 30));
            std::fs::write(&path, &file).unwrap();
            assert!(!is_sheet(&path).unwrap(), "{format}");
            std::fs::write(&path, &marked).unwrap();
            assert!(is_sheet(&path).unwrap(), "{format}");
        }
    }
}
