use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::*;
use crate::photo::decode::jpeg::{IntactJpeg, mend};
use crate::photo::decode::sink::RgbSink;
use crate::photo::jpeg::marker::SOF0;

const SIZE: (u32, u32) = (61, 47);

/// Pseudo-random numbers.
struct Random(u32);

impl Random {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as usize
    }
}

fn file(color: ColorType, sampling: SamplingFactor, restart: u16) -> Vec<u8> {
    file_of(SIZE, 90, color, sampling, restart)
}

fn file_of(
    size: (u32, u32),
    quality: u8,
    color: ColorType,
    sampling: SamplingFactor,
    restart: u16,
) -> Vec<u8> {
    let mut random = Random(5);
    let samples = match color {
        ColorType::Luma => 1,
        ColorType::Cmyk => 4,
        _ => 3,
    };
    let pixels: Vec<u8> =
        (0..size.0 * size.1 * samples).map(|i| (i as usize / 7 + random.next() % 40) as u8).collect();
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(sampling);
    encoder.set_restart_interval(restart);
    encoder.encode(&pixels, size.0 as u16, size.1 as u16, color).unwrap();
    bytes
}

fn files() -> [Vec<u8>; 4] {
    [
        file(ColorType::Luma, SamplingFactor::F_1_1, 0),
        file(ColorType::Rgb, SamplingFactor::F_1_1, 3),
        file(ColorType::Rgb, SamplingFactor::F_2_1, 0),
        file(ColorType::Rgb, SamplingFactor::F_2_2, 2),
    ]
}

#[test]
fn exactly_the_undamaged_files_are_decoded() {
    let mut random = Random(1);
    let (mut decoded, mut damaged) = (0, 0);
    for file in files() {
        for _ in 0..1500 {
            let mut changed = file.clone();
            for _ in 0..random.next() % 3 {
                let at = 2 + random.next() % (changed.len() - 4);
                changed[at] ^= 1 << (random.next() % 8);
            }
            let Ok(layout) = JpegLayout::of(&changed) else { continue };
            let Ok(IntactJpeg { layout, colors, .. }) = IntactJpeg::of(&changed, layout, SIZE) else {
                continue;
            };
            let Some(baseline) = Baseline::of(&changed, &layout, SIZE, colors) else { continue };
            if baseline.components().is_none() {
                // A table is missing.
                continue;
            }
            let mut sink = RgbSink::new(true);
            let file =
                IntactJpeg { bytes: &changed, layout: JpegLayout::of(&changed).unwrap(), size: SIZE, colors };
            let done = baseline.decode(&mut Feed::new(file.source(file.channels()), &mut sink)).is_some();
            let intact = matches!(mend::check(&changed, &layout, SIZE), Ok(None));
            assert_eq!(done, intact);
            if done { decoded += 1 } else { damaged += 1 }
        }
    }
    assert!(decoded > 1000 && damaged > 500, "{decoded} decoded, {damaged} damaged");
}

#[test]
fn files_of_another_structure_are_left_to_other_decoders() {
    let files = [
        include_bytes!("../../../../../tests/data/progressive-420.jpg").to_vec(),
        file(ColorType::Cmyk, SamplingFactor::F_1_1, 0),
        file(ColorType::Rgb, SamplingFactor::F_4_1, 0),
    ];
    for bytes in files {
        let file = IntactJpeg::of(&bytes, JpegLayout::of(&bytes).unwrap(), SIZE).unwrap();
        assert!(Baseline::of(&bytes, &file.layout, SIZE, file.colors).is_none());
    }
}

/// The pixels by this decoder and by zune-jpeg; `None` if the file is not for this decoder.
fn decoded(bytes: &[u8], size: (u32, u32)) -> Option<[Vec<[u8; 3]>; 2]> {
    let file = IntactJpeg::of(bytes, JpegLayout::of(bytes).unwrap(), size).unwrap();
    let (mut ours, mut theirs) = (RgbSink::new(true), RgbSink::new(true));
    file.baseline(&mut ours)?;
    file.decode(&mut theirs).unwrap();
    let upright = image::metadata::Orientation::NoTransforms;
    Some([ours, theirs].map(|sink| sink.stored(upright).pixels))
}

#[test]
fn samples_are_those_of_zune_jpeg() {
    use ColorType::{Luma, Rgb};
    use SamplingFactor::{F_1_1, F_1_2, F_2_1, F_2_2};
    for size in [(1, 1), (5, 9), (16, 16), (17, 33), (64, 48), (123, 77), (300, 31)] {
        for (color, sampling) in [(Luma, F_1_1), (Rgb, F_1_1), (Rgb, F_1_2), (Rgb, F_2_1), (Rgb, F_2_2)] {
            for quality in [20, 75, 92, 100] {
                let bytes = file_of(size, quality, color, sampling, quality.into());
                let [ours, theirs] = decoded(&bytes, size).unwrap();
                assert!(ours == theirs, "{color:?} {sampling:?} {size:?}, quality {quality}");
            }
        }
    }
}

#[test]
fn coefficients_that_overflow_give_the_samples_of_zune_jpeg() {
    let mut bytes = file_of(SIZE, 100, ColorType::Luma, SamplingFactor::F_1_1, 0);
    let table = bytes.windows(2).position(|pair| pair == [0xFF, DQT]).unwrap() + 5;
    // Large steps for coefficients that were stored with steps of 1. The first one must be plausible.
    bytes[table + 1..table + 64].fill(255);
    let [ours, theirs] = decoded(&bytes, SIZE).unwrap();
    assert!(ours == theirs);
    assert!(ours.iter().any(|pixel| pixel[0] == 0) && ours.iter().any(|pixel| pixel[0] == 255));
}

#[test]
fn files_that_zune_jpeg_refuses_or_sees_in_other_colors_are_left_to_other_decoders() {
    let adobe = b"\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0\0";
    let color = file(ColorType::Rgb, SamplingFactor::F_2_2, 0);
    let frame = |bytes: &[u8]| bytes.windows(2).position(|pair| pair == [0xFF, SOF0]).unwrap();
    assert!(decoded(&color, SIZE).is_some());
    assert!(decoded(&[&color[..2], adobe, &color[2..]].concat(), SIZE).is_none(), "JFIF and Adobe differ");
    let at = frame(&color);
    let mut named = color.clone();
    let scan = color.windows(2).position(|pair| pair == [0xFF, SOS]).unwrap();
    for (i, id) in b"RGB".iter().enumerate() {
        (named[at + 10 + 3 * i], named[scan + 5 + 2 * i]) = (*id, *id);
    }
    assert!(decoded(&named, SIZE).is_none(), "JFIF and component ids differ");
    let zeros = [&color[..at], &[0; 4], &color[at..]].concat();
    assert!(decoded(&zeros, SIZE).is_none(), "bytes between segments");
    let mut thirds = file(ColorType::Luma, SamplingFactor::F_1_1, 0);
    let sampling = frame(&thirds) + 11;
    thirds[sampling] = 0x13;
    assert!(decoded(&thirds, SIZE).is_none(), "a sampling factor of three");
}
