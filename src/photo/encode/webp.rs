//! WebP, lossy, with libwebp: the one encoder here that needs the whole picture at once.

use webp::{Encoder, PixelLayout};

use super::{EncodeOptions, Rows, note, unwritable};
use crate::photo::{OutputFormat, PhotoError};

/// Longest side of a WebP (RFC 9649, 2.7).
const LONGEST: u32 = 16_383;

pub(super) fn write(rows: Rows<'_>, options: &EncodeOptions) -> Result<Vec<u8>, PhotoError> {
    let (width, height) = (rows.width, rows.height);
    if width.max(height) > LONGEST {
        return Err(PhotoError::Unwritable(format!(
            "A WebP holds at most 16,383 pixels a side, and this picture is {width} x {height}. \
             Ask for PNG or JPEG."
        )));
    }
    let (samples, layout) = if rows.alpha.is_some() { (4, PixelLayout::Rgba) } else { (3, PixelLayout::Rgb) };
    let mut pixels = vec![0; width as usize * height as usize * samples];
    let mut row = vec![0; width as usize * 3];
    for (y, out) in pixels.chunks_exact_mut(width as usize * samples).enumerate() {
        let Some(alpha) = rows.alpha(y) else {
            (rows.fill)(y, out);
            continue;
        };
        (rows.fill)(y, &mut row);
        for ((pixel, rgb), &alpha) in out.chunks_exact_mut(4).zip(row.chunks_exact(3)).zip(alpha) {
            pixel[..3].copy_from_slice(rgb);
            pixel[3] = alpha;
        }
    }
    let file = Encoder::new(&pixels, layout, width, height)
        .encode_simple(false, f32::from(options.quality.clamp(1, 100)))
        .map_err(|error| unwritable(OutputFormat::WebP, format!("{error:?}")))?;
    match &options.note {
        None => Ok(file.to_vec()),
        Some(note) => with_xmp(&file, width, height, rows.alpha.is_some(), note::packet(note).as_bytes())
            .ok_or_else(|| unwritable(OutputFormat::WebP, "its note does not fit")),
    }
}

/// Adds XMP to a file with one picture: the extended header says that it is there, and it comes last
/// (RFC 9649, 2.7).
fn with_xmp(file: &[u8], width: u32, height: u32, alpha: bool, xmp: &[u8]) -> Option<Vec<u8>> {
    const XMP: u8 = 0b0000_0100;
    const ALPHA: u8 = 0b0001_0000;
    let mut picture = file.get(12..)?;
    if picture.starts_with(b"VP8X") {
        picture = picture.get(18..)?;
    }
    let mut extended = [0; 10];
    extended[0] = XMP | if alpha { ALPHA } else { 0 };
    extended[4..7].copy_from_slice(&(width - 1).to_le_bytes()[..3]);
    extended[7..10].copy_from_slice(&(height - 1).to_le_bytes()[..3]);
    let mut out = b"RIFF\0\0\0\0WEBP".to_vec();
    chunk(&mut out, b"VP8X", &extended)?;
    out.extend_from_slice(picture);
    chunk(&mut out, b"XMP ", xmp)?;
    let size = u32::try_from(out.len() - 8).ok()?;
    out[4..8].copy_from_slice(&size.to_le_bytes());
    Some(out)
}

/// A chunk: name, length, data, and a zero after data of odd length.
fn chunk(out: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) -> Option<()> {
    out.extend_from_slice(name);
    out.extend_from_slice(&u32::try_from(data.len()).ok()?.to_le_bytes());
    out.extend_from_slice(data);
    if !data.len().is_multiple_of(2) {
        out.push(0);
    }
    Some(())
}
