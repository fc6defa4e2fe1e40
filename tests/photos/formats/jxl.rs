//! JPEG XL. `tests/data/README.md` says how the files were made.

use image::ImageFormat;
use pixcolor::photo::{Gray, InputFormat, Limits, OutputFormat, Photo, PhotoError, Rgb, read_head};

use super::common::{SIZE, color, decode, difference, same, same_gray};
use crate::make;

macro_rules! jxl {
    ($name:literal) => {
        include_bytes!(concat!("../../data/jxl/", $name, ".jxl"))
    };
}

const LOSSLESS: &[u8] = jxl!("lossless");
const LOSSY: &[u8] = jxl!("lossy");
const GRAY: &[u8] = jxl!("gray");
const GRAY16: &[u8] = jxl!("gray16");
const CONTAINER: &[u8] = jxl!("container");
const ALPHA: &[u8] = jxl!("alpha");
const TURNED: &[u8] = jxl!("turned");
const ANIMATED: &[u8] = jxl!("animated");
const ADOBE_RGB: &[u8] = jxl!("adobe-rgb");
const P3: &[u8] = jxl!("p3");
const FILES: [&[u8]; 10] = [LOSSLESS, LOSSY, GRAY, GRAY16, CONTAINER, ALPHA, TURNED, ANIMATED, ADOBE_RGB, P3];

fn broken(bytes: &[u8]) -> bool {
    matches!(Photo::decode(bytes, &Limits::default()), Err(PhotoError::Broken(_)))
}

#[test]
fn jpeg_xl_is_decoded_in_color_and_gray_lossless_and_lossy() {
    same("lossless", LOSSLESS, 0.0);
    same("in a container", CONTAINER, 0.0);
    same("lossy", LOSSY, 1.5);
    same_gray("grey", GRAY, 0.0);
    assert!(Rgb::decode(LOSSLESS, &Limits::default()).unwrap().pixels == color().into_rgb8().into_raw());
}

#[test]
fn the_header_of_jpeg_xl_is_read() {
    for file in FILES {
        let head = read_head(file, &Limits::default()).unwrap();
        assert_eq!((head.format, head.width, head.height, head.pages), (InputFormat::Jxl, SIZE.0, SIZE.1, 1));
        assert_eq!(head.format.output(), OutputFormat::Png);
        let few = Limits { max_pixels: 61 * 47 - 1, max_side: 100 };
        assert!(matches!(read_head(file, &few), Err(PhotoError::TooManyPixels(_))));
    }
}

#[test]
fn sixteen_bits_of_gray_are_kept() {
    let photo = decode("16 bits", GRAY16);
    // A ramp in steps of 22; steps of 8-bit values are 257.
    let distinct = photo.gray.luma.iter().collect::<std::collections::BTreeSet<_>>().len();
    assert!(distinct > 2500, "{distinct}");
}

#[test]
fn orientation_of_jpeg_xl_is_applied_once() {
    // Stored with the sides exchanged.
    same("turned", TURNED, 0.0);
}

#[test]
fn opacity_of_jpeg_xl_is_read() {
    let photo = decode("opacity", ALPHA);
    let alpha = photo.alpha.unwrap();
    assert!(alpha.iter().enumerate().all(|(i, &alpha)| usize::from(alpha) == i % 61 * 4), "{alpha:?}");
}

#[test]
fn the_first_frame_of_an_animation_is_decoded() {
    same("animation", ANIMATED, 0.01);
}

#[test]
fn color_spaces_of_jpeg_xl_are_converted() {
    same("a profile", ADOBE_RGB, 0.5);
    same("a named colour space", P3, 0.5);
}

#[test]
fn truncated_jpeg_xl_is_refused() {
    for file in FILES {
        for end in (0..file.len()).step_by(file.len() / 40 + 1).chain([file.len() - 1]) {
            // An animation may be cut after its first frame.
            let cut = &file[..end];
            match Photo::decode(cut, &Limits::default()) {
                Ok(photo) => {
                    assert!(file == ANIMATED && end > file.len() / 3, "{} of {}", end, photo.width())
                }
                Err(PhotoError::Broken(_)) => {}
                Err(PhotoError::Unsupported(_)) => assert!(end < 16),
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(broken(&LOSSLESS[..40]));
}

#[test]
fn changed_jpeg_xl_does_not_panic_and_takes_little_time() {
    let limits = Limits { max_pixels: 1_000_000, max_side: 4096 };
    let mut random = make::Random(3);
    for file in FILES {
        for _ in 0..150 {
            let mut bytes = file.to_vec();
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            let start = cpu_time::ThreadTime::now();
            match Photo::decode(&bytes, &limits) {
                Ok(photo) => {
                    assert_eq!(photo.gray.luma.len(), photo.width() as usize * photo.height() as usize);
                }
                // The library may panic; the panic becomes an error.
                Err(error) => assert!(!error.to_string().is_empty()),
            }
            assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
        }
    }
}

/// A bare codestream with this height; its width is the same.
fn square(side: u32) -> Vec<u8> {
    // SizeHeader: not in units of 8, the height's selector 3 (30 bits), ratio 1; then nothing but defaults.
    let bits = u128::from(0b0_u8) | 0b11 << 1 | u128::from(side - 1) << 3 | 0b001 << 33 | 1 << 36 | 1 << 37;
    [&[0xFF, 0x0A][..], &bits.to_le_bytes()[..6]].concat()
}

#[test]
fn a_jpeg_xl_that_is_too_large_is_refused_by_its_header() {
    for side in [7072, 16_384, 1 << 30] {
        let error = read_head(&square(side), &Limits::default()).unwrap_err();
        assert!(matches!(error, PhotoError::TooManyPixels(_)), "{side}: {error}");
    }
    assert!(read_head(&square(64), &Limits::default()).is_ok());
    assert!(broken(&square(64)));
}

#[test]
fn all_files_give_the_same_picture() {
    let png = decode("PNG", &make::file(&color(), ImageFormat::Png)).gray;
    let gray: fn(&[u8]) -> Gray = |file| Photo::decode(file, &Limits::default()).unwrap().gray;
    for file in [LOSSLESS, CONTAINER, TURNED] {
        assert!(difference(&gray(file), &png) < 0.01);
    }
}
