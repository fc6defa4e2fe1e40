//! WebP, BMP and GIF.

use image::{DynamicImage, ImageFormat};

use pixcolor::photo::{Limits, Photo, PhotoError, Rgb};

use super::common::{SIZE, color, decode, gray, same, same_gray};
use crate::make;

#[test]
fn lossy_lossless_and_transparent_webp_are_decoded() {
    same("lossless", &make::webp_file(&color(), None), 0.0);
    same("lossy", &make::webp_file(&color(), Some(95.0)), 2.0);
    let mut with_alpha = color().to_rgba8();
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
fn bmp_and_gif_are_decoded() {
    same("BMP", &make::file(&color(), ImageFormat::Bmp), 0.0);
    same_gray("grey BMP", &make::file(&gray(), ImageFormat::Bmp), 0.0);
    same_gray("GIF", &make::file(&DynamicImage::ImageRgb8(gray().to_rgb8()), ImageFormat::Gif), 0.3);
    // The frame covers only a part of the screen; the other pixels are transparent.
    let corner = decode("corner", &make::gif(6, 4, &make::gif_frame(2, 1, 3, 2)));
    let alpha = corner.alpha.unwrap();
    assert_eq!((alpha.iter().filter(|&&a| a == 255).count(), alpha[6 + 2]), (6, 255));
}

/// A 32-bit BMP with a header of this size and masks for red, green, blue and alpha.
fn masked_bmp(header: u32, compression: u32, pixels: &[[u8; 4]], width: u32) -> Vec<u8> {
    let height = pixels.len() as u32 / width;
    let start = 14 + header;
    let mut bytes = b"BM".to_vec();
    bytes.extend(
        [start + 4 * pixels.len() as u32, 0, start, header, width, height].map(u32::to_le_bytes).concat(),
    );
    bytes.extend([1, 0, 32, 0]);
    bytes.extend([compression, 0, 0, 0, 0, 0].map(u32::to_le_bytes).concat());
    bytes.extend([0x00FF_0000, 0xFF00, 0xFF, 0xFF00_0000_u32].map(u32::to_le_bytes).concat());
    bytes.resize(start as usize, 0);
    bytes.extend(pixels.concat());
    bytes
}

#[test]
fn a_bmp_whose_opacity_is_zero_everywhere_is_opaque() {
    let pixels: Vec<[u8; 4]> = (0..12).map(|n| [n * 20, 255 - n * 10, n, 0]).collect();
    let mut one = pixels.clone();
    one[5][3] = 200;
    for header in [56, 108, 124] {
        let photo = decode("zero", &masked_bmp(header, 3, &pixels, 4));
        assert!(photo.alpha.is_none(), "header of {header}");
        let photo = decode("one", &masked_bmp(header, 3, &one, 4));
        assert_eq!(photo.alpha.unwrap().iter().filter(|&&alpha| alpha > 0).count(), 1, "header of {header}");
    }
    // Without masks the fourth byte has no meaning.
    for header in [40, 108, 124] {
        assert!(decode("none", &masked_bmp(header, 0, &one, 4)).alpha.is_none(), "header of {header}");
    }
}

#[test]
fn missing_rows_of_a_cut_bmp_are_gray() {
    let mid = Rgb { width: 1, height: 1, pixels: vec![128; 3] }.gray().luma[0];
    let width = SIZE.0 as usize;
    for picture in [color(), gray()] {
        let bmp = make::file(&picture, ImageFormat::Bmp);
        let whole = decode("whole", &bmp).gray.luma;
        let start = u32::from_le_bytes(bmp[10..14].try_into().unwrap()) as usize;
        let cut = bmp[..start + (bmp.len() - start) / 2].to_vec();
        let photo = decode("cut", &cut);
        assert!(photo.damage.is_some());
        // Rows are stored from the bottom up: 23 of 47 are present.
        let (missing, there) = photo.gray.luma.split_at(24 * width);
        assert!(missing.iter().all(|&luma| luma == mid));
        assert_eq!(there, &whole[24 * width..]);
        let little = bmp[..start + (bmp.len() - start) / 20].to_vec();
        assert!(matches!(Photo::decode(&little, &Limits::default()), Err(PhotoError::Broken(_))));
        // Missing padding after the last row is not damage.
        let padding = [1, 3][usize::from(picture.color().channel_count() == 1)];
        let photo = decode("padding", &bmp[..bmp.len() - padding]);
        assert_eq!((photo.gray.luma, photo.damage), (whole, None));
    }
    // Missing pixels of a transparent picture are opaque.
    let pixels = vec![[9, 9, 9, 100]; 40 * 40];
    let bmp = masked_bmp(108, 3, &pixels, 40);
    let photo = decode("transparent", &bmp[..bmp.len() / 2]);
    assert_eq!(photo.alpha.unwrap()[0], 255);
}

#[test]
fn missing_rows_of_a_cut_gif_are_gray() {
    let mid = Rgb { width: 1, height: 1, pixels: vec![128; 3] }.gray().luma[0];
    let gif = make::gif(64, 48, &make::gif_frame(0, 0, 64, 48));
    let whole = decode("whole", &gif);
    let photo = decode("no end", &gif[..gif.len() - 1]);
    assert_eq!((&photo.gray, &photo.damage), (&whole.gray, &None), "a missing trailer is not damage");
    let photo = decode("cut", &gif[..gif.len() / 2]);
    assert!(photo.damage.is_some() && photo.alpha.is_none());
    // Half of the rows are missing. The edge between black and grey is smoothed, as in a one-bit scan.
    assert!(photo.gray.luma[..16 * 64].iter().all(|&luma| luma == whole.gray.luma[0]));
    assert!(photo.gray.luma[31 * 64..].iter().all(|&luma| luma == mid));
    // In an interlaced file, each missing row repeats the nearest row above that was read.
    let at = make::find(&gif, &[0x2C]);
    let interlaced = make::overwrite(&gif, at + 9, &[0x40]);
    let photo = decode("interlaced", &interlaced[..gif.len() / 2]);
    assert!(photo.damage.is_some());
    assert_eq!(photo.gray, whole.gray, "the picture has one colour");
    assert!(Photo::decode(&gif[..150], &Limits::default()).is_err());
}
