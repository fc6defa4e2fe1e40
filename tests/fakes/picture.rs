//! Colours, encodes and decodes images for the fakes.

use std::io::{self, Cursor, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::read::GzEncoder;
use image::{DynamicImage, ImageFormat, RgbImage};

/// The picture with a warm tint in its upper half and a cool one in its lower half. Green compensates the luminance
/// change of red and blue (Rec. 709), and no channel is clipped.
pub fn tinted(picture: &DynamicImage) -> DynamicImage {
    let gray = picture.to_luma8();
    let (width, height) = gray.dimensions();
    let tint = |x, y| {
        let value = f32::from(gray.get_pixel(x, y).0[0]);
        let room = value.min(255.0 - value).min(60.0);
        let warm = if 2 * y < height { 0.8 } else { -0.5 };
        let (red, blue) = (warm * room, -warm * room);
        let green = -(0.2126 * red + 0.0722 * blue) / 0.7152;
        image::Rgb([red, green, blue].map(|shift| (value + shift).round().clamp(0.0, 255.0) as u8))
    };
    RgbImage::from_fn(width, height, tint).into()
}

pub fn png(picture: &DynamicImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// This many zero bytes, compressed with gzip.
pub fn gzip_of_zeros(count: u64) -> Vec<u8> {
    let mut file = Vec::new();
    GzEncoder::new(io::repeat(0).take(count), Compression::best()).read_to_end(&mut file).unwrap();
    file
}

/// A coloured copy of an encoded image, as PNG.
pub fn colored(picture: &[u8]) -> Result<Vec<u8>, String> {
    image::load_from_memory(picture).map(|picture| png(&tinted(&picture))).map_err(|error| error.to_string())
}

/// The image in a `data:` URL, if it has this media type.
pub fn from_data_url(text: &str, media_type: &str) -> Result<Vec<u8>, String> {
    let data = text.strip_prefix(&format!("data:{media_type};base64,")).ok_or("no such data URL")?;
    BASE64.decode(data).map_err(|error| error.to_string())
}
