//! Pictures, and files built byte by byte.

use std::io::{Cursor, Write};

use image::{DynamicImage, GrayImage, ImageFormat, Rgb, RgbImage};

/// A small scene in colour: a sky, a ground, a red disc with a hard edge, a grey ramp.
pub fn scene(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (fx, fy) = (x as f32 / width as f32, y as f32 / height as f32);
        let disc = (fx - 0.3).hypot(fy - 0.55) < 0.18;
        let colour = |r: f32, g: f32, b: f32| Rgb([r as u8, g as u8, b as u8]);
        if disc {
            colour(190.0 - 60.0 * fx, 40.0, 45.0)
        } else if fy > 0.9 {
            colour(255.0 * fx, 255.0 * fx, 255.0 * fx)
        } else if fy > 0.6 {
            colour(60.0 + 80.0 * fy, 110.0, 50.0)
        } else {
            colour(120.0 + 60.0 * fy, 160.0 + 40.0 * fy, 230.0)
        }
    })
}

pub fn grey_scene(width: u32, height: u32) -> GrayImage {
    DynamicImage::ImageRgb8(scene(width, height)).to_luma8()
}

/// A file as the image crate writes it.
pub fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub fn jpeg(picture: &RgbImage, progressive: bool, sampling: jpeg_encoder::SamplingFactor) -> Vec<u8> {
    let (width, height) = (picture.width() as u16, picture.height() as u16);
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 95);
    encoder.set_progressive(progressive);
    encoder.set_sampling_factor(sampling);
    encoder.encode(picture, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
    bytes
}

pub fn small_jpeg() -> Vec<u8> {
    jpeg(&scene(64, 48), false, jpeg_encoder::SamplingFactor::F_2_2)
}

pub fn small_png() -> Vec<u8> {
    file(&DynamicImage::ImageRgb8(scene(64, 48)), ImageFormat::Png)
}

/// The first place of some bytes.
pub fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|part| part == wanted).unwrap()
}

/// With some bytes put in at a place.
pub fn insert(bytes: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    [&bytes[..at], new, &bytes[at..]].concat()
}

/// With some bytes written over those at a place.
pub fn overwrite(bytes: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

/// A JPEG segment.
pub fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xFF, marker];
    bytes.extend((body.len() as u16 + 2).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// Where a JPEG's frame header begins.
pub fn frame_at(jpeg: &[u8]) -> usize {
    jpeg.windows(4)
        .position(|part| part[0] == 0xFF && matches!(part[1], 0xC0..=0xC2) && part[2] == 0)
        .unwrap()
}

/// A JPEG with another size in its header.
pub fn jpeg_sized(jpeg: &[u8], width: u16, height: u16) -> Vec<u8> {
    let at = frame_at(jpeg);
    overwrite(&overwrite(jpeg, at + 5, &height.to_be_bytes()), at + 7, &width.to_be_bytes())
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

/// A PNG of a header and some chunks, and its end.
pub fn png(width: u32, height: u32, depth: u8, colour: u8, chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([depth, colour, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1A\n".to_vec();
    bytes.extend(chunk(b"IHDR", &header));
    bytes.extend(chunks.concat());
    bytes.extend(chunk(b"IEND", &[]));
    bytes
}

/// A zlib stream of this many zeros, at a thousandth of the size.
pub fn zeros(count: usize) -> Vec<u8> {
    let width = 1 << 16;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, (count >> 16) as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_filter(png::Filter::NoFilter);
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

/// A tag of a TIFF: number, type (1 byte, 3 short, 4 long), values.
pub type Tag = (u16, u16, Vec<u32>);

/// A little-endian TIFF: its data begin at place 8, its directory follows and leads to `next`.
pub fn tiff(tags: &[Tag], data: &[u8], next: u32) -> Vec<u8> {
    let mut bytes = b"II*\0\0\0\0\0".to_vec();
    bytes.extend(data);
    let mut entries = Vec::new();
    for (tag, kind, values) in tags {
        let value: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes()[..[0, 1, 0, 2, 4][*kind as usize]].to_vec())
            .collect();
        entries.extend(tag.to_le_bytes());
        entries.extend(kind.to_le_bytes());
        entries.extend((values.len() as u32).to_le_bytes());
        if value.len() <= 4 {
            entries.extend([value, vec![0; 4]].concat()[..4].to_vec());
        } else {
            entries.extend((bytes.len() as u32).to_le_bytes());
            bytes.extend(value);
        }
    }
    let directory = bytes.len() as u32;
    bytes[4..8].copy_from_slice(&directory.to_le_bytes());
    bytes.extend((tags.len() as u16).to_le_bytes());
    bytes.extend(entries);
    bytes.extend(next.to_le_bytes());
    bytes
}

/// The tags of a TIFF of one strip.
pub fn strip(
    width: u32,
    height: u32,
    bits: u32,
    samples: u32,
    photometric: u32,
    compression: u32,
    data: &[u8],
) -> Vec<Tag> {
    vec![
        (256, 4, vec![width]),
        (257, 4, vec![height]),
        (258, 3, vec![bits; samples as usize]),
        (259, 3, vec![compression]),
        (262, 3, vec![photometric]),
        (273, 4, vec![8]),
        (277, 3, vec![samples]),
        (278, 4, vec![height]),
        (279, 4, vec![data.len() as u32]),
    ]
}

/// With another value for a tag, or without it.
pub fn with(tags: &[Tag], tag: u16, values: Option<Vec<u32>>) -> Vec<Tag> {
    let mut tags: Vec<Tag> = tags.to_vec();
    match values {
        Some(values) => match tags.iter_mut().find(|entry| entry.0 == tag) {
            Some(entry) => entry.2 = values,
            None => tags.push((tag, 3, values)),
        },
        None => tags.retain(|entry| entry.0 != tag),
    }
    tags.sort_by_key(|entry| entry.0);
    tags
}

/// A GIF of a screen and some blocks.
pub fn gif(width: u16, height: u16, blocks: &[u8]) -> Vec<u8> {
    let mut bytes = b"GIF89a".to_vec();
    bytes.extend([width.to_le_bytes(), height.to_le_bytes()].concat());
    // A global table of four colours.
    bytes.extend([0x81, 0, 0, 0, 0, 0, 90, 90, 90, 180, 180, 180, 255, 255, 255]);
    bytes.extend(blocks);
    bytes.push(0x3B);
    bytes
}

/// A frame of a GIF, all of colour 0: clear codes between the pixels keep codes three bits wide.
pub fn gif_frame(left: u16, top: u16, width: u16, height: u16) -> Vec<u8> {
    let mut bytes = vec![0x2C];
    bytes.extend([left, top, width, height].map(u16::to_le_bytes).concat());
    bytes.extend([0, 2]);
    let codes = (0..u32::from(width) * u32::from(height)).flat_map(|_| [4, 0]).chain([5]);
    let (mut packed, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for code in codes {
        bits |= code << count;
        count += 3;
        while count >= 8 {
            packed.push(bits as u8);
            bits >>= 8;
            count -= 8;
        }
    }
    packed.push(bits as u8);
    for block in packed.chunks(255) {
        bytes.push(block.len() as u8);
        bytes.extend(block);
    }
    bytes.push(0);
    bytes
}

/// A RIFF file of WebP chunks.
pub fn webp(chunks: &[Vec<u8>]) -> Vec<u8> {
    let chunks = chunks.concat();
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((chunks.len() as u32 + 4).to_le_bytes());
    bytes.extend(b"WEBP");
    bytes.extend(chunks);
    bytes
}

pub fn webp_chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes
}

/// The extended header of a WebP.
pub fn vp8x(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let mut data = vec![flags, 0, 0, 0];
    data.extend(&(width - 1).to_le_bytes()[..3]);
    data.extend(&(height - 1).to_le_bytes()[..3]);
    webp_chunk(b"VP8X", &data)
}

/// A WebP of a picture, lossless without a quality.
pub fn webp_file(picture: &DynamicImage, quality: Option<f32>) -> Vec<u8> {
    let (width, height) = (picture.width(), picture.height());
    let bytes = picture.as_bytes();
    let encoder = if picture.color().has_alpha() {
        webpx::Encoder::new_rgba(bytes, width, height)
    } else {
        webpx::Encoder::new_rgb(bytes, width, height)
    };
    let encoder = encoder.quality(quality.unwrap_or(100.0)).lossless(quality.is_none());
    encoder.encode(webpx::Unstoppable).unwrap()
}

/// A WebP of the small scene, and its one chunk's data.
pub fn small_webp(lossless: bool) -> (Vec<u8>, Vec<u8>) {
    let file = webp_file(&scene(64, 48).into(), (!lossless).then_some(90.0));
    let length = u32::from_le_bytes(file[16..20].try_into().unwrap()) as usize;
    let data = file[20..20 + length].to_vec();
    (file, data)
}

/// EXIF that says an orientation.
pub fn exif(orientation: u8) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    bytes.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// Numbers that look random and are the same every time.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end.max(1)
    }

    /// About normal, mean 0, standard deviation 1.
    pub fn normal(&mut self) -> f32 {
        let sum: u64 = (0..6).map(|_| self.next() % 65_536).sum();
        (sum as f32 / 65_536.0 - 3.0) * 1.414
    }
}
