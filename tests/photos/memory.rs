//! A photo of 50 megapixels, there and back, in less than 350 MB.

use std::io::Write;

use jpeg_encoder::{ImageBuffer, JpegColorType, SamplingFactor, rgb_to_ycbcr};
use pixcolor::photo::{Chroma, EncodeOptions, Limits, OutputFormat, Photo, encode};

use crate::child;

/// All that the process may need: what issue and README promise for the whole gateway, less 60 MB for
/// the built-in model and the server.
const MOST: u64 = 290 << 20;

const SIZE: (u32, u32) = (8160, 6120);

/// A picture of the size, with soft shapes and some grain, made row by row.
fn row(y: u32) -> Vec<[u8; 3]> {
    let mut random = crate::make::Random(y.into());
    (0..SIZE.0)
        .map(|x| {
            let wave = 110.0 + 70.0 * (x as f32 / 700.0).sin() * (y as f32 / 500.0).cos();
            let grain = (random.next() % 12) as f32;
            [wave + grain, wave * 0.9 + grain, wave * 0.7 + grain].map(|value| value as u8)
        })
        .collect()
}

struct Rows;

impl ImageBuffer for Rows {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        SIZE.0 as u16
    }

    fn height(&self) -> u16 {
        SIZE.1 as u16
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        for [r, g, b] in row(y.into()) {
            let (y, cb, cr) = rgb_to_ycbcr(r, g, b);
            buffers[0].push(y);
            buffers[1].push(cb);
            buffers[2].push(cr);
        }
    }
}

fn jpeg(progressive: bool, sampling: SamplingFactor, orientation: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 80);
    encoder.set_progressive(progressive);
    encoder.set_sampling_factor(sampling);
    encoder.add_app_segment(1, [b"Exif\0\0", &crate::make::exif(orientation)[..]].concat()).unwrap();
    encoder.encode_image(Rows).unwrap();
    bytes
}

/// 16 bits, with opacity: the widest PNG there is.
fn png() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Sixteen);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().unwrap();
    let mut stream = writer.stream_writer_with_size(1 << 20).unwrap();
    for y in 0..SIZE.1 {
        // Without grain, or the file would be larger than an upload may be.
        let row: Vec<u8> =
            (0..SIZE.0).flat_map(|x| [(x / 32 + y / 16) as u8, 0, 90, 0, 80, 0, 200, 0]).collect();
        stream.write_all(&row).unwrap();
    }
    stream.finish().unwrap();
    writer.finish().unwrap();
    bytes
}

#[track_caller]
fn needs_little(name: &str, bytes: &[u8], format: &str) {
    assert!(bytes.len() < 40 << 20, "{name}: {} bytes", bytes.len());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let report = child::run("memory::there_and_back", &format!("{format} {}", file.path().display()));
    let peak: u64 = report.split("peak ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    println!("{name} to {format}: {} MB", peak >> 20);
    assert!(peak < MOST, "{name} to {format} needs {} MB", peak >> 20);
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn there_and_back() {
    let Some(argument) = child::argument() else { return };
    let (format, path) = argument.split_once(' ').unwrap();
    let format = match format {
        "jpeg" => OutputFormat::Jpeg,
        "png" => OutputFormat::Png,
        _ => OutputFormat::WebP,
    };
    let bytes = std::fs::read(path).unwrap();
    let photo = Photo::decode(&bytes, &Limits::default()).unwrap();
    let grey = photo.grey_for(500_000);
    photo.pixel_key();
    let plane = grey.luma.iter().map(|&luma| f32::from(luma) / 1000.0 - 30.0).collect::<Vec<_>>();
    let chroma = Chroma::new(grey.width, grey.height, plane.clone(), plane).unwrap();
    let options = EncodeOptions { format, quality: 85, note: None };
    let rendition = encode(&photo, &chroma, &options).unwrap();
    println!("peak {} bytes {}", child::status("VmHWM"), rendition.bytes.len());
}

#[test]
fn a_jpeg_of_50_megapixels() {
    needs_little("JPEG", &jpeg(false, SamplingFactor::F_2_2, 1), "jpeg");
}

#[test]
fn a_jpeg_of_50_megapixels_on_its_side_to_png() {
    needs_little("JPEG on its side", &jpeg(false, SamplingFactor::F_1_1, 6), "png");
}

#[test]
fn a_progressive_jpeg_of_50_megapixels() {
    needs_little("progressive JPEG", &jpeg(true, SamplingFactor::F_2_2, 1), "jpeg");
}

#[test]
fn a_png_of_50_megapixels_of_16_bits_with_opacity() {
    needs_little("PNG", &png(), "png");
}

#[test]
fn a_grey_jpeg_of_50_megapixels_to_webp() {
    needs_little("JPEG", &jpeg(false, SamplingFactor::F_2_2, 8), "webp");
}
