//! Damaged PNG files: irrelevant damage is ignored; missing pixels become grey and are reported.

use pixcolor::photo::{Gray, Limits, Photo, PhotoError, Rgb};

use super::common::{color, decode};
use crate::make::{self, Random, chunk, find};

fn scene_png() -> Vec<u8> {
    make::file(&color(), image::ImageFormat::Png)
}

/// The luminance of mid-grey.
fn mid_gray() -> u16 {
    Rgb { width: 1, height: 1, pixels: vec![128; 3] }.gray().luma[0]
}

fn damage(photo: &Photo) -> &str {
    &photo.damage.as_ref().expect("damage").0
}

#[test]
fn damage_outside_the_picture_is_ignored() {
    let png = scene_png();
    let truth = decode("whole", &png).gray;
    let wrong = |name: &[u8; 4], content: &[u8]| {
        let mut bytes = chunk(name, content);
        *bytes.last_mut().unwrap() ^= 0x55;
        bytes
    };
    let before = |chunk: &[u8]| make::insert(&png, 33, chunk);
    let end = png.len() - 12;
    let exif = make::exif(6);
    for (name, bytes) in [
        ("no end", png[..end].to_vec()),
        ("a cut end", png[..end + 6].to_vec()),
        ("no checksum of the data, and no end", png[..end - 4].to_vec()),
        ("bytes after the end", [&png[..], &[0xAB; 1000]].concat()),
        ("bytes in place of the end", [&png[..end], &[0xAB; 1000]].concat()),
        ("an unknown chunk", before(&chunk(b"abCd", b"hello"))),
        ("an unknown chunk with a wrong checksum", before(&wrong(b"abCd", b"hello"))),
        ("text with a wrong checksum", before(&wrong(b"tEXt", b"Title\0hello"))),
        ("sizes with a wrong checksum", before(&wrong(b"pHYs", &[0, 0, 11, 19, 0, 0, 11, 19, 1]))),
        ("a profile with a wrong checksum", before(&wrong(b"iCCP", b"name\0\0nonsense"))),
        ("EXIF with a wrong checksum", before(&wrong(b"eXIf", &exif))),
        ("a background for a missing palette", before(&chunk(b"bKGD", &[9]))),
        ("code points that are too short", before(&chunk(b"cICP", &[1]))),
        ("frames out of order", before(&chunk(b"fcTL", &[7; 26]))),
        ("an animation of no frames", before(&chunk(b"acTL", &[0; 8]))),
        (
            "a chunk of data after the end of the data",
            make::insert(&png, end, &[chunk(b"tEXt", b"Title\0hello"), chunk(b"IDAT", b"rubbish")].concat()),
        ),
    ] {
        let photo = decode(name, &bytes);
        assert_eq!((&photo.gray, &photo.damage), (&truth, &None), "{name}");
    }
    // The EXIF chunk may also follow the image data.
    let turned = decode("turned", &make::insert(&png, end, &chunk(b"eXIf", &exif)));
    assert_eq!((turned.width(), turned.height()), (truth.height, truth.width));
}

#[test]
fn a_cut_png_is_decoded_up_to_the_cut_and_the_rest_is_gray() {
    let mut random = Random(9);
    for (depth, color) in [(8, 0), (16, 0), (8, 2), (16, 6), (8, 4), (4, 0)] {
        let (width, height) = (40, 50);
        let png = make::noise_png(width, height, depth, color, false, &[], &mut random);
        let whole = decode("whole", &png);
        for percent in [20, 50, 80, 97] {
            let cut = png[..png.len() * percent / 100].to_vec();
            let photo = decode("cut", &cut);
            assert!(damage(&photo).contains("is missing"), "{}", damage(&photo));
            let same = same_rows(&photo.gray, &whole.gray);
            // The missing pixels are grey. Noise does not compress, so the first 20 % of the bytes contain about 20 %
            // of the rows.
            let wanted = height as usize * percent / 100;
            assert!(same + 4 >= wanted && same <= wanted + 1, "{color}: {same} rows of {percent} %");
            let rest = &photo.gray.luma[same * width as usize..];
            assert!(rest.iter().all(|&luma| luma == mid_gray()), "colour {color}, {percent} %");
            let alpha = photo.alpha.as_deref().unwrap_or_default();
            assert!(alpha.iter().skip(same * width as usize).all(|&alpha| alpha == 255));
        }
        for percent in [3, 8] {
            let cut = png[..png.len() * percent / 100].to_vec();
            assert!(
                matches!(Photo::decode(&cut, &Limits::default()), Err(PhotoError::Broken(_))),
                "{percent} %"
            );
        }
        let answer = Rgb::decode(&png[..png.len() / 2], &Limits::default());
        assert!(matches!(answer, Err(PhotoError::Broken(_))), "a provider's image must be complete");
    }
}

/// The number of equal rows from the top.
fn same_rows(one: &Gray, other: &Gray) -> usize {
    let width = one.width as usize;
    one.luma.chunks(width).zip(other.luma.chunks(width)).take_while(|(one, other)| one == other).count()
}

#[test]
fn a_cut_interlaced_png_is_coarse_where_passes_are_missing() {
    let picture = make::gray_scene(64, 48);
    let mut rows = Vec::new();
    for (columns, y) in make::png_rows(64, 48, true) {
        rows.push(0);
        rows.extend(columns.iter().map(|&x| picture.get_pixel(x as u32, y as u32)[0]));
    }
    // Uncompressed, so that a length in bytes corresponds to a number of rows.
    let mut data = vec![0x78, 0x01, 1];
    data.extend((rows.len() as u16).to_le_bytes());
    data.extend((!(rows.len() as u16)).to_le_bytes());
    data.extend(&rows);
    let png = |length: usize| {
        let bytes = make::png_of((64, 48), 8, 0, true, &[chunk(b"IDAT", &data)]);
        bytes[..41 + 7 + length].to_vec()
    };
    let whole = decode("whole", &png(rows.len())).gray.to_srgb8();
    assert_eq!(whole, picture.clone().into_raw());
    for part in [8, 4, 2] {
        let photo = decode("cut", &png(rows.len() / part));
        assert!(damage(&photo).contains("coarse"), "{}", damage(&photo));
        let got = photo.gray.to_srgb8();
        let apart: u64 = got.iter().zip(&whole).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = apart as f64 / whole.len() as f64;
        assert!(mean > 0.0 && mean < 12.0, "1/{part}: {mean}");
    }
    assert!(Photo::decode(&png(rows.len() / 20), &Limits::default()).is_err());
}

#[test]
fn rows_before_a_fault_in_the_data_are_decoded() {
    let mut random = Random(4);
    let png = make::noise_png(64, 64, 8, 0, false, &[], &mut random);
    let whole = decode("whole", &png);
    // The last 40 % of the chunk's data are invalid.
    let data = make::data(&png);
    let mut wrong = data.clone();
    let from = data.len() * 6 / 10;
    wrong[from..].iter_mut().for_each(|byte| *byte = 0xFF);
    let photo = decode("wrong", &make::png(64, 64, 8, 0, &[chunk(b"IDAT", &wrong)]));
    assert!(photo.damage.is_some());
    let same = same_rows(&photo.gray, &whole.gray);
    assert!((34..=39).contains(&same), "{same} rows");
}

#[test]
fn a_wrong_checksum_of_the_image_data_is_reported() {
    let png = scene_png();
    let at = find(&png, b"IDAT");
    let length = u32::from_be_bytes(png[at - 4..at].try_into().unwrap()) as usize;
    let bytes = make::overwrite(&png, at + 4 + length, b"oops");
    let photo = decode("wrong", &bytes);
    assert_eq!(photo.gray, decode("right", &png).gray);
    assert!(damage(&photo).contains("checksum"));
    // A wrong checksum of a palette or header is an error, because the whole picture could be wrong.
    let palette = make::chunk(b"PLTE", &[0; 768]);
    let mut broken = palette.clone();
    *broken.last_mut().unwrap() ^= 1;
    let mapped = make::png(4, 1, 8, 3, &[broken, chunk(b"IDAT", &make::deflated(&[0, 1, 2, 3, 4]))]);
    assert!(matches!(Photo::decode(&mapped, &Limits::default()), Err(PhotoError::Broken(_))));
    let critical = make::insert(&png, 33, &chunk(b"ABCD", b"?"));
    assert!(matches!(Photo::decode(&critical, &Limits::default()), Err(PhotoError::Unsupported(_))));
}
