//! JPEG files and parts of them.

use image::RgbImage;

use super::{overwrite, scene};

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

/// A JPEG segment.
pub fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xFF, marker];
    bytes.extend((body.len() as u16 + 2).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// The offset of a JPEG's frame header.
pub fn frame_at(jpeg: &[u8]) -> usize {
    jpeg.windows(4)
        .position(|part| part[0] == 0xFF && matches!(part[1], 0xC0..=0xC2) && part[2] == 0)
        .unwrap()
}

/// A JPEG with a different size in its header.
pub fn jpeg_sized(jpeg: &[u8], width: u16, height: u16) -> Vec<u8> {
    let at = frame_at(jpeg);
    overwrite(&overwrite(jpeg, at + 5, &height.to_be_bytes()), at + 7, &width.to_be_bytes())
}
