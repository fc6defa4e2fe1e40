//! Typical old photographs: toned, yellowed, bordered, faxed, tiny, huge and very long. All results must be plausible.
//! The test writes a contact sheet, so that a person can look at the results.

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb as Pixel, RgbImage};
use pixcolor::photo::{Chroma, EncodeOptions, Limits, OutputFormat, Photo, Rgb, encode, luma_correlation};

use crate::make::{self, Random};

/// One upload, and the picture's true colours, which an ideal provider would return.
pub struct Case {
    pub name: &'static str,
    pub upload: Vec<u8>,
    pub truth: RgbImage,
}

/// A colour photograph. The cases are made from this one and [`launch`].
fn portrait() -> RgbImage {
    image::load_from_memory(include_bytes!("../data/grace_hopper.jpg")).unwrap().to_rgb8()
}

fn launch() -> RgbImage {
    image::load_from_memory(include_bytes!("../data/rocket.jpg")).unwrap().to_rgb8()
}

fn gray(picture: &RgbImage) -> GrayImage {
    DynamicImage::ImageRgb8(picture.clone()).to_luma8()
}

/// Maps the grey of each pixel to a colour that may depend on the position.
fn toned(picture: &RgbImage, tone: impl Fn(f32, u32, u32) -> [f32; 3]) -> RgbImage {
    let gray = gray(picture);
    RgbImage::from_fn(gray.width(), gray.height(), |x, y| {
        let [r, g, b] = tone(f32::from(gray.get_pixel(x, y)[0]) / 255.0, x, y);
        Pixel([r, g, b].map(|value| (value * 255.0).clamp(0.0, 255.0) as u8))
    })
}

fn sepia(value: f32) -> [f32; 3] {
    [0.16 + 0.82 * value, 0.10 + 0.82 * value, 0.05 + 0.72 * value]
}

/// Unevenly yellowed paper with brown spots.
fn yellowed(value: f32, x: u32, y: u32) -> [f32; 3] {
    let (x, y) = (x as f32, y as f32);
    let age = 0.08 * ((x / 130.0).sin() * (y / 90.0).cos() + 0.6);
    let spot = |cx: f32, cy: f32, r: f32| (-((x - cx).powi(2) + (y - cy).powi(2)) / (r * r)).exp() * 0.3;
    let stain = spot(90.0, 420.0, 30.0) + spot(400.0, 90.0, 18.0) + spot(330.0, 520.0, 12.0);
    let ink = 0.08 + 0.9 * value;
    [ink * (0.98 - 0.1 * stain), ink * (0.94 - 0.3 * age - 0.5 * stain), ink * (0.80 - age - 0.9 * stain)]
}

/// Black and white dots, as in a one-bit scan (Floyd-Steinberg dithering).
fn dithered(picture: &RgbImage) -> GrayImage {
    let mut picture = gray(picture);
    imageops::dither(&mut picture, &imageops::BiLevel);
    picture
}

/// A TIFF with one bit per pixel; black is zero.
fn bilevel_tiff(picture: &GrayImage) -> Vec<u8> {
    let packed: Vec<u8> = picture
        .rows()
        .flat_map(|row| {
            let bits: Vec<bool> = row.map(|pixel| pixel[0] > 127).collect();
            bits.chunks(8)
                .map(|byte| (0..8).fold(0, |sum, i| sum << 1 | u8::from(byte.get(i) == Some(&true))))
                .collect::<Vec<_>>()
        })
        .collect();
    make::tiff(&make::strip(picture.width(), picture.height(), 1, 1, 1, 1, &packed), &packed, 0)
}

/// The picture tilted, on white paper with a torn corner, on a dark scanner bed.
fn bordered(picture: &RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    let (outer, paper) = (60_u32, 30_u32);
    RgbImage::from_fn(width + 2 * outer, height + 2 * outer, |x, y| {
        let (u, v) = (x as f32 + y as f32 * 0.02 - 5.0, y as f32 - x as f32 * 0.02 + 5.0);
        let inside = |margin: f32| {
            u >= margin
                && v >= margin
                && u < (width + 2 * outer) as f32 - margin
                && v < (height + 2 * outer) as f32 - margin
        };
        if inside(outer as f32) {
            let gray = picture.get_pixel(u as u32 - outer, v as u32 - outer);
            Pixel(
                [DynamicImage::ImageRgb8(RgbImage::from_pixel(1, 1, *gray)).to_luma8().get_pixel(0, 0)[0]; 3],
            )
        } else if inside(paper as f32) && u + v > 130.0 {
            Pixel([238, 233, 220])
        } else {
            Pixel([22, 22, 24])
        }
    })
}

/// Dots that grow with darkness, as in a newspaper.
fn halftone(picture: &RgbImage) -> GrayImage {
    let picture = gray(picture);
    GrayImage::from_fn(picture.width(), picture.height(), |x, y| {
        let (u, v) = ((x as f32 + y as f32) * 0.9, (x as f32 - y as f32) * 0.9);
        let screen = 0.5 + 0.25 * (u.sin() + v.sin());
        Luma([if f32::from(picture.get_pixel(x, y)[0]) / 255.0 > screen { 250 } else { 15 }])
    })
}

fn resized(picture: &RgbImage, width: u32, height: u32) -> RgbImage {
    imageops::resize(picture, width, height, FilterType::CatmullRom)
}

/// All cases, as files.
pub fn cases() -> Vec<Case> {
    let (portrait, launch) = (portrait(), launch());
    let jpeg = |picture: RgbImage| make::file(&picture.into(), ImageFormat::Jpeg);
    let png = |picture: GrayImage| make::file(&picture.into(), ImageFormat::Png);
    let mut random = Random(3);
    let mut grain = |value: f32| value + 0.09 * random.normal();
    let grainy = {
        let mut picture = gray(&portrait);
        picture
            .iter_mut()
            .for_each(|code| *code = (grain(f32::from(*code) / 255.0) * 255.0).clamp(0.0, 255.0) as u8);
        picture
    };
    let mut rough = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut rough, 8);
    encoder.encode(&gray(&portrait), 512, 600, jpeg_encoder::ColorType::Luma).unwrap();
    let oval = {
        let mut picture = DynamicImage::ImageLuma8(gray(&portrait)).to_luma_alpha8();
        for (x, y, pixel) in picture.enumerate_pixels_mut() {
            let (u, v) = (x as f32 / 256.0 - 1.0, y as f32 / 300.0 - 1.0);
            pixel[1] = ((1.0 - u.hypot(v)) * 8.0 * 255.0).clamp(0.0, 255.0) as u8;
        }
        make::file(&DynamicImage::ImageLumaA8(picture), ImageFormat::Png)
    };
    let bordered_truth = {
        let mut truth = RgbImage::from_pixel(632, 720, Pixel([128; 3]));
        imageops::replace(&mut truth, &portrait, 60, 60);
        truth
    };
    let strip = resized(&launch, 3000, 40);
    let tower = resized(&portrait, 40, 3000);
    let huge = resized(&launch, 8000, 1000);
    let tiny = resized(&portrait, 55, 64);
    let case = |name, upload, truth: &RgbImage| Case { name, upload, truth: truth.clone() };
    vec![
        case("grey", png(gray(&portrait)), &portrait),
        case("sepia", jpeg(toned(&portrait, |value, _, _| sepia(value))), &portrait),
        case("yellowed", jpeg(toned(&portrait, yellowed)), &portrait),
        case("faded", jpeg(toned(&launch, |value, _, _| [0.55 + 0.25 * value; 3])), &launch),
        case("too dark", jpeg(toned(&launch, |value, _, _| [value * value * 0.5; 3])), &launch),
        case("bordered", jpeg(bordered(&portrait)), &bordered_truth),
        case("one bit", bilevel_tiff(&dithered(&portrait)), &portrait),
        case("halftone", png(halftone(&portrait)), &portrait),
        case("grain", png(grainy), &portrait),
        case("compressed as much as possible", rough, &portrait),
        case("oval on transparency", oval, &portrait),
        case("64 pixels", png(gray(&tiny)), &tiny),
        case("8,000 pixels", jpeg(toned(&huge, |value, _, _| [value; 3])), &huge),
        case("3,000 x 40", png(gray(&strip)), &strip),
        case("40 x 3,000", png(gray(&tower)), &tower),
        case(
            "one pixel",
            png(GrayImage::from_pixel(1, 1, Luma([140]))),
            &RgbImage::from_pixel(1, 1, Pixel([180, 120, 90])),
        ),
    ]
}

/// An ideal provider's result for a grey picture of this size: the true chroma at an eighth of the size.
fn ideal(truth: &RgbImage, width: u32, height: u32) -> Chroma {
    let small = imageops::resize(truth, (width / 8).max(1), (height / 8).max(1), FilterType::Triangle);
    Rgb { width: small.width(), height: small.height(), pixels: small.into_raw() }.chroma().unwrap()
}

fn thumbnail(file: &[u8]) -> RgbImage {
    let rgb = Rgb::decode(file, &Limits::default()).unwrap();
    let picture = RgbImage::from_raw(rgb.width, rgb.height, rgb.pixels).unwrap();
    let scale = (300.0 / f64::from(rgb.width)).min(300.0 / f64::from(rgb.height));
    let side = |side: u32| ((f64::from(side) * scale) as u32).max(4);
    imageops::resize(&picture, side(rgb.width), side(rgb.height), FilterType::Triangle)
}

#[test]
fn old_photographs_give_plausible_results() {
    let cases = cases();
    let mut sheet = RgbImage::from_pixel(4 * 620, cases.len().div_ceil(4) as u32 * 310, Pixel([96; 3]));
    for (i, case) in cases.iter().enumerate() {
        let name = case.name;
        let photo = Photo::decode(&case.upload, &Limits::default()).unwrap();
        assert!(
            !photo.is_colored(),
            "{name} must not count as a colour photograph: {} {}",
            photo.color.spread(),
            photo.color.spread_across()
        );
        let gray = photo.gray_for(500_000);
        let chroma = ideal(&case.truth, gray.width, gray.height);
        let options = EncodeOptions::plain(OutputFormat::Png, 90);
        let file = encode(&photo, &chroma, &options).unwrap().bytes;
        let result = Photo::decode(&file, &Limits::default()).unwrap();
        assert_eq!((result.width(), result.height()), (photo.width(), photo.height()), "{name}");
        assert_eq!(result.alpha.is_some(), photo.alpha.is_some(), "{name}");
        assert!(luma_correlation(&photo.gray, &result.gray) > 0.999, "{name}: luminance is not the photo's");
        let far =
            photo.gray.luma.iter().zip(&result.gray.luma).filter(|(a, b)| a.abs_diff(**b) > 656).count();
        assert_eq!(far, 0, "{name}: luminance changed by more than 1 L*");
        assert!(result.color.mean_chroma() > 2.0, "{name} got no colour: {}", result.color.mean_chroma());
        let (x, y) = (i as i64 % 4 * 620, i as i64 / 4 * 310);
        imageops::replace(&mut sheet, &thumbnail(&case.upload), x + 5, y + 5);
        imageops::replace(&mut sheet, &thumbnail(&file), x + 310, y + 5);
    }
    // `tests/run` sets a folder for pictures that people inspect.
    let folder =
        std::env::var_os("PIXCOLOR_TEST_OUTPUT").unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
    let path = std::path::PathBuf::from(folder).join("old-photographs.png");
    sheet.save(&path).unwrap();
    println!("the sheet is {}", path.display());
}
