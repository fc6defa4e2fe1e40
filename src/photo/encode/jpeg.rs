//! Encodes JPEG files in rows of blocks.

use std::cell::RefCell;

use jpeg_encoder::{ColorType, Encoder, ImageBuffer, JpegColorType, SamplingFactor, rgb_to_ycbcr};

use super::{EncodeOptions, Rows, note, unwritable};
use crate::photo::decode::on_white;
use crate::photo::{Gray, OutputFormat, PhotoError};

pub(super) fn write(rows: Rows<'_>, options: &EncodeOptions) -> Result<Vec<u8>, PhotoError> {
    let (width, height) = size(rows.width, rows.height)?;
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, options.quality.clamp(1, 100));
    // Chroma is stored at half size except at the highest qualities: a provider's chroma is usually smaller anyway.
    let fine = options.quality >= 95;
    encoder.set_sampling_factor(if fine { SamplingFactor::F_1_1 } else { SamplingFactor::F_2_2 });
    if let Some(note) = &options.note {
        encoder
            .add_app_segment(1, note::jpeg_segment(note))
            .map_err(|error| unwritable(OutputFormat::Jpeg, error))?;
    }
    let row = RefCell::new((vec![0; rows.width as usize * 3], rows));
    encoder
        .encode_image(JpegInput { width, height, row: &row })
        .map_err(|error| unwritable(OutputFormat::Jpeg, error))?;
    Ok(bytes)
}

pub(super) fn gray(gray: &Gray, codes: &[u8], quality: u8) -> Result<Vec<u8>, PhotoError> {
    let (width, height) = size(gray.width, gray.height)?;
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes, quality.clamp(1, 100))
        .encode(codes, width, height, ColorType::Luma)
        .map_err(|error| unwritable(OutputFormat::Jpeg, error))?;
    Ok(bytes)
}

fn size(width: u32, height: u32) -> Result<(u16, u16), PhotoError> {
    u16::try_from(width).ok().zip(u16::try_from(height).ok()).ok_or_else(|| {
        PhotoError::Unwritable(format!(
            "A JPEG can have at most 65,535 pixels per side, and this picture is {width} x {height}. Ask for PNG."
        ))
    })
}

/// Supplies rows when the encoder asks for them; it asks once for each row, from the top.
struct JpegInput<'a, 'b> {
    width: u16,
    height: u16,
    row: &'a RefCell<(Vec<u8>, Rows<'b>)>,
}

impl ImageBuffer for JpegInput<'_, '_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.width
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let (row, rows) = &mut *self.row.borrow_mut();
        (rows.fill)(y as usize, row);
        // JPEG has no opacity: transparent pixels are mixed with white.
        if let Some(alpha) = rows.alpha(y as usize) {
            for (pixel, &alpha) in row.as_chunks_mut::<3>().0.iter_mut().zip(alpha) {
                *pixel = pixel.map(|code| on_white(code, alpha));
            }
        }
        // Plane by plane, so that the encoder's vectors grow once per plane and not once per pixel.
        let pixels: &[[u8; 3]] = row.as_chunks().0;
        let [luma, blue, red, _] = buffers;
        luma.extend(pixels.iter().map(|&[r, g, b]| rgb_to_ycbcr(r, g, b).0));
        blue.extend(pixels.iter().map(|&[r, g, b]| rgb_to_ycbcr(r, g, b).1));
        red.extend(pixels.iter().map(|&[r, g, b]| rgb_to_ycbcr(r, g, b).2));
    }
}
