//! PNG with every colour type, depth and interlacing.

use image::{DynamicImage, ImageFormat};

use super::common::{color, decode, gray, same, same_gray};
use crate::make;

#[test]
fn png_with_every_color_type_and_depth_is_decoded() {
    let png = |picture: DynamicImage| make::file(&picture, ImageFormat::Png);
    same("rgb 8", &png(color()), 0.0);
    same("rgb 16", &png(DynamicImage::ImageRgb16(color().to_rgb16())), 0.01);
    same("rgba 8", &png(DynamicImage::ImageRgba8(color().to_rgba8())), 0.0);
    same_gray("grey 8", &png(gray()), 0.0);
    same_gray("grey 16", &png(DynamicImage::ImageLuma16(gray().to_luma16())), 0.01);
    same_gray("grey with opacity", &png(DynamicImage::ImageLumaA8(gray().to_luma_alpha8())), 0.0);
    // The scene in 2, 4 and 16 greys, packed, and the same through a palette.
    for bits in [1_u8, 2, 4] {
        let most = (1 << bits) - 1;
        let values: Vec<u8> = make::gray_scene(64, 16).iter().map(|&code| code >> (8 - bits)).collect();
        let rows: Vec<u8> = values
            .chunks(64)
            .flat_map(|row| {
                let packed = row
                    .chunks(8 / usize::from(bits))
                    .map(|part| part.iter().fold(0, |sum, v| sum << bits | v));
                std::iter::once(0).chain(packed)
            })
            .collect();
        let data = make::chunk(b"IDAT", &stored(&rows));
        let palette: Vec<u8> = (0..=most).flat_map(|value| [value * (255 / most); 3]).collect();
        let plain = decode("packed", &make::png(64, 16, bits, 0, std::slice::from_ref(&data)));
        let mapped = decode("palette", &make::png(64, 16, bits, 3, &[make::chunk(b"PLTE", &palette), data]));
        assert_eq!(plain.gray, mapped.gray, "{bits} bits");
        // One-bit pictures are smoothed, but their edges keep their positions.
        let codes = plain.gray.to_srgb8();
        let wanted = values.iter().map(|value| value * (255 / most));
        let same = |(code, wanted): (u8, u8)| {
            if bits == 1 { (code > 127) == (wanted > 127) } else { code == wanted }
        };
        let apart = codes.into_iter().zip(wanted).filter(|&pair| !same(pair)).count();
        assert!(apart <= if bits == 1 { 40 } else { 0 }, "{bits} bits: {apart} pixels differ");
    }
}

/// An uncompressed zlib stream (RFC 1950, RFC 1951).
fn stored(bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 65_536);
    let mut stream = vec![0x78, 0x01, 1];
    stream.extend((bytes.len() as u16).to_le_bytes());
    stream.extend((!(bytes.len() as u16)).to_le_bytes());
    stream.extend(bytes);
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (a + b) % 65_521)
    });
    stream.extend((b << 16 | a).to_be_bytes());
    stream
}

#[test]
fn interlaced_png_is_decoded_at_every_small_size() {
    for (width, height) in [(1, 1), (2, 3), (5, 1), (1, 9), (8, 8), (13, 11)] {
        let picture = make::gray_scene(width, height);
        let mut rows = Vec::new();
        for (x, dx, y, dy) in
            [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)]
        {
            for y in (y..height).step_by(dy) {
                let row: Vec<u8> = (x..width).step_by(dx).map(|x| picture.get_pixel(x, y)[0]).collect();
                if !row.is_empty() {
                    rows.push(0);
                    rows.extend(row);
                }
            }
        }
        let mut bytes = make::png(width, height, 8, 0, &[make::chunk(b"IDAT", &stored(&rows))]);
        // Sets the interlace method.
        let mut header = bytes[16..29].to_vec();
        header[12] = 1;
        bytes.splice(8..33, make::chunk(b"IHDR", &header));
        assert_eq!(decode("interlaced", &bytes).gray.to_srgb8(), picture.into_raw(), "{width} x {height}");
    }
}
