//! What a photo costs, step by step, on one core, at 1, 12 and 50 megapixels: `cargo bench --bench photo`.
//! `cargo bench --bench photo -- 12MP` measures one size, `-- merge` one step.

#![allow(clippy::unwrap_used, reason = "a bench that cannot begin may panic")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageFormat, RgbImage};
use pixcolor::photo::{Chroma, EncodeOptions, Encoded, Limits, OutputFormat, Photo, Rgb, encode, encode_own};

/// Name, width, height.
const SIZES: [(&str, u32, u32); 3] = [("1MP", 1155, 866), ("12MP", 4000, 3000), ("50MP", 8160, 6120)];

/// A photograph of the wanted size, enlarged from a small one, with film grain: smooth pictures are
/// compressed and decoded faster than real ones.
fn photograph(width: u32, height: u32) -> RgbImage {
    let small = image::load_from_memory(include_bytes!("../tests/data/rocket.jpg")).unwrap().to_rgb8();
    let mut large = imageops::resize(&small, width, height, FilterType::CatmullRom);
    let mut state = 1_u32;
    for pixel in large.pixels_mut() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = (state >> 28) as u8;
        pixel.0 = pixel.0.map(|code| code.saturating_add(grain).saturating_sub(8));
    }
    large
}

fn jpeg(picture: &DynamicImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90).encode_image(picture).unwrap();
    bytes
}

fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn progressive(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 90);
    encoder.set_progressive(true);
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
    let (width, height) = (picture.width() as u16, picture.height() as u16);
    encoder.encode(picture, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
    bytes
}

fn webp(picture: &RgbImage) -> Vec<u8> {
    let encoder = webpx::Encoder::new_rgb(picture, picture.width(), picture.height());
    encoder.quality(90.0).method(1).encode(webpx::Unstoppable).unwrap()
}

/// The photograph's own colour at another size: what an ideal provider would answer.
fn chroma(width: u32, height: u32) -> Chroma {
    let pixels = photograph(width, height).into_raw();
    Rgb { width, height, pixels }.chroma().unwrap()
}

/// Measures the part of an encoding that is asked for.
fn part(
    group: &mut BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    run: impl Fn() -> Encoded,
    part: fn(&Encoded) -> Duration,
) {
    group.bench_function(name, |bench| {
        bench.iter_custom(|count| (0..count).map(|_| part(&black_box(run()))).sum());
    });
}

fn steps(criterion: &mut Criterion) {
    for (size, width, height) in SIZES {
        let picture = photograph(width, height);
        let colour = DynamicImage::ImageRgb8(picture.clone());
        let grey = DynamicImage::ImageLuma8(colour.to_luma8());
        let mut group = criterion.benchmark_group(size);
        group.sample_size(10);
        group.warm_up_time(Duration::from_millis(500));

        let limits = Limits { max_pixels: 60_000_000, max_side: 16_384 };
        let files = [
            ("decode JPEG, colour", jpeg(&colour)),
            ("decode JPEG, grey", jpeg(&grey)),
            ("decode JPEG, progressive", progressive(&picture)),
            ("decode PNG, grey", file(&grey, ImageFormat::Png)),
            ("decode PNG, colour", file(&colour, ImageFormat::Png)),
            ("decode WebP", webp(&picture)),
            ("decode TIFF", file(&colour, ImageFormat::Tiff)),
        ];
        for (name, file) in &files {
            group.bench_function(*name, |bench| bench.iter(|| Photo::decode(file, &limits).unwrap()));
        }
        let photo = Photo::decode(&files[0].1, &limits).unwrap();
        drop(files);

        let rgb = Rgb { width, height, pixels: picture.into_raw() };
        group.bench_function("luminance of RGB", |bench| bench.iter(|| rgb.grey()));
        drop(rgb);
        group.bench_function("pixel key", |bench| bench.iter(|| photo.pixel_key()));
        group.bench_function("grey for a provider", |bench| bench.iter(|| photo.grey_for(500_000)));

        let options = |format| EncodeOptions { format, quality: 90, note: None };
        let (fine, coarse) = (chroma(816, 612), chroma(64, 64));
        let (jpeg, png) = (options(OutputFormat::Jpeg), options(OutputFormat::Png));
        part(&mut group, "merge", || encode(&photo, &fine, &jpeg).unwrap(), |done| done.merge);
        part(&mut group, "merge, 64x64", || encode(&photo, &coarse, &jpeg).unwrap(), |done| done.merge);
        let own = Rgb { width: 816, height: 612, pixels: vec![90; 816 * 612 * 3] };
        part(&mut group, "own pixels", || encode_own(&photo, &own, &jpeg).unwrap(), |done| done.merge);
        part(&mut group, "encode JPEG", || encode(&photo, &fine, &jpeg).unwrap(), |done| done.encode);
        part(&mut group, "encode PNG", || encode(&photo, &fine, &png).unwrap(), |done| done.encode);
        let webp = options(OutputFormat::WebP);
        part(&mut group, "encode WebP", || encode(&photo, &fine, &webp).unwrap(), |done| done.encode);
        group.finish();
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
