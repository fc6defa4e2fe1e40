//! Pictures, and files built byte by byte.

mod gif;
mod icc;
mod jpeg;
mod png;
mod tiff;
mod webp;

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, Rgb, RgbImage};

pub use self::gif::{gif, gif_frame};
pub use self::icc::{ink_profile, table_profile};
pub use self::jpeg::{frame_at, jpeg, jpeg_sized, segment, small_jpeg};
pub use self::png::{chunk, data, deflated, noise_png, png, png_of, png_rows, small_png, zeros};
pub use self::tiff::{Tag, pages, strip, tiff, with};
pub use self::webp::{small_webp, vp8x, webp, webp_chunk, webp_file};

/// A small scene in colour: a sky, a ground, a red disc with a hard edge, a grey ramp.
pub fn scene(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (fx, fy) = (x as f32 / width as f32, y as f32 / height as f32);
        let disc = (fx - 0.3).hypot(fy - 0.55) < 0.18;
        let color = |r: f32, g: f32, b: f32| Rgb([r as u8, g as u8, b as u8]);
        if disc {
            color(190.0 - 60.0 * fx, 40.0, 45.0)
        } else if fy > 0.9 {
            color(255.0 * fx, 255.0 * fx, 255.0 * fx)
        } else if fy > 0.6 {
            color(60.0 + 80.0 * fy, 110.0, 50.0)
        } else {
            color(120.0 + 60.0 * fy, 160.0 + 40.0 * fy, 230.0)
        }
    })
}

pub fn gray_scene(width: u32, height: u32) -> GrayImage {
    DynamicImage::ImageRgb8(scene(width, height)).to_luma8()
}

/// The picture as a file that the image crate encodes.
pub fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// The first offset of these bytes.
pub fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|part| part == wanted).unwrap()
}

/// The file with these bytes inserted at an offset.
pub fn insert(bytes: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    [&bytes[..at], new, &bytes[at..]].concat()
}

/// The file with the bytes at an offset overwritten.
pub fn overwrite(bytes: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

/// EXIF data with this orientation.
pub fn exif(orientation: u8) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    bytes.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// Pseudorandom numbers, the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end.max(1)
    }

    /// Approximately normal, mean 0, standard deviation 1.
    pub fn normal(&mut self) -> f32 {
        let sum: u64 = (0..6).map(|_| self.next() % 65_536).sum();
        (sum as f32 / 65_536.0 - 3.0) * 1.414
    }
}
