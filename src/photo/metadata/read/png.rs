//! The metadata chunks of a PNG (third edition, 11.3), before and after the image data.
//!
//! Programs that are older than the chunk eXIf write text chunks with the names of ImageMagick's profiles.

use std::io::Read;

use super::{MAX_PART, Upload};
use crate::photo::head::be32;
use crate::photo::metadata::exif::Exif;
use crate::photo::metadata::photoshop;
use crate::photo::metadata::read::jpeg;
use crate::photo::metadata::resolution::Resolution;

pub(in super::super) const XMP: &str = "XML:com.adobe.xmp";
pub(in super::super) const IPTC: &str = "Raw profile type iptc";

/// Maximum text chunks that are read, because each one may be compressed.
const MAX_TEXTS: usize = 16;

/// Profiles in text chunks, as ImageMagick and ExifTool name them.
#[derive(Default)]
struct Profiles {
    exif: Option<Vec<u8>>,
    iptc: Option<Vec<u8>>,
    xmp: Option<Vec<u8>>,
}

pub(super) fn read(bytes: &[u8]) -> Upload {
    let mut upload = Upload::default();
    let mut profiles = Profiles::default();
    let mut texts = 0;
    for (name, content) in chunks(bytes) {
        match name {
            b"eXIf" if upload.exif.is_none() => upload.take_exif(content),
            b"pHYs" => upload.resolution = upload.resolution.or_else(|| resolution(content)),
            b"tEXt" | b"zTXt" | b"iTXt" if texts < MAX_TEXTS && is_metadata(content) => {
                texts += 1;
                let Some((keyword, text)) = text(name, content) else { continue };
                match keyword == XMP.as_bytes() {
                    true if upload.xmp.is_empty() => upload.xmp = text,
                    true => {}
                    false => profiles.take(keyword, &text),
                }
            }
            _ => {}
        }
    }
    if upload.exif.is_none() {
        // The decoder does not apply the orientation of such a profile, as browsers do not.
        upload.exif = profiles.exif.as_deref().and_then(Exif::of_blob);
    }
    if upload.xmp.is_empty() {
        upload.xmp = profiles.xmp.unwrap_or_default();
    }
    upload.iptc = profiles.iptc.unwrap_or_default();
    upload
}

/// Names and contents of the chunks. Those with a wrong checksum are left out.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut at = 8;
    let whole = std::iter::from_fn(move || {
        let length = be32(bytes, at)? as usize;
        let chunk = bytes.get(at + 4..)?.get(..length.checked_add(8)?)?;
        at += 4 + chunk.len();
        Some(chunk)
    });
    whole.filter_map(|chunk| {
        let (named, checksum) = chunk.split_at(chunk.len() - 4);
        let (name, content) = named.split_at(4);
        // Checksums of image data are not metadata's concern, and take time.
        let is_sound = name != b"IDAT" && be32(checksum, 0) == Some(crc32fast::hash(named));
        is_sound.then_some((name, content))
    })
}

/// The resolution in a pHYs chunk: two densities and whether the unit is a meter.
fn resolution(content: &[u8]) -> Option<Resolution> {
    let (x, y) = be32(content, 0).zip(be32(content, 4))?;
    match content.get(8)? {
        1 => Resolution::of_meters(x, y),
        _ => Resolution::of_ratio(x, y),
    }
}

/// Whether a text chunk has a keyword of metadata and is not too long.
fn is_metadata(content: &[u8]) -> bool {
    let is_named = content.starts_with(XMP.as_bytes()) || content.starts_with(b"Raw profile type ");
    // A profile takes two characters for each byte.
    is_named && content.len() <= 3 * MAX_PART
}

/// Keyword and decompressed text of a text chunk.
fn text<'a>(name: &[u8], content: &'a [u8]) -> Option<(&'a [u8], Vec<u8>)> {
    let (keyword, rest) = until_zero(content)?;
    let text = match name {
        b"tEXt" => rest.to_vec(),
        b"zTXt" => inflated(rest.strip_prefix(&[0])?)?,
        _ => {
            let (&[compressed, _method], rest) = rest.split_first_chunk()?;
            let (_language, rest) = until_zero(rest)?;
            let (_translated_keyword, rest) = until_zero(rest)?;
            if compressed == 1 { inflated(rest)? } else { rest.to_vec() }
        }
    };
    Some((keyword, text))
}

fn until_zero(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, bytes)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

fn inflated(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut reader = flate2::read::ZlibDecoder::new(bytes).take(MAX_PART as u64 + 1);
    reader.read_to_end(&mut text).ok()?;
    (text.len() <= MAX_PART).then_some(text)
}

impl Profiles {
    /// Takes a profile by its name. Of several profiles of a kind, the first counts.
    fn take(&mut self, keyword: &[u8], text: &[u8]) {
        let Some(content) = profile(text) else { return };
        let place = match keyword {
            b"Raw profile type exif" => &mut self.exif,
            b"Raw profile type iptc" => &mut self.iptc,
            b"Raw profile type xmp" => &mut self.xmp,
            // A segment of a JPEG.
            b"Raw profile type APP1" if content.starts_with(jpeg::XMP) => &mut self.xmp,
            b"Raw profile type APP1" => &mut self.exif,
            _ => return,
        };
        let resource = (keyword == IPTC.as_bytes()).then(|| photoshop::iptc(&content)).flatten();
        let content = resource.or_else(|| content.strip_prefix(jpeg::XMP)).unwrap_or(&content).to_vec();
        place.get_or_insert(content);
    }
}

/// The bytes of a profile: an empty line, a line with its name, one with its length, and lines of hexadecimal digits.
fn profile(text: &[u8]) -> Option<Vec<u8>> {
    let mut lines = text.strip_prefix(b"\n")?.splitn(3, |&byte| byte == b'\n');
    let (_name, length, digits) = (lines.next()?, lines.next()?, lines.next()?);
    let length: usize = str::from_utf8(length).ok()?.trim().parse().ok()?;
    let digit = |&digit: &u8| char::from(digit).to_digit(16).map(|digit| digit as u8);
    let digits = digits.iter().filter(|digit| !digit.is_ascii_whitespace());
    let digits: Vec<u8> = digits.map(digit).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.as_chunks().0.iter().map(|[high, low]| high << 4 | low).collect();
    (bytes.len() == length).then_some(bytes)
}

/// The text of a profile, as ImageMagick writes it.
pub(in super::super) fn profile_text(name: &str, bytes: &[u8]) -> String {
    let mut text = format!("\n{name}\n{:8}\n", bytes.len());
    for line in bytes.chunks(36) {
        text.extend(
            line.iter()
                .flat_map(|byte| [byte >> 4, byte & 15])
                .filter_map(|digit| char::from_digit(digit.into(), 16)),
        );
        text.push('\n');
    }
    text
}
