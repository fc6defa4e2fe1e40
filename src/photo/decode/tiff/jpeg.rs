//! Decodes a strip or tile that is a separate JPEG, with or without shared tables.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::layout::TiffLayout;
use super::{damaged, unsupported};
use crate::photo::PhotoError;
use crate::photo::head::{be16, jpeg_frame};
use crate::photo::ifd::tag;
use crate::photo::needs::TIFF_PROGRESSIVE;

/// Maximum number of scans; each costs a pass over all coefficients.
const MAX_SCANS: usize = 100;

/// Decodes the samples as stored: the TIFF tags define their meaning, not the JPEG.
pub(super) fn decode(layout: &TiffLayout<'_>, data: &[u8]) -> Result<Vec<u8>, PhotoError> {
    let tables = layout.directory.field(tag::JPEG_TABLES).and_then(|field| field.bytes());
    // Joins tables and data: removes the end marker of the tables and the start marker of the data.
    let whole = match tables {
        Some([tables @ .., 0xFF, 0xD9]) => [tables, data.get(2..).unwrap_or_default()].concat(),
        Some(_) => return Err(damaged("its JPEG tables are cut off")),
        None => data.to_vec(),
    };
    check(&whole, layout.samples_together(), layout.unit)?;
    let options = DecoderOptions::default().set_strict_mode(true);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(whole), options);
    decoder.decode_headers().map_err(damaged)?;
    let stored = decoder.input_colorspace().ok_or_else(|| damaged("a JPEG strip has no colour space"))?;
    decoder.set_options(options.jpeg_set_out_colorspace(stored));
    decoder.decode().map_err(damaged)
}

/// Checks that the JPEG is as wide as the strip and not higher, because the size in the JPEG determines how much memory
/// is allocated. Rejects files that the decoder does not decode as libjpeg does.
fn check(bytes: &[u8], samples: usize, (width, height): (u32, u32)) -> Result<(), PhotoError> {
    const PROGRESSIVE: u8 = 0xC2;
    let frame =
        jpeg_frame(bytes)?.and_then(|at| bytes.get(at..)).ok_or_else(|| damaged("a strip is not a JPEG"))?;
    let (Some(down), Some(across), Some(&count)) = (be16(frame, 5), be16(frame, 7), frame.get(9)) else {
        return Err(damaged("a JPEG strip is cut off"));
    };
    if frame[4] != 8 {
        return Err(unsupported(format!("JPEG with {} bits", frame[4])));
    }
    if across != width || down > height || down == 0 {
        return Err(damaged(format!("a strip of {width} x {height} pixels is a JPEG of {across} x {down}")));
    }
    if usize::from(count) != samples {
        return Err(damaged(format!("a strip with {samples} samples per pixel is a JPEG with {count}")));
    }
    let sampling: Vec<u8> =
        frame.get(10..).unwrap_or_default().chunks_exact(3).take(samples).map(|c| c[1]).collect();
    let finest = |side: fn(u8) -> u8| sampling.iter().all(|&factors| side(factors) <= side(sampling[0]));
    if sampling.len() != samples || !finest(|factors| factors >> 4) || !finest(|factors| factors & 15) {
        return Err(unsupported("JPEG whose colours have a higher resolution than its luma"));
    }
    let scans = bytes.windows(2).filter(|pair| *pair == [0xFF, 0xDA]).count();
    let progressive = frame[1] == PROGRESSIVE;
    if scans > MAX_SCANS || (scans != 1 && !progressive) {
        return Err(unsupported(format!("JPEG in {scans} scans")));
    }
    if progressive && u64::from(across) * u64::from(down) * samples as u64 > TIFF_PROGRESSIVE {
        return Err(unsupported("progressive JPEG in strips or tiles of more than 16 million samples"));
    }
    Ok(())
}
