//! One scene, and the difference between it and a file's photo.

use image::DynamicImage;
use pixcolor::photo::{Gray, Limits, Photo, Rgb};

use crate::make;

pub const SIZE: (u32, u32) = (61, 47);

pub fn decode(name: &str, bytes: &[u8]) -> Photo {
    Photo::decode(bytes, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The scene's luminance.
pub fn truth() -> Gray {
    let pixels = make::scene(SIZE.0, SIZE.1).into_raw();
    Rgb { width: SIZE.0, height: SIZE.1, pixels }.gray()
}

/// Mean difference of two pictures, in L\*.
pub fn difference(one: &Gray, other: &Gray) -> f64 {
    assert_eq!((one.width, one.height), (other.width, other.height));
    let sum: u64 = one.luma.iter().zip(&other.luma).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / one.luma.len() as f64 / 655.35
}

#[track_caller]
pub fn same(name: &str, bytes: &[u8], within: f64) {
    let got = difference(&decode(name, bytes).gray, &truth());
    assert!(got <= within, "{name} differs by {got} L*");
}

/// Like [`same`], for the scene without colour.
#[track_caller]
pub fn same_gray(name: &str, bytes: &[u8], within: f64) {
    let gray = make::gray_scene(SIZE.0, SIZE.1);
    let pixels = gray.pixels().flat_map(|pixel| [pixel[0]; 3]).collect();
    let truth = Rgb { width: SIZE.0, height: SIZE.1, pixels }.gray();
    let got = difference(&decode(name, bytes).gray, &truth);
    assert!(got <= within, "{name} differs by {got} L*");
}

pub fn color() -> DynamicImage {
    DynamicImage::ImageRgb8(make::scene(SIZE.0, SIZE.1))
}

pub fn gray() -> DynamicImage {
    DynamicImage::ImageLuma8(make::gray_scene(SIZE.0, SIZE.1))
}
