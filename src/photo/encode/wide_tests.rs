//! Tests of files with 16 bits per sample, and of TIFF files.

use super::*;

const WIDE: [OutputFormat; 2] = [OutputFormat::Png, OutputFormat::Tiff];

fn wide(format: OutputFormat) -> EncodeOptions {
    EncodeOptions { depth: Depth::Sixteen, ..EncodeOptions::plain(format, 90) }
}

/// A 16-bit grey PNG of 256 x 256 pixels with every value once.
fn ramp() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, 256, 256);
    encoder.set_depth(::png::BitDepth::Sixteen);
    let mut writer = encoder.write_header().unwrap();
    let codes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_be_bytes).collect();
    writer.write_image_data(&codes).unwrap();
    writer.finish().unwrap();
    bytes
}

/// The 16-bit samples of a file, read by another library.
fn samples(file: &[u8], format: OutputFormat) -> Vec<u16> {
    let format = match format {
        OutputFormat::Png => image::ImageFormat::Png,
        _ => image::ImageFormat::Tiff,
    };
    match image::load_from_memory_with_format(file, format).unwrap() {
        image::DynamicImage::ImageRgb16(picture) => picture.into_raw(),
        image::DynamicImage::ImageRgba16(picture) => picture.into_raw(),
        other => panic!("{:?}", other.color()),
    }
}

#[test]
fn a_gray_ramp_of_16_bits_is_nearly_unchanged() {
    let photo = Photo::decode(&ramp(), &Limits::default()).unwrap();
    let neutral = Chroma::new(1, 1, vec![0.0], vec![0.0]).unwrap();
    for format in WIDE {
        let file = encode(&photo, &neutral, &wide(format)).unwrap().bytes;
        let codes = samples(&file, format);
        let pixels = codes.as_chunks::<3>().0;
        for (code, pixel) in pixels.iter().enumerate() {
            let off = pixel.map(|sample| (i32::from(sample) - code as i32).abs());
            assert!(off.iter().all(|&off| off <= 2), "{format}: {code} became {pixel:?}");
            assert!(pixel.iter().max().unwrap() - pixel.iter().min().unwrap() <= 1, "{format}: {pixel:?}");
        }
        let distinct = pixels.iter().map(|pixel| pixel[1]).collect::<std::collections::BTreeSet<_>>().len();
        assert!(distinct >= 60_000, "{format}: {distinct}");
    }
}

#[test]
fn a_ramp_with_constant_chroma_has_no_bands() {
    let photo = Photo::decode(&ramp(), &Limits::default()).unwrap();
    for (a, b) in [(12.0, 18.0), (-9.0, 6.0), (30.0, -40.0)] {
        let chroma = Chroma::new(1, 1, vec![a], vec![b]).unwrap();
        let file = encode(&photo, &chroma, &wide(OutputFormat::Png)).unwrap().bytes;
        let codes = samples(&file, OutputFormat::Png);
        let pixels = codes.as_chunks::<3>().0;
        let steps = |pixels: &[[u16; 3]]| {
            let steps = pixels.windows(2).flat_map(|two| [0, 1, 2].map(|i| two[0][i].abs_diff(two[1][i])));
            steps.max().unwrap()
        };
        // Where sRGB has these colours, a step of the ramp changes a channel by little more than itself.
        let shown = steps(&pixels[20_000..45_000]);
        assert!(shown <= 3, "a* {a}, b* {b}: steps of {shown} inside the gamut");
        // Elsewhere chroma is reduced, exact to a 4,096th. An 8-bit step is 257.
        let all = steps(pixels);
        assert!(all <= 64, "a* {a}, b* {b}: steps of {all}");
    }
}

#[test]
fn the_merged_16_bit_colors_are_exact() {
    use palette::convert::FromColorUnclamped;
    use palette::white_point::D65;
    let mut largest: f64 = 0.0;
    for (step, l) in (0..4000).map(|step| (step, 20.0 + f64::from(step) / 4000.0 * 60.0)) {
        let (a, b) = (f64::from(step % 41 - 20) / 2.0, f64::from(step % 37 - 18) / 2.0);
        let luma = (l * 655.35).round() as u16;
        let photo = Photo::from_gray(Gray { width: 1, height: 1, luma: vec![luma] });
        let chroma = Chroma::new(1, 1, vec![a as f32], vec![b as f32]).unwrap();
        let mut pixel = [0; 3];
        Merge::new(&photo, &chroma).unwrap().wide_rows()(0, &mut pixel);
        let lab = palette::Lab::<D65, f64>::new(f64::from(luma) / 655.35, a, b);
        let exact = palette::Srgb::<f64>::from_color_unclamped(lab);
        for (got, exact) in pixel.into_iter().zip([exact.red, exact.green, exact.blue]) {
            largest = largest.max((f64::from(got) - exact * 65_535.0).abs());
        }
    }
    assert!(largest < 1.0, "{largest}");
}

#[test]
fn opacity_is_written_with_8_and_16_bits() {
    let mut photo = Photo::decode(&ramp(), &Limits::default()).unwrap();
    photo.alpha = Some((0..65_536).map(|i| (i / 7 % 256) as u8).collect());
    let chroma = Chroma::new(1, 1, vec![9.0], vec![9.0]).unwrap();
    for format in WIDE {
        for depth in [Depth::Eight, Depth::Sixteen] {
            let options = EncodeOptions { depth, ..wide(format) };
            let file = encode(&photo, &chroma, &options).unwrap().bytes;
            let again = Photo::decode(&file, &Limits::default()).unwrap();
            assert!(again.alpha == photo.alpha, "{format} with {} bits", depth.bits());
            assert_eq!(again.gray.width, 256);
        }
    }
}

#[test]
fn pictures_of_8_bits_are_widened() {
    let photo = Photo::decode(&ramp(), &Limits::default()).unwrap();
    let rgb = Rgb { width: 256, height: 256, pixels: (0..196_608).map(|i| (i % 251) as u8).collect() };
    for format in WIDE {
        let file = encode_own(&photo, &rgb, &wide(format)).unwrap().bytes;
        assert!(
            samples(&file, format)
                .iter()
                .zip(&rgb.pixels)
                .all(|(&wide, &code)| wide == u16::from(code) * 257)
        );
    }
}

#[test]
fn jpeg_and_webp_have_no_16_bits() {
    let photo = Photo::from_gray(Gray { width: 2, height: 1, luma: vec![9, 9] });
    let chroma = Chroma::new(1, 1, vec![0.0], vec![0.0]).unwrap();
    for format in [OutputFormat::Jpeg, OutputFormat::WebP] {
        let error = encode(&photo, &chroma, &wide(format)).unwrap_err();
        assert!(matches!(&error, PhotoError::Unwritable(words) if words.contains("16 bits")), "{error}");
    }
}

#[test]
fn a_tiff_of_one_pixel_and_a_tiff_of_many_strips_are_read_back() {
    for (width, height) in [(1, 1), (1, 3000), (3000, 1), (900, 700)] {
        let luma = (0..width * height).map(|i| (u64::from(i) * 7919 % 65_536) as u16).collect();
        let photo = Photo::from_gray(Gray { width, height, luma });
        let chroma = Chroma::new(1, 1, vec![4.0], vec![4.0]).unwrap();
        let [tiff, png] = [OutputFormat::Tiff, OutputFormat::Png].map(|format| {
            let file = encode(&photo, &chroma, &EncodeOptions::plain(format, 90)).unwrap().bytes;
            Rgb::decode(&file, &Limits::default()).unwrap()
        });
        assert!(tiff == png, "{width} x {height}");
    }
}
