//! WebP, BMP and GIF.

use image::{DynamicImage, ImageFormat};

use super::common::{colour, decode, grey, same, same_grey};
use crate::make;

#[test]
fn webp_lossy_lossless_and_with_opacity() {
    same("lossless", &make::webp_file(&colour(), None), 0.0);
    same("lossy", &make::webp_file(&colour(), Some(95.0)), 2.0);
    let mut with_alpha = colour().to_rgba8();
    with_alpha.enumerate_pixels_mut().for_each(|(x, _, pixel)| pixel[3] = if x < 20 { 100 } else { 255 });
    let wanted: Vec<u8> = with_alpha.pixels().map(|pixel| pixel[3]).collect();
    let with_alpha = DynamicImage::ImageRgba8(with_alpha);
    for quality in [None, Some(95.0)] {
        let file = make::webp_file(&with_alpha, quality);
        same("with opacity", &file, 2.0);
        assert_eq!(decode("opacity", &file).alpha.unwrap(), wanted, "{quality:?}");
    }
}

#[test]
fn bmp_and_gif() {
    same("BMP", &make::file(&colour(), ImageFormat::Bmp), 0.0);
    same_grey("grey BMP", &make::file(&grey(), ImageFormat::Bmp), 0.0);
    same_grey("GIF", &make::file(&DynamicImage::ImageRgb8(grey().to_rgb8()), ImageFormat::Gif), 0.3);
    // A frame that covers a corner: the rest is transparent.
    let corner = decode("corner", &make::gif(6, 4, &make::gif_frame(2, 1, 3, 2)));
    let alpha = corner.alpha.unwrap();
    assert_eq!((alpha.iter().filter(|&&a| a == 255).count(), alpha[6 + 2]), (6, 255));
}
