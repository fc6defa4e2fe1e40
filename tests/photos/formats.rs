//! Every kind of file gives the same photo.

use image::{DynamicImage, GrayAlphaImage, ImageBuffer, ImageFormat, Luma, RgbaImage};
use jpeg_encoder::{ColorType, SamplingFactor};
use pixcolor::photo::{Grey, InputFormat, Limits, Photo, PhotoError, Rgb, read_head};

use crate::make::{self, strip, tiff, with};

const SIZE: (u32, u32) = (61, 47);

fn decode(name: &str, bytes: &[u8]) -> Photo {
    Photo::decode(bytes, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The scene's luminance.
fn truth() -> Grey {
    let pixels = make::scene(SIZE.0, SIZE.1).into_raw();
    Rgb { width: SIZE.0, height: SIZE.1, pixels }.grey()
}

/// Mean difference of two pictures in L\*.
fn difference(one: &Grey, other: &Grey) -> f64 {
    assert_eq!((one.width, one.height), (other.width, other.height));
    let sum: u64 = one.luma.iter().zip(&other.luma).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / one.luma.len() as f64 / 655.35
}

#[track_caller]
fn same(name: &str, bytes: &[u8], within: f64) {
    let got = difference(&decode(name, bytes).grey, &truth());
    assert!(got <= within, "{name} differs by {got} L*");
}

/// The same, of the scene without its colour.
#[track_caller]
fn same_grey(name: &str, bytes: &[u8], within: f64) {
    let grey = make::grey_scene(SIZE.0, SIZE.1);
    let pixels = grey.pixels().flat_map(|pixel| [pixel[0]; 3]).collect();
    let truth = Rgb { width: SIZE.0, height: SIZE.1, pixels }.grey();
    let got = difference(&decode(name, bytes).grey, &truth);
    assert!(got <= within, "{name} differs by {got} L*");
}

fn colour() -> DynamicImage {
    DynamicImage::ImageRgb8(make::scene(SIZE.0, SIZE.1))
}

fn grey() -> DynamicImage {
    DynamicImage::ImageLuma8(make::grey_scene(SIZE.0, SIZE.1))
}

#[test]
fn png_of_every_colour_type_and_depth() {
    let png = |picture: DynamicImage| make::file(&picture, ImageFormat::Png);
    same("rgb 8", &png(colour()), 0.0);
    same("rgb 16", &png(DynamicImage::ImageRgb16(colour().to_rgb16())), 0.01);
    same("rgba 8", &png(DynamicImage::ImageRgba8(colour().to_rgba8())), 0.0);
    same_grey("grey 8", &png(grey()), 0.0);
    same_grey("grey 16", &png(DynamicImage::ImageLuma16(grey().to_luma16())), 0.01);
    same_grey("grey with opacity", &png(DynamicImage::ImageLumaA8(grey().to_luma_alpha8())), 0.0);
    // 2, 4 and 16 greys of the scene, packed, and the same by way of a palette.
    for bits in [1_u8, 2, 4] {
        let most = (1 << bits) - 1;
        let values: Vec<u8> = make::grey_scene(64, 16).iter().map(|&code| code >> (8 - bits)).collect();
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
        assert_eq!(plain.grey, mapped.grey, "{bits} bits");
        // One bit is made soft, but its edges stay where they are.
        let codes = plain.grey.to_srgb8();
        let wanted = values.iter().map(|value| value * (255 / most));
        let same = |(code, wanted): (u8, u8)| {
            if bits == 1 { (code > 127) == (wanted > 127) } else { code == wanted }
        };
        let apart = codes.into_iter().zip(wanted).filter(|&pair| !same(pair)).count();
        assert!(apart <= if bits == 1 { 40 } else { 0 }, "{bits} bits: {apart} pixels differ");
    }
}

/// A zlib stream that is not compressed (RFC 1950, RFC 1951).
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
fn png_interlaced_at_every_small_size() {
    for (width, height) in [(1, 1), (2, 3), (5, 1), (1, 9), (8, 8), (13, 11)] {
        let picture = make::grey_scene(width, height);
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
        // Say that it is interlaced.
        let mut header = bytes[16..29].to_vec();
        header[12] = 1;
        bytes.splice(8..33, make::chunk(b"IHDR", &header));
        assert_eq!(decode("interlaced", &bytes).grey.to_srgb8(), picture.into_raw(), "{width} x {height}");
    }
}

#[test]
fn jpeg_of_every_sampling_baseline_and_progressive() {
    for sampling in [
        SamplingFactor::F_1_1,
        SamplingFactor::F_2_1,
        SamplingFactor::F_1_2,
        SamplingFactor::F_2_2,
        SamplingFactor::F_4_1,
    ] {
        for progressive in [false, true] {
            let bytes = make::jpeg(&make::scene(SIZE.0, SIZE.1), progressive, sampling);
            same(&format!("{sampling:?}, progressive {progressive}"), &bytes, 1.5);
        }
    }
}

#[test]
fn jpeg_in_grey_with_restarts_and_with_inks() {
    let (width, height) = (SIZE.0 as u16, SIZE.1 as u16);
    let encode = |pixels: &[u8], kind: ColorType, restart: bool| {
        let mut bytes = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 97);
        encoder.set_sampling_factor(SamplingFactor::F_1_1);
        if restart {
            encoder.set_restart_interval(3);
        }
        encoder.encode(pixels, width, height, kind).unwrap();
        bytes
    };
    let picture = make::scene(SIZE.0, SIZE.1);
    same_grey("grey", &encode(&make::grey_scene(SIZE.0, SIZE.1), ColorType::Luma, false), 1.0);
    same("restarts", &encode(&picture, ColorType::Rgb, true), 1.0);
    // Inks without black: the amount of cyan is what red lacks. Half of it may be black ink as well.
    let inks: Vec<u8> = picture
        .pixels()
        .flat_map(|pixel| {
            let most = pixel.0.into_iter().max().unwrap().max(1);
            let ink = |code: u8| 255 - (u32::from(code) * 255 / u32::from(most)) as u8;
            [ink(pixel[0]), ink(pixel[1]), ink(pixel[2]), 255 - most]
        })
        .collect();
    // The encoder writes Adobe's segment and inverts, as Photoshop does.
    same("CMYK", &encode(&inks, ColorType::Cmyk, false), 1.0);
    same("YCCK", &encode(&inks, ColorType::CmykAsYcck, false), 1.5);
    // Without Adobe's segment, inks are what they are.
    let inverted: Vec<u8> = inks.iter().map(|ink| 255 - ink).collect();
    let adobe = encode(&inverted, ColorType::Cmyk, false);
    let at = make::find(&adobe, b"Adobe") - 4;
    same("CMYK without Adobe", &[&adobe[..at], &adobe[at + 16..]].concat(), 1.0);
}

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

#[test]
fn tiff_as_scanners_write_it() {
    let (width, height) = SIZE;
    let rgb = make::scene(width, height).into_raw();
    let grey = make::grey_scene(width, height).into_raw();
    let plain =
        |bits, samples, photometric, data: &[u8]| strip(width, height, bits, samples, photometric, 1, data);
    same("RGB", &tiff(&plain(8, 3, 2, &rgb), &rgb, 0), 0.0);
    same_grey("grey", &tiff(&plain(8, 1, 1, &grey), &grey, 0), 0.0);
    let negative: Vec<u8> = grey.iter().map(|code| 255 - code).collect();
    same_grey("white is zero", &tiff(&plain(8, 1, 0, &negative), &negative, 0), 0.0);
    let deep: Vec<u8> = grey.iter().flat_map(|&code| (u16::from(code) * 257).to_le_bytes()).collect();
    same_grey("grey 16", &tiff(&plain(16, 1, 1, &deep), &deep, 0), 0.01);
    let deep: Vec<u8> = rgb.iter().flat_map(|&code| (u16::from(code) * 257).to_le_bytes()).collect();
    same("RGB 16", &tiff(&plain(16, 3, 2, &deep), &deep, 0), 0.01);
    let inks: Vec<u8> = rgb.chunks_exact(3).flat_map(|p| [255 - p[0], 255 - p[1], 255 - p[2], 0]).collect();
    same("CMYK", &tiff(&plain(8, 4, 5, &inks), &inks, 0), 0.01);

    // Five strips, the last one short.
    let row = width * 3;
    let strips = with(
        &with(&plain(8, 3, 2, &rgb), 278, Some(vec![11])),
        273,
        Some((0..5).map(|i| 8 + i * 11 * row).collect()),
    );
    let strips = with(&strips, 279, Some(vec![11 * row, 11 * row, 11 * row, 11 * row, 3 * row]));
    same("strips", &tiff(&strips, &rgb, 0), 0.0);

    // One plane for each colour.
    let planes: Vec<u8> =
        (0..3).flat_map(|c| rgb.iter().skip(c).step_by(3).copied().collect::<Vec<_>>()).collect();
    let size = width * height;
    let planar =
        with(&with(&plain(8, 3, 2, &planes), 284, Some(vec![2])), 273, Some(vec![8, 8 + size, 8 + 2 * size]));
    same("planes", &tiff(&with(&planar, 279, Some(vec![size; 3])), &planes, 0), 0.0);

    // Tiles of 32 x 16, the last ones filled up.
    let mut tiles = Vec::new();
    for (ty, tx) in (0..3).flat_map(|ty| (0..2).map(move |tx| (ty * 16, tx * 32))) {
        for (y, x) in (0..16).flat_map(|y| (0..32).map(move |x| (ty + y, tx + x))) {
            tiles.push(if x < width && y < height { grey[(y * width + x) as usize] } else { 77 });
        }
    }
    let mut tags = plain(8, 1, 1, &tiles);
    tags.retain(|tag| !matches!(tag.0, 273 | 278 | 279));
    tags.extend([
        (322, 3, vec![32]),
        (323, 3, vec![16]),
        (324, 4, (0..6).map(|i| 8 + i * 512).collect()),
        (325, 4, vec![512; 6]),
    ]);
    same_grey("tiles", &tiff(&tags, &tiles, 0), 0.0);

    // A palette of 256 greys, backwards.
    let indices: Vec<u8> = grey.iter().map(|code| 255 - code).collect();
    let map: Vec<u32> = (0..3).flat_map(|_| (0..256).map(|i| (255 - i) * 257)).collect();
    same_grey("palette", &tiff(&with(&plain(8, 1, 3, &indices), 320, Some(map)), &indices, 0), 0.01);
}

#[test]
fn tiff_compressed() {
    use tiff::encoder::{Compression, TiffEncoder, colortype};
    let rgb = make::scene(SIZE.0, SIZE.1).into_raw();
    for (name, compression) in [
        ("LZW", Compression::Lzw),
        ("PackBits", Compression::Packbits),
        ("deflate", Compression::Deflate(Default::default())),
    ] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut bytes).unwrap().with_compression(compression);
        encoder.write_image::<colortype::RGB8>(SIZE.0, SIZE.1, &rgb).unwrap();
        same(name, bytes.get_ref(), 0.0);
    }
    // JPEG in a strip: its colours stay Y, Cb, Cr.
    let jpeg = make::jpeg(&make::scene(SIZE.0, SIZE.1), false, SamplingFactor::F_2_2);
    same("JPEG", &tiff(&strip(SIZE.0, SIZE.1, 8, 3, 6, 7, &jpeg), &jpeg, 0), 1.5);
}

/// A page with a black box, as a fax codes it (ITU T.6): the first row in horizontal mode, 16 white and
/// 32 black; then every row like the one before, three times "nothing has moved".
fn fax() -> Vec<u8> {
    let mut bits = String::from("001101010000001101010").to_owned() + "1";
    bits += &"111".repeat(23);
    bits += "000000000001000000000001";
    while !bits.len().is_multiple_of(8) {
        bits.push('0');
    }
    bits.as_bytes().chunks(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | (bit - b'0'))).collect()
}

#[test]
fn tiff_of_one_bit_packed_and_faxed() {
    let packed: Vec<u8> = (0..24).flat_map(|_| [0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF]).collect();
    let black_is_zero = tiff(&strip(64, 24, 1, 1, 1, 1, &packed), &packed, 0);
    let fax = fax();
    let white_is_zero = strip(64, 24, 1, 1, 0, 4, &fax);
    let turned: Vec<u8> = fax.iter().map(|byte| byte.reverse_bits()).collect();
    let low_bit_first = tiff(&with(&white_is_zero, 266, Some(vec![2])), &turned, 0);
    for (name, file) in [
        ("packed", black_is_zero),
        ("fax", tiff(&white_is_zero, &fax, 0)),
        ("fax, low bit first", low_bit_first),
    ] {
        // Black from 16 to 48, with soft edges.
        let codes = decode(name, &file).grey.to_srgb8();
        let black: Vec<usize> = (0..64 * 24).filter(|&i| codes[i] < 128).collect();
        let wanted: Vec<usize> = (0..64 * 24).filter(|i| (16..48).contains(&(i % 64))).collect();
        assert!(black == wanted, "{name}: {} black pixels", black.len());
        assert_eq!((codes[0], codes[32]), (255, 0), "{name}");
    }
}

#[test]
fn orientation_is_applied_wherever_a_format_says_it() {
    let picture = make::scene(SIZE.0, SIZE.1);
    let png = make::file(&DynamicImage::ImageRgb8(picture.clone()), ImageFormat::Png);
    let jpeg = make::jpeg(&picture, false, SamplingFactor::F_1_1);
    let lossless = make::webp_file(&colour(), None);
    for orientation in 1..=8_u8 {
        let exif = make::exif(orientation);
        let app1 = make::segment(0xE1, &[b"Exif\0\0", &exif[..]].concat());
        let rgb = picture.as_raw();
        let tags = with(&strip(SIZE.0, SIZE.1, 8, 3, 2, 1, rgb), 274, Some(vec![orientation.into()]));
        let files = [
            ("PNG", make::insert(&png, 33, &make::chunk(b"eXIf", &exif))),
            ("JPEG", make::insert(&jpeg, 2, &app1)),
            (
                "WebP",
                make::webp(&[
                    make::vp8x(8, SIZE.0, SIZE.1),
                    lossless[12..].to_vec(),
                    make::webp_chunk(b"EXIF", &exif),
                ]),
            ),
            ("TIFF", tiff(&tags, rgb, 0)),
        ];
        let mut upright = colour();
        upright.apply_orientation(image::metadata::Orientation::from_exif(orientation).unwrap());
        let truth =
            Rgb { width: upright.width(), height: upright.height(), pixels: upright.to_rgb8().into_raw() };
        for (name, bytes) in files {
            let got = difference(&decode(name, &bytes).grey, &truth.grey());
            assert!(got < 1.0, "{name}, orientation {orientation}: {got}");
        }
    }
}

#[test]
fn profiles_are_brought_to_srgb_and_broken_ones_left_out() {
    use moxcms::{ColorProfile, Layout, TransformOptions};
    let rgb = make::scene(SIZE.0, SIZE.1).into_raw();
    let in_png = |pixels: &[u8], kind: png::ColorType, icc: &[u8]| {
        let mut info = png::Info::with_size(SIZE.0, SIZE.1);
        (info.color_type, info.bit_depth) = (kind, png::BitDepth::Eight);
        info.icc_profile = Some(icc.to_vec().into());
        let mut bytes = Vec::new();
        let mut writer = png::Encoder::with_info(&mut bytes, info).unwrap().write_header().unwrap();
        writer.write_image_data(pixels).unwrap();
        writer.finish().unwrap();
        bytes
    };
    for profile in [ColorProfile::new_adobe_rgb(), ColorProfile::new_display_p3(), ColorProfile::new_srgb()] {
        let transform = ColorProfile::new_srgb()
            .create_transform_8bit(Layout::Rgb, &profile, Layout::Rgb, TransformOptions::default())
            .unwrap();
        let mut codes = vec![0; rgb.len()];
        transform.transform(&rgb, &mut codes).unwrap();
        let icc = profile.encode().unwrap();
        same("PNG", &in_png(&codes, png::ColorType::Rgb, &icc), 0.5);
        // The same in a JPEG's segment and in a TIFF's tag.
        let scene = make::jpeg(
            &image::RgbImage::from_raw(SIZE.0, SIZE.1, codes.clone()).unwrap(),
            false,
            SamplingFactor::F_1_1,
        );
        let app2 = make::segment(0xE2, &[b"ICC_PROFILE\0\x01\x01", &icc[..]].concat());
        same("JPEG", &make::insert(&scene, 2, &app2), 1.5);
        let mut tags = strip(SIZE.0, SIZE.1, 8, 3, 2, 1, &codes);
        tags.push((34_675, 1, icc.iter().map(|&byte| byte.into()).collect()));
        same("TIFF", &tiff(&tags, &codes, 0), 0.5);
        same("damaged", &in_png(&rgb, png::ColorType::Rgb, &icc[..icc.len() / 2]), 0.0);
    }
    let grey = make::grey_scene(SIZE.0, SIZE.1);
    let linear: Vec<u8> = grey
        .iter()
        .map(|&code| {
            let encoded = f64::from(code) / 255.0;
            let light =
                if encoded <= 0.040_45 { encoded / 12.92 } else { ((encoded + 0.055) / 1.055).powf(2.4) };
            (light * 255.0).round() as u8
        })
        .collect();
    let icc = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    same_grey("linear grey", &in_png(&linear, png::ColorType::Grayscale, &icc), 1.5);
}

#[test]
fn opacity_is_found_only_where_something_shows_through() {
    let opaque = RgbaImage::from_pixel(8, 8, image::Rgba([9, 9, 9, 255]));
    assert!(decode("opaque", &make::file(&opaque.into(), ImageFormat::Png)).alpha.is_none());
    let mut half = GrayAlphaImage::from_pixel(8, 8, image::LumaA([200, 255]));
    half.put_pixel(3, 0, image::LumaA([200, 128]));
    let photo = decode("half", &make::file(&DynamicImage::ImageLumaA8(half), ImageFormat::Png));
    assert_eq!(photo.alpha.unwrap()[3], 128);
    let deep = ImageBuffer::<image::Rgba<u16>, _>::from_pixel(2, 2, image::Rgba([1, 2, 3, 0x8080]));
    let photo = decode("deep", &make::file(&DynamicImage::ImageRgba16(deep), ImageFormat::Png));
    assert_eq!(photo.alpha.unwrap(), [128; 4]);
}

#[test]
fn the_same_picture_in_another_file_has_the_same_pixel_key_and_another_picture_has_not() {
    let png = decode("PNG", &make::file(&colour(), ImageFormat::Png));
    let bmp = decode("BMP", &make::file(&colour(), ImageFormat::Bmp));
    assert_eq!(png.pixel_key(), bmp.pixel_key());
    let mut changed = make::scene(SIZE.0, SIZE.1);
    changed.get_pixel_mut(60, 46)[1] ^= 1;
    assert_ne!(
        decode("changed", &make::file(&changed.into(), ImageFormat::Png)).pixel_key(),
        png.pixel_key()
    );
    // The same values in another shape are another picture.
    let flat = |width, height| {
        let picture = ImageBuffer::<Luma<u8>, _>::from_pixel(width, height, Luma([50]));
        decode("flat", &make::file(&DynamicImage::ImageLuma8(picture), ImageFormat::Png)).pixel_key()
    };
    assert_ne!(flat(4, 6), flat(6, 4));
}

#[test]
fn the_header_is_read_without_the_picture() {
    let limits = Limits::default();
    for (bytes, format) in [
        (make::file(&colour(), ImageFormat::Png), InputFormat::Png),
        (make::file(&colour(), ImageFormat::Jpeg), InputFormat::Jpeg),
        (make::file(&colour(), ImageFormat::WebP), InputFormat::WebP),
        (make::file(&colour(), ImageFormat::Tiff), InputFormat::Tiff),
        (make::file(&colour(), ImageFormat::Bmp), InputFormat::Bmp),
        (make::file(&colour(), ImageFormat::Gif), InputFormat::Gif),
    ] {
        let head = read_head(&bytes, &limits).unwrap();
        assert_eq!((head.format, head.width, head.height), (format, SIZE.0, SIZE.1));
        let few = Limits { max_pixels: 61 * 47 - 1, max_side: 100 };
        assert!(matches!(read_head(&bytes, &few), Err(PhotoError::TooManyPixels(_))), "{format}");
        let short = Limits { max_pixels: 10_000, max_side: 60 };
        assert!(matches!(read_head(&bytes, &short), Err(PhotoError::TooManyPixels(_))), "{format}");
    }
}
