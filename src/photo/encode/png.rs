//! Encodes PNG files row by row.

use std::io::Write;

use png::{BitDepth, ColorType, Compression, Encoder, Filter, SrgbRenderingIntent};

use super::{EncodeOptions, Picture, unwritable};
use crate::photo::{Depth, Gray, OutputFormat, PhotoError, Tags};

/// Bytes that are collected before an IDAT chunk is written.
const CHUNK: usize = 64 * 1024;

pub(super) fn write(picture: Picture<'_>, options: &EncodeOptions) -> Result<Vec<u8>, PhotoError> {
    match options.depth {
        Depth::Eight => narrow(picture, options),
        Depth::Sixteen => wide(picture, options),
    }
}

fn narrow(picture: Picture<'_>, options: &EncodeOptions) -> Result<Vec<u8>, PhotoError> {
    let width = picture.width as usize;
    let (mut rgb, mut rgba) = (vec![0; width * 3], vec![0; width * 4]);
    let mut rows = picture.source.rows();
    stream(Header::of(&picture, options), |y, file| {
        rows(y, &mut rgb);
        let Some(alpha) = picture.alpha(y) else { return file.write_all(&rgb) };
        for ((pixel, rgb), &alpha) in rgba.chunks_exact_mut(4).zip(rgb.chunks_exact(3)).zip(alpha) {
            pixel[..3].copy_from_slice(rgb);
            pixel[3] = alpha;
        }
        file.write_all(&rgba)
    })
}

/// With 16 bits per sample, the high byte first.
fn wide(picture: Picture<'_>, options: &EncodeOptions) -> Result<Vec<u8>, PhotoError> {
    let mut rgb = vec![0; picture.width as usize * 3];
    let mut bytes = Vec::with_capacity(picture.width as usize * 8);
    let mut rows = picture.source.wide_rows();
    stream(Header::of(&picture, options), |y, file| {
        rows(y, &mut rgb);
        bytes.clear();
        match picture.alpha(y) {
            None => bytes.extend(rgb.iter().flat_map(|code| code.to_be_bytes())),
            Some(alpha) => {
                for (rgb, &alpha) in rgb.as_chunks::<3>().0.iter().zip(alpha) {
                    bytes.extend_from_slice(rgb.map(u16::to_be_bytes).as_flattened());
                    bytes.extend([alpha; 2]);
                }
            }
        }
        file.write_all(&bytes)
    })
}

pub(super) fn gray(gray: &Gray, codes: &[u8]) -> Result<Vec<u8>, PhotoError> {
    let width = gray.width as usize;
    let (size, color) = ((gray.width, gray.height), ColorType::Grayscale);
    stream(Header { size, color, depth: BitDepth::Eight, tags: &Tags::default() }, |y, file| {
        file.write_all(&codes[y * width..][..width])
    })
}

/// The properties of a file.
struct Header<'a> {
    size: (u32, u32),
    color: ColorType,
    depth: BitDepth,
    tags: &'a Tags,
}

impl<'a> Header<'a> {
    fn of(picture: &Picture<'_>, options: &'a EncodeOptions) -> Self {
        Self {
            size: (picture.width, picture.height),
            color: if picture.alpha.is_some() { ColorType::Rgba } else { ColorType::Rgb },
            depth: match options.depth {
                Depth::Eight => BitDepth::Eight,
                Depth::Sixteen => BitDepth::Sixteen,
            },
            tags: &options.tags,
        }
    }
}

fn stream(
    Header { size: (width, height), color, depth, tags }: Header<'_>,
    mut row: impl FnMut(usize, &mut dyn Write) -> std::io::Result<()>,
) -> Result<Vec<u8>, PhotoError> {
    let failed = |error| unwritable(OutputFormat::Png, error);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    encoder.set_compression(Compression::Fast);
    encoder.set_filter(Filter::Up);
    encoder.set_source_srgb(SrgbRenderingIntent::Perceptual);
    tags.add_to_png(&mut encoder).map_err(failed)?;
    let mut writer = encoder.write_header().map_err(failed)?;
    tags.write_to_png(&mut writer).map_err(failed)?;
    let mut file = writer.stream_writer_with_size(CHUNK).map_err(failed)?;
    for y in 0..height as usize {
        row(y, &mut file).map_err(|error| unwritable(OutputFormat::Png, error))?;
    }
    file.finish().map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}
