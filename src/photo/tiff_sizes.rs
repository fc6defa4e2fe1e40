//! Reads the sizes of a TIFF's pages without reading the whole file: its directories may be anywhere in it.

use std::io::{BufReader, Read, Seek, SeekFrom};

use tiff::TiffResult;
use tiff::decoder::Decoder;
use tiff::tags::Tag;

use super::{CodecStep, InputFormat, PhotoError, caught};

/// Maximum pages that are read.
const MAX_PAGES: usize = 4096;

/// Width and height of each page, as stored, without smaller copies and masks; `None` for a damaged file. For estimates
/// only: [`super::read_head`] looks into sub-directories, too, but needs the whole file.
pub fn tiff_sizes<R: Read + Seek>(file: &mut R) -> Option<Vec<(u32, u32)>> {
    file.seek(SeekFrom::Start(0)).ok()?;
    let sizes = || sizes(file).map_err(|error| PhotoError::Broken(error.to_string()));
    let sizes = caught(CodecStep::Decode, InputFormat::Tiff, sizes).ok()?;
    let pages: Vec<_> = sizes.iter().filter(|(_, is_page)| *is_page).map(|(size, _)| *size).collect();
    // A file that has only smaller copies has one page.
    if pages.is_empty() { sizes.first().map(|(size, _)| vec![*size]) } else { Some(pages) }
}

/// The size of each directory, and whether it is a page.
fn sizes<R: Read + Seek>(file: &mut R) -> TiffResult<Vec<((u32, u32), bool)>> {
    const REDUCED_OR_MASK: u32 = 1 | 4;
    let mut decoder = Decoder::new(BufReader::new(file))?;
    let mut sizes = Vec::new();
    loop {
        let kind = decoder.find_tag_unsigned::<u32>(Tag::NewSubfileType)?.unwrap_or(0);
        sizes.push((decoder.dimensions()?, kind & REDUCED_OR_MASK == 0));
        if !decoder.more_images() || sizes.len() == MAX_PAGES {
            return Ok(sizes);
        }
        decoder.next_image()?;
    }
}
