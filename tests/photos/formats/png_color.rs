//! The colour space of a PNG: cICP, iCCP, sRGB, then gAMA and cHRM, in order of precedence.

use moxcms::ColorProfile;
use pixcolor::photo::{Limits, Photo, PhotoError, Rgb};

use crate::make::{self, Random, chunk};

/// A chunk of 32-bit numbers.
fn numbers(name: &[u8; 4], numbers: &[u32]) -> Vec<u8> {
    chunk(name, &numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<_>>())
}

fn gamma(gamma: u32) -> Vec<u8> {
    numbers(b"gAMA", &[gamma])
}

const ADOBE: [u32; 8] = [31_270, 32_900, 64_000, 33_000, 21_000, 71_000, 15_000, 6_000];
const SRGB: [u32; 8] = [31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000];

fn code_points(primaries: u8, transfer: u8) -> Vec<u8> {
    chunk(b"cICP", &[primaries, transfer, 0, 1])
}

fn icc(profile: &ColorProfile) -> Vec<u8> {
    chunk(b"iCCP", &[b"name\0\0", &make::deflated(&profile.encode().unwrap())[..]].concat())
}

/// The sRGB values of one pixel in a file with these chunks.
fn pixel(color: u8, depth: u8, samples: &[u8], chunks: &[Vec<u8>]) -> [u8; 3] {
    let mut chunks = chunks.to_vec();
    chunks.push(chunk(b"IDAT", &make::deflated(&[&[0], samples].concat())));
    let png = make::png(1, 1, depth, color, &chunks);
    Rgb::decode(&png, &Limits::default()).unwrap().pixels.try_into().unwrap()
}

fn gray(code: u8, chunks: &[Vec<u8>]) -> u8 {
    pixel(0, 8, &[code], chunks)[1]
}

/// The sRGB value of a linear intensity.
fn srgb(light: f64) -> u8 {
    let encoded = if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
    (encoded * 255.0).round() as u8
}

#[track_caller]
fn close(got: u8, wanted: u8, name: &str) {
    assert!(got.abs_diff(wanted) <= 1, "{name}: {got} and not {wanted}");
}

#[test]
fn gamma_applies_to_every_depth_and_color_type() {
    assert_eq!(gray(55, &[gamma(100_000)]), 128);
    for file in [35_000, 55_556, 70_000, 100_000, 250_000] {
        let power = 100_000.0 / f64::from(file);
        for code in [0, 9, 55, 128, 200, 255] {
            let wanted = srgb((f64::from(code) / 255.0).powf(power));
            let name = format!("gamma {file}, code {code}");
            close(gray(code, &[gamma(file)]), wanted, &name);
            close(pixel(0, 16, &[code, code], &[gamma(file)])[0], wanted, &name);
            close(pixel(2, 8, &[code, 0, 255], &[gamma(file)])[0], wanted, &name);
            close(pixel(2, 16, &[0, 0, code, code, 255, 255], &[gamma(file)])[1], wanted, &name);
            // Opacity is linear and has no gamma.
            let over = (f64::from(wanted) * 51.0 / 255.0 + 204.0).round() as u8;
            close(pixel(4, 8, &[code, 51], &[gamma(file)])[0], over, &name);
            close(pixel(6, 8, &[0, 0, code, 51], &[gamma(file)])[2], over, &name);
            let palette = chunk(b"PLTE", &[1, 2, 3, code, code, code]);
            close(pixel(3, 1, &[0x80], &[gamma(file), palette])[0], wanted, &name);
        }
        for (depth, packed, code) in [(1, 0x80, 255), (2, 0x40, 85), (4, 0x70, 119)] {
            let wanted = srgb((f64::from(code) / 255.0).powf(power));
            close(pixel(0, depth, &[packed], &[gamma(file)])[0], wanted, &format!("{depth} bits"));
        }
    }
}

#[test]
fn an_srgb_gamma_or_an_invalid_gamma_changes_nothing() {
    for same in [43_200, 45_454, 45_455, 45_500, 47_700] {
        for beside in [vec![], numbers(b"cHRM", &SRGB)] {
            for code in 0..=255 {
                assert_eq!(gray(code, &[gamma(same), beside.clone()]), code, "gamma {same}");
                assert_eq!(pixel(2, 8, &[code, 9, 99], &[gamma(same), beside.clone()]), [code, 9, 99]);
            }
        }
    }
    for senseless in [0, 1, 15, u32::MAX] {
        assert_eq!(gray(55, &[gamma(senseless)]), 55, "gamma {senseless}");
    }
    assert_eq!(gray(55, &[chunk(b"gAMA", &[0, 1])]), 55, "a chunk that is too short");
}

#[test]
fn primaries_apply_only_together_with_a_gamma() {
    let file = [numbers(b"gAMA", &[45_470]), numbers(b"cHRM", &ADOBE)];
    // Adobe RGB's own profile has the same primaries and almost the same gamma.
    for sample in [[200, 100, 50], [20, 200, 30], [128, 128, 128], [250, 5, 120]] {
        let by_chunks = pixel(2, 8, &sample, &file);
        let by_profile = pixel(2, 8, &sample, &[icc(&ColorProfile::new_adobe_rgb())]);
        for (one, other) in by_chunks.into_iter().zip(by_profile) {
            close(one, other, &format!("{sample:?}"));
        }
        assert_eq!(pixel(2, 8, &sample, &file[1..]), sample, "primaries without a gamma have no effect");
    }
    assert_ne!(pixel(2, 8, &[200, 100, 50], &file), [200, 100, 50]);
    // Invalid primaries are ignored.
    for wrong in
        [[0; 8], [100_000; 8], [31_270, 0, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000], [u32::MAX; 8]]
    {
        let chunks = [gamma(45_455), numbers(b"cHRM", &wrong)];
        assert_eq!(pixel(2, 8, &[200, 100, 50], &chunks), [200, 100, 50], "{wrong:?}");
    }
}

#[test]
fn code_points_are_converted_or_refused_with_a_reason() {
    assert_eq!(pixel(2, 8, &[200, 100, 50], &[code_points(1, 13)]), [200, 100, 50]);
    assert_eq!(pixel(2, 8, &[200, 100, 50], &[code_points(2, 2)]), [200, 100, 50], "not specified");
    assert_eq!(gray(55, &[code_points(12, 13)]), 55, "a grey has no primaries");
    assert_eq!(gray(55, &[code_points(1, 8)]), 128, "linear light");
    let p3 = pixel(2, 8, &[200, 100, 50], &[code_points(12, 13)]);
    let by_profile = pixel(2, 8, &[200, 100, 50], &[icc(&ColorProfile::new_display_p3())]);
    p3.into_iter().zip(by_profile).for_each(|(one, other)| close(one, other, "Display P3"));
    assert_ne!(p3, [200, 100, 50]);
    // BT.709 and BT.2020 have the same curve.
    let light = ((128.0_f64 / 255.0 + 0.099) / 1.099).powf(1.0 / 0.45);
    for (primaries, transfer) in [(1, 1), (9, 14), (9, 15), (6, 6)] {
        let name = format!("{primaries}, {transfer}");
        close(gray(128, &[code_points(primaries, transfer)]), srgb(light), &name);
        let neutral = pixel(2, 8, &[128; 3], &[code_points(primaries, transfer)]);
        neutral.into_iter().for_each(|code| close(code, srgb(light), &name));
    }
    for (points, word) in [
        ([9, 16, 0, 1], "high dynamic range"),
        ([9, 18, 0, 1], "high dynamic range"),
        ([1, 13, 0, 0], "video"),
        ([1, 13, 1, 1], "video"),
        ([200, 13, 0, 1], "unknown"),
        ([1, 200, 0, 1], "unknown"),
    ] {
        let data = chunk(b"IDAT", &make::deflated(&[0, 1, 2, 3]));
        let png = make::png(1, 1, 8, 2, &[chunk(b"cICP", &points), data]);
        match Photo::decode(&png, &Limits::default()) {
            Err(PhotoError::Unsupported(words)) => assert!(words.contains(word), "{points:?}: {words}"),
            other => panic!("{points:?}: {other:?}"),
        }
    }
}

#[test]
fn the_valid_chunk_with_the_highest_precedence_applies() {
    let profile = icc(&ColorProfile::new_gray_with_gamma(1.0));
    let srgb = chunk(b"sRGB", &[0]);
    let half = gamma(200_000);
    let damaged = |mut chunk: Vec<u8>| {
        *chunk.last_mut().unwrap() ^= 1;
        chunk
    };
    let all = [half.clone(), srgb.clone(), profile.clone(), code_points(1, 13)];
    assert_eq!(gray(55, &all), 55, "cICP");
    assert_eq!(gray(55, &all[..3]), 128, "iCCP");
    assert_eq!(gray(55, &all[..2]), 55, "sRGB");
    assert!(gray(55, &all[..1]) > 150, "gAMA");
    assert_eq!(gray(55, &[profile.clone(), damaged(code_points(1, 13))]), 128, "cICP with a wrong checksum");
    assert_eq!(gray(55, &[srgb.clone(), damaged(profile.clone())]), 55, "iCCP with a wrong checksum");
    assert_eq!(gray(55, &[gamma(100_000), damaged(srgb)]), 128, "sRGB with a wrong checksum");
    // An invalid profile is ignored, as is an RGB profile in a grey picture.
    for useless in [chunk(b"iCCP", b"name\0\0nonsense"), icc(&ColorProfile::new_display_p3())] {
        assert_eq!(gray(55, &[useless, gamma(100_000)]), 128);
    }
    // Chunks after the image data have no effect.
    let data = chunk(b"IDAT", &make::deflated(&[0, 55]));
    let late = make::png(1, 1, 8, 0, &[data, gamma(100_000)]);
    assert_eq!(Rgb::decode(&late, &Limits::default()).unwrap().pixels, [55; 3]);
}

#[test]
fn an_srgb_picture_is_unchanged_bit_for_bit() {
    let mut random = Random(3);
    for (depth, color) in [(8, 0), (16, 0), (8, 2), (16, 2), (8, 4), (16, 6)] {
        let mut noise = |chunks: &[Vec<u8>]| {
            random = Random(3);
            Photo::decode(
                &make::noise_png(20, 9, depth, color, false, chunks, &mut random),
                &Limits::default(),
            )
            .unwrap()
        };
        let plain = noise(&[]);
        for chunks in [
            vec![gamma(45_455)],
            vec![gamma(45_455), numbers(b"cHRM", &SRGB)],
            vec![chunk(b"sRGB", &[1])],
            vec![code_points(1, 13)],
        ] {
            assert_eq!(noise(&chunks).gray, plain.gray);
        }
    }
}
