//! Encodes PNG files row by row.

use std::io::Write;

use png::{BitDepth, ColorType, Compression, Encoder, Filter, SrgbRenderingIntent};

use super::{EncodeOptions, Picture, unwritable};
use crate::photo::{Gray, OutputFormat, PhotoError};

/// Bytes that are collected before an IDAT chunk is written.
const CHUNK: usize = 64 * 1024;

pub(super) fn write(picture: Picture<'_>, options: &EncodeOptions) -> Result<Vec<u8>, PhotoError> {
    let color = if picture.alpha.is_some() { ColorType::Rgba } else { ColorType::Rgb };
    let width = picture.width as usize;
    let (mut rgb, mut rgba) = (vec![0; width * 3], vec![0; width * 4]);
    let mut rows = picture.source.rows();
    stream((picture.width, picture.height), color, options.note.as_deref(), |y, file| {
        rows(y, &mut rgb);
        let Some(alpha) = picture.alpha(y) else { return file.write_all(&rgb) };
        for ((pixel, rgb), &alpha) in rgba.chunks_exact_mut(4).zip(rgb.chunks_exact(3)).zip(alpha) {
            pixel[..3].copy_from_slice(rgb);
            pixel[3] = alpha;
        }
        file.write_all(&rgba)
    })
}

pub(super) fn gray(gray: &Gray, codes: &[u8]) -> Result<Vec<u8>, PhotoError> {
    let width = gray.width as usize;
    stream((gray.width, gray.height), ColorType::Grayscale, None, |y, file| {
        file.write_all(&codes[y * width..][..width])
    })
}

fn stream(
    (width, height): (u32, u32),
    color: ColorType,
    note: Option<&str>,
    mut row: impl FnMut(usize, &mut dyn Write) -> std::io::Result<()>,
) -> Result<Vec<u8>, PhotoError> {
    let failed = |error| unwritable(OutputFormat::Png, error);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    encoder.set_filter(Filter::Up);
    encoder.set_source_srgb(SrgbRenderingIntent::Perceptual);
    if let Some(note) = note {
        encoder.add_itxt_chunk("Comment".to_owned(), note.to_owned()).map_err(failed)?;
    }
    let mut writer = encoder.write_header().map_err(failed)?;
    let mut file = writer.stream_writer_with_size(CHUNK).map_err(failed)?;
    for y in 0..height as usize {
        row(y, &mut file).map_err(|error| unwritable(OutputFormat::Png, error))?;
    }
    file.finish().map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}
