//! Finds the chunks of a PNG that its picture needs (PNG, third edition, 5 and 11).
//!
//! Only those chunks are passed to the png crate. So it can read the picture despite a damaged text chunk, an animation
//! or a missing end, as libpng can.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use crate::photo::head::be32;
use crate::photo::{InputFormat, PhotoError};

use super::super::broken;

/// Number of bytes of the signature and the header chunk.
const HEADER: usize = 8 + 12 + 13;

/// Bytes of a chunk besides its content: length, name and checksum.
const FRAME: usize = 12;

/// The chunks found in a file.
#[derive(Default)]
pub(super) struct Chunks<'a> {
    /// Signature, header, palette and transparency, in this order.
    head: Vec<u8>,
    /// The consecutive chunks of image data, as far as they are present.
    pub(super) data: &'a [u8],
    /// Whether a chunk of image data has a wrong checksum.
    pub(super) corrupt: bool,
    /// The contents of the chunks that define the colour space, in order of precedence (4.3).
    pub(super) code_points: Option<&'a [u8]>,
    pub(super) profile: Option<&'a [u8]>,
    pub(super) srgb: Option<&'a [u8]>,
    pub(super) gamma: Option<&'a [u8]>,
    pub(super) primaries: Option<&'a [u8]>,
    pub(super) exif: Option<&'a [u8]>,
}

struct Chunk<'a> {
    name: &'a [u8],
    /// The whole chunk, as far as it is present.
    bytes: &'a [u8],
    /// The bytes between name and checksum, as far as they are present.
    content: &'a [u8],
    whole: bool,
}

impl<'a> Chunk<'a> {
    /// Reads the chunk at the start of `bytes`; `None` if there is none.
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let length = be32(bytes, 0)? as usize;
        let name = bytes.get(4..8).filter(|name| name.iter().all(u8::is_ascii_alphabetic))?;
        let end = length.saturating_add(FRAME);
        let content = &bytes[8..length.saturating_add(8).min(bytes.len())];
        Some(Self { name, bytes: &bytes[..end.min(bytes.len())], content, whole: end <= bytes.len() })
    }

    fn is_sound(&self) -> bool {
        let end = self.bytes.len() - 4;
        self.whole && be32(self.bytes, end) == Some(crc32fast::hash(&self.bytes[4..end]))
    }

    fn is_critical(&self) -> bool {
        self.name[0].is_ascii_uppercase()
    }
}

impl<'a> Chunks<'a> {
    /// Finds the chunks of a file whose signature and size have already been read.
    pub(super) fn find(file: &'a [u8]) -> Result<Self, PhotoError> {
        let mut found = Self::default();
        let mut at = 8;
        while let Some(chunk) = file.get(at..).and_then(Chunk::first) {
            let place = at;
            at += chunk.bytes.len();
            if chunk.name == b"IEND" {
                break;
            }
            if chunk.name == b"IDAT" {
                // Only the first run of data chunks is the picture; libpng reads no other.
                if found.data.is_empty() {
                    found.data = data_run(&file[place..], &mut found.corrupt);
                    at = place + found.data.len();
                }
                continue;
            }
            found.take(&chunk, file)?;
        }
        if found.data.is_empty() {
            return Err(broken(InputFormat::Png, "it has no image data"));
        }
        Ok(found)
    }

    fn take(&mut self, chunk: &Chunk<'a>, file: &[u8]) -> Result<(), PhotoError> {
        let before_data = self.data.is_empty();
        let place = match chunk.name {
            b"IHDR" if self.head.is_empty() => {
                if !chunk.is_sound() {
                    return Err(broken(InputFormat::Png, "the checksum of its header is wrong"));
                }
                self.head = file[..HEADER.min(file.len())].to_vec();
                return Ok(());
            }
            b"PLTE" if before_data => {
                if !chunk.is_sound() {
                    return Err(broken(InputFormat::Png, "the checksum of its palette is wrong"));
                }
                self.head.extend(chunk.bytes);
                return Ok(());
            }
            b"tRNS" if before_data && chunk.is_sound() => {
                self.head.extend(chunk.bytes);
                return Ok(());
            }
            b"cICP" if before_data => &mut self.code_points,
            b"iCCP" if before_data => &mut self.profile,
            b"sRGB" if before_data => &mut self.srgb,
            b"gAMA" if before_data => &mut self.gamma,
            b"cHRM" if before_data => &mut self.primaries,
            b"eXIf" => &mut self.exif,
            name if before_data && chunk.is_critical() && chunk.whole => {
                return Err(PhotoError::Unsupported(format!(
                    "This PNG has a part ({}) that PixColor does not read and that its picture needs. Save it as an \
                     ordinary PNG.",
                    String::from_utf8_lossy(name)
                )));
            }
            _ => return Ok(()),
        };
        // A damaged chunk counts as absent, and the first intact chunk of a name is used, as in libpng.
        if place.is_none() && chunk.is_sound() {
            *place = Some(chunk.content);
        }
        Ok(())
    }

    /// A file that contains only the picture, with at most `length` bytes of its data chunks.
    pub(super) fn picture(&self, length: usize) -> Parts<'_> {
        const END: &[u8] = &[0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xAE, 0x42, 0x60, 0x82];
        let data = &self.data[..length.min(self.data.len())];
        // After truncated data, the decoder would read an end chunk as more image data.
        let end = if data.len() == self.data.len() && self.data_is_whole() { END } else { &[] };
        Parts([&self.head, data, end])
    }

    fn data_is_whole(&self) -> bool {
        chunks(self.data).last().is_some_and(|chunk| chunk.whole)
    }

    /// Number of bytes of the data chunks that can be decompressed without an error. As soon as the output is larger
    /// than a picture of `picture` bytes can need, all bytes count as readable.
    pub(super) fn sound_length(&self, picture: usize) -> usize {
        /// Bytes that are decompressed at once; at most this many valid bytes before an error are lost.
        const STEP: usize = 16;
        let mut inflate = flate2::Decompress::new(true);
        let mut output = vec![0; 1 << 15];
        let enough = 2 * picture as u64 + (1 << 16);
        let mut at = 0;
        for chunk in chunks(self.data) {
            for (index, input) in chunk.content.chunks(STEP).enumerate() {
                if inflate.total_out() > enough {
                    return self.data.len();
                }
                let end = inflate.total_in() + input.len() as u64;
                while inflate.total_in() < end {
                    let rest = &input[input.len() - (end - inflate.total_in()) as usize..];
                    match inflate.decompress(rest, &mut output, flate2::FlushDecompress::None) {
                        Ok(flate2::Status::StreamEnd) => return self.data.len(),
                        Ok(_) => {}
                        Err(_) => return at + 8 + index * STEP,
                    }
                }
            }
            at += chunk.bytes.len();
        }
        self.data.len()
    }
}

/// The image data chunks at the start of `bytes`; sets `corrupt` if a checksum is wrong.
fn data_run<'a>(bytes: &'a [u8], corrupt: &mut bool) -> &'a [u8] {
    let mut end = 0;
    for chunk in chunks(bytes).take_while(|chunk| chunk.name == b"IDAT") {
        *corrupt |= chunk.whole && !chunk.is_sound();
        end += chunk.bytes.len();
    }
    &bytes[..end]
}

fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let chunk = bytes.get(at..).and_then(Chunk::first)?;
        at += chunk.bytes.len();
        Some(chunk)
    })
}

/// Several byte slices that are read as one, without copying.
pub(super) struct Parts<'a>([&'a [u8]; 3]);

impl BufRead for Parts<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.0.iter().find(|part| !part.is_empty()).copied().unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        if let Some(part) = self.0.iter_mut().find(|part| !part.is_empty()) {
            *part = part.get(count..).unwrap_or_default();
        }
    }
}

impl Read for Parts<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// The png crate requires `Seek` but does not use it.
impl Seek for Parts<'_> {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
