//! Valid files with some bytes changed: decoding never panics and never takes long.

use std::time::Duration;

use cpu_time::ThreadTime;
use image::{DynamicImage, ImageFormat};
use jpeg_encoder::SamplingFactor;
use pixcolor::photo::{Limits, Photo};

use crate::make::{self, Random};

/// The number of changed files that are made from each valid file.
const EACH: usize = 400;

fn changed(file: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes.truncate(at.max(8)),
            1 => bytes[at] = 0xFF,
            2 => bytes[at] = 0,
            3 => {
                let copy = bytes[at..(at + random.below(40)).min(bytes.len())].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            // Changes a byte near the start, where headers contain sizes.
            4 => {
                let at = at.min(random.below(64));
                bytes[at] ^= 1 << random.below(8);
            }
            _ => bytes[at] ^= 1 << random.below(8),
        }
    }
    bytes
}

#[test]
fn changed_files_cause_no_panic_and_no_long_work() {
    let picture = make::scene(64, 48);
    let color = DynamicImage::ImageRgb8(picture.clone());
    let gray = make::gray_scene(64, 48).into_raw();
    let limits = Limits { max_pixels: 1_000_000, max_side: 4096 };
    let icc = moxcms::ColorProfile::new_adobe_rgb().encode().unwrap();
    let app2 = make::segment(0xE2, &[b"ICC_PROFILE\0\x01\x01", &icc[..]].concat());
    let jpeg = make::jpeg(&picture, false, SamplingFactor::F_2_2);
    let files = [
        ("JPEG that is mostly profile", make::insert(&jpeg, 2, &app2)),
        ("PNG", make::file(&color, ImageFormat::Png)),
        ("JPEG", jpeg),
        ("progressive JPEG", make::jpeg(&picture, true, SamplingFactor::F_2_2)),
        ("lossy WebP", make::small_webp(false).0),
        ("lossless WebP", make::small_webp(true).0),
        ("TIFF", make::tiff(&make::strip(64, 48, 8, 1, 1, 1, &gray), &gray, 0)),
        ("BMP", make::file(&color, ImageFormat::Bmp)),
        ("GIF", make::file(&color, ImageFormat::Gif)),
    ];
    for (name, file) in files {
        let mut random = Random(name.len() as u64);
        let (mut pictures, mut errors) = (0, 0);
        for _ in 0..EACH {
            let bytes = changed(&file, &mut random);
            let start = ThreadTime::now();
            match Photo::decode(&bytes, &limits) {
                Ok(photo) => {
                    pictures += 1;
                    assert_eq!(photo.gray.luma.len(), photo.width() as usize * photo.height() as usize);
                }
                Err(error) => {
                    errors += 1;
                    assert!(!error.to_string().is_empty());
                }
            }
            assert!(start.elapsed() < Duration::from_secs(1), "{name} took {:?}", start.elapsed());
        }
        assert!(pictures > 0 && errors > 0, "{name}: {pictures} pictures, {errors} errors");
    }
}
