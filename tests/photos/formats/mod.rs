//! The same picture in different kinds of files gives the same photo.

mod common;
mod jpeg;
mod jxl;
mod png;
mod png_color;
mod png_damage;
mod raster;
mod tiff;
mod tiff_pages;

use image::{DynamicImage, GrayAlphaImage, ImageBuffer, ImageFormat, Luma, RgbaImage};
use jpeg_encoder::SamplingFactor;
use pixcolor::photo::{
    DecodeOptions, EncodeOptions, InputFormat, Limits, OutputFormat, Photo, PhotoError, Rgb, encode_upload,
    read_head,
};

use self::common::{SIZE, color, decode, difference, same, same_gray};
use crate::make::{self, strip, tiff, with};

#[test]
fn orientation_is_applied_in_every_format_that_has_it() {
    let picture = make::scene(SIZE.0, SIZE.1);
    let png = make::file(&DynamicImage::ImageRgb8(picture.clone()), ImageFormat::Png);
    let jpeg = make::jpeg(&picture, false, SamplingFactor::F_1_1);
    let lossless = make::webp_file(&color(), None);
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
        let mut upright = color();
        upright.apply_orientation(image::metadata::Orientation::from_exif(orientation).unwrap());
        let truth =
            Rgb { width: upright.width(), height: upright.height(), pixels: upright.to_rgb8().into_raw() };
        for (name, bytes) in files {
            let got = difference(&decode(name, &bytes).gray, &truth.gray());
            assert!(got < 1.0, "{name}, orientation {orientation}: {got}");
        }
    }
}

#[test]
fn a_rotation_is_applied_after_the_file_s_own_orientation() {
    let rgb = make::scene(SIZE.0, SIZE.1);
    for (orientation, degrees) in (1..=8_u8).flat_map(|one| [0, 90, 180, 270].map(|other| (one, other))) {
        let tags =
            with(&strip(SIZE.0, SIZE.1, 8, 3, 2, 1, rgb.as_raw()), 274, Some(vec![orientation.into()]));
        let file = tiff(&tags, rgb.as_raw(), 0);
        let mut turned = color();
        turned.apply_orientation(image::metadata::Orientation::from_exif(orientation).unwrap());
        let turned = match degrees {
            90 => turned.rotate90(),
            180 => turned.rotate180(),
            270 => turned.rotate270(),
            _ => turned,
        };
        let (width, height) = (turned.width(), turned.height());
        let truth = Rgb { width, height, pixels: turned.into_rgb8().into_raw() };
        let options = DecodeOptions { rotation: degrees.to_string().parse().unwrap(), page: 1 };
        let photo = Photo::decode_as(&file, &options, &Limits::default()).unwrap();
        let name = format!("orientation {orientation}, then {degrees} degrees");
        assert!(photo.gray == truth.gray(), "{name}");
        let png = EncodeOptions::plain(OutputFormat::Png, 90);
        let copy = encode_upload(&file, &options, &Limits::default(), None, &png).unwrap().bytes;
        assert!(Rgb::decode(&copy, &Limits::default()).unwrap() == truth, "{name}");
    }
}

#[test]
fn profiles_are_converted_to_srgb_and_broken_ones_are_ignored() {
    use moxcms::{ColorProfile, Layout, TransformOptions};
    let rgb = make::scene(SIZE.0, SIZE.1).into_raw();
    let in_png = |pixels: &[u8], kind: ::png::ColorType, icc: &[u8]| {
        let mut info = ::png::Info::with_size(SIZE.0, SIZE.1);
        (info.color_type, info.bit_depth) = (kind, ::png::BitDepth::Eight);
        info.icc_profile = Some(icc.to_vec().into());
        let mut bytes = Vec::new();
        let mut writer = ::png::Encoder::with_info(&mut bytes, info).unwrap().write_header().unwrap();
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
        same("PNG", &in_png(&codes, ::png::ColorType::Rgb, &icc), 0.5);
        // The same profile in a JPEG segment, a WebP chunk and a TIFF tag.
        let scene = make::jpeg(
            &image::RgbImage::from_raw(SIZE.0, SIZE.1, codes.clone()).unwrap(),
            false,
            SamplingFactor::F_1_1,
        );
        let app2 = make::segment(0xE2, &[b"ICC_PROFILE\0\x01\x01", &icc[..]].concat());
        same("JPEG", &make::insert(&scene, 2, &app2), 1.5);
        let scene = image::RgbImage::from_raw(SIZE.0, SIZE.1, codes.clone()).unwrap();
        let scene = make::webp_file(&scene.into(), None);
        let chunks =
            [make::vp8x(0x20, SIZE.0, SIZE.1), make::webp_chunk(b"ICCP", &icc), scene[12..].to_vec()];
        same("WebP", &make::webp(&chunks), 0.5);
        let mut tags = strip(SIZE.0, SIZE.1, 8, 3, 2, 1, &codes);
        tags.push((34_675, 1, icc.iter().map(|&byte| byte.into()).collect()));
        same("TIFF", &tiff(&tags, &codes, 0), 0.5);
        same("damaged", &in_png(&rgb, ::png::ColorType::Rgb, &icc[..icc.len() / 2]), 0.0);
    }
    let gray = make::gray_scene(SIZE.0, SIZE.1);
    let linear: Vec<u8> = gray
        .iter()
        .map(|&code| {
            let encoded = f64::from(code) / 255.0;
            let light =
                if encoded <= 0.040_45 { encoded / 12.92 } else { ((encoded + 0.055) / 1.055).powf(2.4) };
            (light * 255.0).round() as u8
        })
        .collect();
    let icc = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    same_gray("linear grey", &in_png(&linear, ::png::ColorType::Grayscale, &icc), 1.5);
}

#[test]
fn a_photo_has_opacity_only_if_a_pixel_is_transparent() {
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
fn equal_pictures_in_different_files_have_the_same_pixel_key() {
    let png = decode("PNG", &make::file(&color(), ImageFormat::Png));
    let bmp = decode("BMP", &make::file(&color(), ImageFormat::Bmp));
    assert_eq!(png.pixel_key(), bmp.pixel_key());
    let mut changed = make::scene(SIZE.0, SIZE.1);
    changed.get_pixel_mut(60, 46)[1] ^= 1;
    assert_ne!(
        decode("changed", &make::file(&changed.into(), ImageFormat::Png)).pixel_key(),
        png.pixel_key()
    );
    // The same values in a different shape are a different picture.
    let flat = |width, height| {
        let picture = ImageBuffer::<Luma<u8>, _>::from_pixel(width, height, Luma([50]));
        decode("flat", &make::file(&DynamicImage::ImageLuma8(picture), ImageFormat::Png)).pixel_key()
    };
    assert_ne!(flat(4, 6), flat(6, 4));
}

#[test]
fn the_header_is_read_without_decoding_the_picture() {
    let limits = Limits::default();
    for (bytes, format) in [
        (make::file(&color(), ImageFormat::Png), InputFormat::Png),
        (make::file(&color(), ImageFormat::Jpeg), InputFormat::Jpeg),
        (make::file(&color(), ImageFormat::WebP), InputFormat::WebP),
        (make::file(&color(), ImageFormat::Tiff), InputFormat::Tiff),
        (make::file(&color(), ImageFormat::Bmp), InputFormat::Bmp),
        (make::file(&color(), ImageFormat::Gif), InputFormat::Gif),
    ] {
        let head = read_head(&bytes, &limits).unwrap();
        assert_eq!((head.format, head.width, head.height), (format, SIZE.0, SIZE.1));
        let few = Limits { max_pixels: 61 * 47 - 1, max_side: 100 };
        assert!(matches!(read_head(&bytes, &few), Err(PhotoError::TooManyPixels(_))), "{format}");
        let short = Limits { max_pixels: 10_000, max_side: 60 };
        assert!(matches!(read_head(&bytes, &short), Err(PhotoError::TooManyPixels(_))), "{format}");
    }
}
