//! PNG files and parts of them.

use std::io::Write;

use image::{DynamicImage, ImageFormat};

use super::{Random, file, scene};

pub fn small_png() -> Vec<u8> {
    file(&DynamicImage::ImageRgb8(scene(64, 48)), ImageFormat::Png)
}

/// A PNG chunk with its checksum.
pub fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut bytes = (data.len() as u32).to_be_bytes().to_vec();
    bytes.extend(name);
    bytes.extend(data);
    let mut crc = u32::MAX;
    for &byte in &bytes[4..] {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
        }
    }
    bytes.extend((!crc).to_be_bytes());
    bytes
}

/// A PNG with a header, these chunks and an end chunk.
pub fn png(width: u32, height: u32, depth: u8, color: u8, chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([depth, color, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1A\n".to_vec();
    bytes.extend(chunk(b"IHDR", &header));
    bytes.extend(chunks.concat());
    bytes.extend(chunk(b"IEND", &[]));
    bytes
}

/// A zlib stream that expands to this many zeros. It has about a thousandth of their size.
pub fn zeros(count: usize) -> Vec<u8> {
    let width = 1 << 16;
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, width, (count >> 16) as u32);
    encoder.set_color(::png::ColorType::Grayscale);
    encoder.set_compression(::png::Compression::Fast);
    encoder.set_filter(::png::Filter::NoFilter);
    let mut writer = encoder.write_header().unwrap();
    let mut stream = writer.stream_writer_with_size(1 << 20).unwrap();
    let row = vec![0; width as usize];
    for _ in 0..count >> 16 {
        stream.write_all(&row).unwrap();
    }
    stream.finish().unwrap();
    writer.finish().unwrap();
    data(&bytes)
}

/// The image data of a PNG.
pub fn data(png: &[u8]) -> Vec<u8> {
    let (mut at, mut data) = (8, Vec::new());
    while at < png.len() {
        let length = u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
        if &png[at + 4..at + 8] == b"IDAT" {
            data.extend(&png[at + 8..at + 8 + length]);
        }
        at += length + 12;
    }
    data
}

/// A zlib stream of these bytes.
pub fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// For each pass of an interlaced PNG: the first column, the distance between columns, the first row, and the distance
/// between rows (PNG specification, 8.1).
const PASSES: [[usize; 4]; 7] =
    [[0, 8, 0, 8], [4, 8, 0, 8], [0, 4, 4, 8], [2, 4, 0, 4], [0, 2, 2, 4], [1, 2, 0, 2], [0, 1, 1, 2]];

/// The columns and the row number of each row, in file order.
pub fn png_rows(width: usize, height: usize, interlaced: bool) -> Vec<(Vec<usize>, usize)> {
    let passes = if interlaced { &PASSES[..] } else { &[[0, 1, 0, 1]] };
    let rows = passes.iter().flat_map(|&[x, step, y, every]| {
        (y..height).step_by(every).map(move |y| ((x..width).step_by(step).collect(), y))
    });
    rows.filter(|(columns, _): &(Vec<usize>, usize)| !columns.is_empty()).collect()
}

/// A PNG with these chunks whose header says whether it is interlaced.
pub fn png_of(size: (u32, u32), depth: u8, color: u8, interlaced: bool, chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = png(size.0, size.1, depth, color, chunks);
    let mut header = bytes[16..29].to_vec();
    header[12] = interlaced.into();
    bytes.splice(8..33, chunk(b"IHDR", &header));
    bytes
}

/// A PNG of noise with every filter and several data chunks.
pub fn noise_png(
    width: u32,
    height: u32,
    depth: u8,
    color: u8,
    interlaced: bool,
    chunks: &[Vec<u8>],
    random: &mut Random,
) -> Vec<u8> {
    let samples = [1, 0, 3, 1, 2, 0, 4][usize::from(color)];
    let mut rows = Vec::new();
    for (columns, _) in png_rows(width as usize, height as usize, interlaced) {
        rows.push(random.below(5) as u8);
        let length = (columns.len() * samples * usize::from(depth)).div_ceil(8);
        rows.extend((0..length).map(|_| random.next() as u8));
    }
    let data = deflated(&rows);
    let mut chunks = chunks.to_vec();
    chunks.extend(data.chunks(data.len().div_ceil(3)).map(|part| chunk(b"IDAT", part)));
    png_of((width, height), depth, color, interlaced, &chunks)
}
