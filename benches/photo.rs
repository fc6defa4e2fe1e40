//! Measures the time of each step for one photo on one core, at 1, 12 and 50 megapixels: `cargo bench --bench photo`.
//! `cargo bench --bench photo -- 12MP` measures one size, `-- merge` measures one step.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot start may panic")]

mod photograph;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use image::{DynamicImage, ImageFormat, RgbImage};
use photograph::{LIMITS, SIZES, jpeg, photograph};
use pixcolor::photo::{
    Chroma, EncodeOptions, Encoded, OutputFormat, Photo, Rgb, encode, encode_own, fuzzing,
};

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

/// The photograph's own colour at another size, as an ideal provider would return it.
fn chroma(width: u32, height: u32) -> Chroma {
    let pixels = photograph(width, height).into_raw();
    Rgb { width, height, pixels }.chroma().unwrap()
}

/// Measures the step of an encoding whose time `part` returns: computing the pixels, or encoding them.
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
        // Creating the files takes longer than measuring, so if an argument names a size, only that size is created.
        let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
        if wanted.is_some_and(|wanted| {
            SIZES.iter().any(|(name, ..)| wanted.contains(name)) && !wanted.contains(size)
        }) {
            continue;
        }
        let picture = photograph(width, height);
        let color = DynamicImage::ImageRgb8(picture.clone());
        let gray = DynamicImage::ImageLuma8(color.to_luma8());
        let mut group = criterion.benchmark_group(size);
        group.sample_size(10);
        group.warm_up_time(Duration::from_millis(500));

        let files = [
            ("decode JPEG, colour", jpeg(&color)),
            ("decode JPEG, grey", jpeg(&gray)),
            ("decode JPEG, progressive", progressive(&picture)),
            ("decode PNG, grey", file(&gray, ImageFormat::Png)),
            ("decode PNG, colour", file(&color, ImageFormat::Png)),
            ("decode WebP", webp(&picture)),
            ("decode TIFF", file(&color, ImageFormat::Tiff)),
        ];
        for (name, file) in &files {
            group.bench_function(*name, |bench| bench.iter(|| Photo::decode(file, &LIMITS).unwrap()));
        }
        for (name, file) in files[..3].iter().map(|(name, file)| (name.replace("decode", "check"), file)) {
            group.bench_function(name, |bench| {
                bench.iter(|| fuzzing::jpeg_damage(file, &LIMITS).unwrap());
            });
        }
        let photo = Photo::decode(&files[0].1, &LIMITS).unwrap();
        drop(files);

        let rgb = Rgb { width, height, pixels: picture.into_raw() };
        group.bench_function("luminance of RGB", |bench| bench.iter(|| rgb.gray()));
        drop(rgb);
        group.bench_function("pixel key", |bench| bench.iter(|| photo.pixel_key()));
        group.bench_function("grey for a provider", |bench| bench.iter(|| photo.gray_for(500_000)));

        let options = |format| EncodeOptions::plain(format, 90);
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
