//! WebP files and parts of them.

use image::DynamicImage;

use super::scene;

/// A RIFF file with these WebP chunks.
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

/// A WebP of a picture; lossless if `quality` is `None`.
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

/// A WebP of the small scene, and the data of its only chunk.
pub fn small_webp(lossless: bool) -> (Vec<u8>, Vec<u8>) {
    let file = webp_file(&scene(64, 48).into(), (!lossless).then_some(90.0));
    let length = u32::from_le_bytes(file[16..20].try_into().unwrap()) as usize;
    let data = file[20..20 + length].to_vec();
    (file, data)
}
