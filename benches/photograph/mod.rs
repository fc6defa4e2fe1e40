//! The photograph that the benchmarks use.

use image::imageops::{self, FilterType};
use image::{DynamicImage, RgbImage};
use pixcolor::photo::Limits;

/// Name, width and height of the photographs.
pub const SIZES: [(&str, u32, u32); 3] = [("1MP", 1155, 866), ("12MP", 4000, 3000), ("50MP", 8160, 6120)];

/// Limits that admit the largest of [`SIZES`].
pub const LIMITS: Limits = Limits { max_pixels: 60_000_000, max_side: 16_384 };

/// A photograph of this size, enlarged from a small one. Film grain is added, because smooth pictures compress and
/// decode faster than real photographs.
pub fn photograph(width: u32, height: u32) -> RgbImage {
    let small = image::load_from_memory(include_bytes!("../../tests/data/rocket.jpg")).unwrap().to_rgb8();
    let mut large = imageops::resize(&small, width, height, FilterType::CatmullRom);
    let mut state = 1_u32;
    for pixel in large.pixels_mut() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = (state >> 28) as u8;
        pixel.0 = pixel.0.map(|value| value.saturating_add(grain).saturating_sub(8));
    }
    large
}

/// A JPEG of quality 90 with colour at half resolution, as cameras write it.
pub fn jpeg(picture: &DynamicImage) -> Vec<u8> {
    let (width, height) = (picture.width() as u16, picture.height() as u16);
    let kind = if picture.color().has_color() {
        jpeg_encoder::ColorType::Rgb
    } else {
        jpeg_encoder::ColorType::Luma
    };
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 90);
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
    encoder.encode(picture.as_bytes(), width, height, kind).unwrap();
    bytes
}
