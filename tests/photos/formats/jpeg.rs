//! JPEG with every sampling, progressive, grey and CMYK.

use jpeg_encoder::{ColorType, SamplingFactor};

use super::common::{SIZE, decode, same, same_gray};
use crate::make;

#[test]
fn jpeg_with_every_sampling_baseline_and_progressive_is_decoded() {
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
fn gray_cmyk_and_restart_jpegs_are_decoded() {
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
    same_gray("grey", &encode(&make::gray_scene(SIZE.0, SIZE.1), ColorType::Luma, false), 1.0);
    same("restarts", &encode(&picture, ColorType::Rgb, true), 1.0);
    // Black is 255 minus the brightest channel. The other inks are 255 minus a channel's share of the brightest one.
    let inks: Vec<u8> = picture
        .pixels()
        .flat_map(|pixel| {
            let most = pixel.0.into_iter().max().unwrap().max(1);
            let ink = |code: u8| 255 - (u32::from(code) * 255 / u32::from(most)) as u8;
            [ink(pixel[0]), ink(pixel[1]), ink(pixel[2]), 255 - most]
        })
        .collect();
    // Like Photoshop, the encoder writes Adobe's segment and inverts the values.
    same("CMYK", &encode(&inks, ColorType::Cmyk, false), 1.0);
    same("YCCK", &encode(&inks, ColorType::CmykAsYcck, false), 1.5);
    // Without Adobe's segment the values are not inverted.
    let inverted: Vec<u8> = inks.iter().map(|ink| 255 - ink).collect();
    let adobe = encode(&inverted, ColorType::Cmyk, false);
    let at = make::find(&adobe, b"Adobe") - 4;
    same("CMYK without Adobe", &[&adobe[..at], &adobe[at + 16..]].concat(), 1.0);
}

#[test]
fn a_cmyk_jpeg_is_converted_to_srgb_by_its_profile() {
    // Lightness of a press's inks on its paper: full cyan is much darker than cyan on a screen.
    let lightness = |inks: [bool; 4]| match inks {
        [false, false, false, false] => 100.0,
        [true, false, false, false] => 55.0,
        [false, true, false, false] => 48.0,
        [false, false, true, false] => 88.0,
        [false, false, false, true] => 22.0,
        _ => 10.0,
    };
    let profile = make::ink_profile(|inks| [lightness(inks), 0.0, 0.0]);
    // One blank stripe, and one for each ink.
    let stripes = [[false; 4], [true, false, false, false], [false, true, false, false]];
    let stripes = [&stripes[..], &[[false, false, true, false], [false, false, false, true]]].concat();
    let (width, height) = (32 * stripes.len() as u16, 32_u16);
    let inks: Vec<u8> = (0..usize::from(width) * usize::from(height))
        .flat_map(|at| stripes[at % usize::from(width) / 32].map(|ink| if ink { 255 } else { 0 }))
        .collect();
    let encode = |profile: Option<&[u8]>| {
        let mut bytes = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 97);
        if let Some(profile) = profile {
            encoder.add_icc_profile(profile).unwrap();
        }
        encoder.encode(&inks, width, height, ColorType::Cmyk).unwrap();
        bytes
    };
    let in_the_middle = |bytes: &[u8]| {
        let gray = decode("inks", bytes).gray;
        let row = 16 * usize::from(width);
        (0..stripes.len())
            .map(|stripe| f64::from(gray.luma[row + stripe * 32 + 16]) / 655.35)
            .collect::<Vec<_>>()
    };
    let printed = in_the_middle(&encode(Some(&profile)));
    for (got, inks) in printed.iter().zip(&stripes) {
        assert!((got - f64::from(lightness(*inks))).abs() < 1.5, "{inks:?}: L* {got}");
    }
    // Without a profile, cyan is as light as on a screen.
    let screen = in_the_middle(&encode(None));
    assert!((screen[1] - 91.1).abs() < 1.5 && screen[4] < 1.0, "{screen:?}");
}
