//! Memory to decode and encode a photo. It must not exceed what the header predicts, because the decoder's permit
//! reserves only that amount. At 50 megapixels it must be less than 350 MB.

use std::io::{Cursor, Write};

use jpeg_encoder::{ImageBuffer, JpegColorType, SamplingFactor, rgb_to_ycbcr};
use pixcolor::photo::{
    Chroma, DecodeOptions, Depth, EncodeOptions, Limits, OutputFormat, Photo, PhotoError, encode,
    encode_upload, read_head,
};
use tiff::encoder::colortype::{RGB8, RGB16};

use crate::{child, make};

/// Limit for the whole process at 50 megapixels: 350 MB minus 60 MB for the built-in network and the server.
const MOST: u64 = 290_000_000;

/// Bytes for each column of a picture that the prediction omits: row buffers, tables, and memory that the allocator
/// retains.
const SLACK: u64 = 4_000;

type Size = (u32, u32);
const LARGE: Size = (8160, 6120);
const USUAL: Size = (4000, 3000);

/// One row of a picture with soft shapes and some grain.
fn row(y: u32, width: u32) -> Vec<[u8; 3]> {
    let mut random = make::Random(y.into());
    // A random number for each pixel would take longer than the codecs do.
    let grains: [u32; 61] = std::array::from_fn(|_| random.next() as u32 % 12);
    (0..width)
        .map(|x| {
            let wave = 60 + (x / 40 + y / 30) % 120;
            let grain = grains[(x % 61) as usize];
            [wave + grain, wave * 9 / 10 + grain, wave * 7 / 10 + grain].map(|value| value as u8)
        })
        .collect()
}

fn pixels(size: Size) -> Vec<u8> {
    (0..size.1).flat_map(|y| row(y, size.0)).flatten().collect()
}

struct Rows(Size, JpegColorType);

impl ImageBuffer for Rows {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        self.1
    }

    fn width(&self) -> u16 {
        self.0.0 as u16
    }

    fn height(&self) -> u16 {
        self.0.1 as u16
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        for [r, g, b] in row(y.into(), self.0.0) {
            let (luma, cb, cr) = rgb_to_ycbcr(r, g, b);
            let samples = match self.1 {
                JpegColorType::Ycbcr => [luma, cb, cr, 0],
                _ => [r, g, b, 200],
            };
            buffers.iter_mut().zip(samples).for_each(|(buffer, sample)| buffer.push(sample));
        }
    }
}

fn jpeg(size: Size, kind: JpegColorType, progressive: bool, sampling: SamplingFactor, turned: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 80);
    encoder.set_progressive(progressive);
    encoder.set_sampling_factor(sampling);
    encoder.add_app_segment(1, [b"Exif\0\0", &make::exif(turned)[..]].concat()).unwrap();
    encoder.encode_image(Rows(size, kind)).unwrap();
    bytes
}

/// A PNG of 16 bits with opacity, which is the kind with the most bytes per pixel.
fn png(size: Size) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size.0, size.1);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Sixteen);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().unwrap();
    let mut stream = writer.stream_writer_with_size(1 << 20).unwrap();
    for y in 0..size.1 {
        // Without grain, because the file would otherwise exceed the upload limit.
        let row: Vec<u8> =
            (0..size.0).flat_map(|x| [(x / 32 + y / 16) as u8, 0, 90, 0, 80, 0, 200, 0]).collect();
        stream.write_all(&row).unwrap();
    }
    stream.finish().unwrap();
    writer.finish().unwrap();
    bytes
}

fn webp(size: Size, alpha: bool, lossless: bool) -> Vec<u8> {
    let mut pixels = pixels(size);
    if alpha {
        pixels = pixels.as_chunks::<3>().0.iter().flat_map(|&[r, g, b]| [r, g, b, r]).collect();
    }
    let encoder = match alpha {
        true => webpx::Encoder::new_rgba(&pixels, size.0, size.1),
        false => webpx::Encoder::new_rgb(&pixels, size.0, size.1),
    };
    encoder.quality(20.0).method(0).lossless(lossless).encode(webpx::Unstoppable).unwrap()
}

/// A TIFF with all rows in one strip, as some scanners write it.
fn tiff(size: Size, wide: bool) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let encoder = tiff::encoder::TiffEncoder::new(&mut bytes).unwrap();
    let mut encoder = encoder.with_compression(tiff::encoder::Compression::Lzw);
    // Without grain, as above.
    let even = (0..size.1).flat_map(|y| (0..size.0 * 3).map(move |x| (x / 96 + y / 16) as u8));
    if wide {
        let mut image = encoder.new_image::<RGB16>(size.0, size.1).unwrap();
        image.rows_per_strip(size.1).unwrap();
        image.write_data(&even.map(|code| u16::from(code) * 257).collect::<Vec<_>>()).unwrap();
    } else {
        let mut image = encoder.new_image::<RGB8>(size.0, size.1).unwrap();
        image.rows_per_strip(size.1).unwrap();
        image.write_data(&even.collect::<Vec<_>>()).unwrap();
    }
    bytes.into_inner()
}

fn bmp(size: Size) -> Vec<u8> {
    let picture = image::RgbImage::from_raw(size.0, size.1, pixels(size)).unwrap();
    make::file(&picture.into(), image::ImageFormat::Bmp)
}

/// A JPEG XL file that libjxl writes.
fn jxl(size: Size, arguments: &[&str]) -> Vec<u8> {
    let header = format!("P6 {} {} 255\n", size.0, size.1).into_bytes();
    crate::against::libjxl::cjxl(&[header, pixels(size)].concat(), "ppm", arguments)
}

/// A PNG of 16-bit noise, which cannot be compressed.
fn noise(size: Size, channels: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size.0, size.1);
    encoder.set_color(if channels == 3 { png::ColorType::Rgb } else { png::ColorType::Rgba });
    encoder.set_depth(png::BitDepth::Sixteen);
    encoder.set_compression(png::Compression::NoCompression);
    let mut writer = encoder.write_header().unwrap();
    let mut stream = writer.stream_writer_with_size(1 << 20).unwrap();
    let mut random = make::Random(5);
    for _ in 0..size.1 {
        let row: Vec<u8> =
            (0..size.0 as usize * channels / 4 + 1).flat_map(|_| random.next().to_le_bytes()).collect();
        stream.write_all(&row[..size.0 as usize * channels * 2]).unwrap();
    }
    stream.finish().unwrap();
    writer.finish().unwrap();
    bytes
}

/// The kinds of files that need the most memory.
const KINDS: [&str; 15] = [
    "JPEG",
    "JPEG on its side",
    "grey JPEG",
    "JPEG in CMYK",
    "progressive JPEG",
    "progressive JPEG 4:4:4",
    "progressive JPEG in RGB",
    "progressive JPEG in CMYK",
    "PNG",
    "WebP",
    "lossless WebP",
    "WebP with opacity",
    "TIFF",
    "TIFF of 16 bits",
    "BMP",
];

/// The kinds that are refused at 50 megapixels, before they are decoded.
const WIDE: [&str; 2] = ["progressive JPEG in CMYK", "WebP with opacity"];

fn file(kind: &str, size: Size) -> Vec<u8> {
    use JpegColorType::{Cmyk, Luma, Ycbcr};
    let (fine, half) = (SamplingFactor::F_1_1, SamplingFactor::F_2_2);
    match kind {
        "JPEG" => jpeg(size, Ycbcr, false, half, 1),
        "JPEG on its side" => jpeg(size, Ycbcr, false, fine, 6),
        "grey JPEG" => jpeg(size, Luma, false, fine, 8),
        "JPEG in CMYK" => jpeg(size, Cmyk, false, fine, 1),
        "progressive JPEG" => jpeg(size, Ycbcr, true, half, 1),
        "progressive JPEG 4:4:4" => jpeg(size, Ycbcr, true, fine, 1),
        "progressive JPEG in RGB" => {
            // In this segment of Adobe the transform is 0: the components are RGB.
            let adobe = make::segment(0xEE, b"Adobe\0\x64\0\0\0\0\0");
            let jpeg = jpeg(size, Ycbcr, true, fine, 6);
            // It replaces JFIF's segment, which would mean Y, Cb, Cr.
            [&jpeg[..2], &adobe, &jpeg[20..]].concat()
        }
        "progressive JPEG in CMYK" => jpeg(size, Cmyk, true, fine, 1),
        "PNG" => png(size),
        "WebP" => webp(size, false, false),
        "lossless WebP" => webp(size, false, true),
        "WebP with opacity" => webp(size, true, false),
        "TIFF" => tiff(size, false),
        "TIFF of 16 bits" => tiff(size, true),
        "BMP" => bmp(size),
        "JPEG XL" => jxl(size, &["-d", "1", "-e", "4"]),
        "lossless JPEG XL" => jxl(size, &["-d", "0", "-e", "2"]),
        "modular JPEG XL" => jxl(size, &["-d", "1", "-m", "1", "-e", "4"]),
        "noise" => noise(size, 3),
        "noise with opacity" => noise(size, 4),
        other => panic!("{other}"),
    }
}

/// Peak memory of a round trip in a separate process: of the whole process, and above the memory in use before.
fn measured(file: &tempfile::NamedTempFile, way: &str, format: OutputFormat, depth: Depth) -> (u64, u64) {
    let path = file.path().display();
    let report = child::run("memory::round_trip", &format!("{way} {format}/{} {path}", depth.bits()));
    let number = |name: &str| {
        let rest = report.split(name).nth(1).unwrap();
        rest.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    (number("peak "), number("more "))
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn round_trip() {
    let Some(argument) = child::argument() else { return };
    let [way, format, path] = argument.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{argument}") };
    let (format, depth) = format.split_once('/').unwrap();
    let options =
        EncodeOptions { depth: depth.parse().unwrap(), ..EncodeOptions::plain(format.parse().unwrap(), 85) };
    let bytes = std::fs::read(path).unwrap();
    // Encode small pictures first, so that tables that are built once do not count.
    for small in [make::small_jpeg(), make::small_png()] {
        let small = Photo::decode(&small, &Limits::default()).unwrap();
        encode(&small, &Chroma::new(1, 1, vec![9.0], vec![9.0]).unwrap(), &options).unwrap();
    }
    let (length, more) = child::peak(|| {
        let photo = Photo::decode(&bytes, &Limits::default()).unwrap();
        if way == "pass" {
            let alpha = photo.alpha;
            drop(photo.gray);
            return encode_upload(
                &bytes,
                &DecodeOptions::default(),
                &Limits::default(),
                alpha.as_deref(),
                &options,
            )
            .unwrap()
            .bytes
            .len();
        }
        let gray = photo.gray_for(500_000);
        photo.pixel_key();
        // Soft colours that exist at every lightness: fitting other colours into sRGB takes long.
        let plane = gray.luma.iter().map(|&luma| f32::from(luma) / 8000.0 - 4.0).collect::<Vec<_>>();
        let chroma = Chroma::new(gray.width, gray.height, plane.clone(), plane).unwrap();
        encode(&photo, &chroma, &options).unwrap().bytes.len()
    });
    println!("peak {} more {more} length {length}", child::status("VmHWM"));
}

/// Predictions from a picture's header, the tolerance, and the size of the file.
struct Prediction {
    /// Memory allowed above the prediction, in bytes.
    slack: u64,
    /// Size of the file, in bytes.
    file: u64,
    /// Predicted memory, in bytes.
    memory: u64,
    /// Predicted memory per pixel, in bytes.
    each: u64,
}

/// How a photo is processed, and the format and depth of the result; `None` is the default format for the file.
type Way = (&'static str, Option<OutputFormat>, Depth);
const COLORED: Way = ("lock", None, Depth::Eight);
const COLORED_AS_WEBP: Way = ("lock", Some(OutputFormat::WebP), Depth::Eight);
const COLORED_AS_TIFF: Way = ("lock", Some(OutputFormat::Tiff), Depth::Eight);
const COLORED_AS_WIDE_TIFF: Way = ("lock", Some(OutputFormat::Tiff), Depth::Sixteen);
const COLORED_AS_WIDE_PNG: Way = ("lock", Some(OutputFormat::Png), Depth::Sixteen);
const ENCODED_AGAIN: Way = ("pass", None, Depth::Eight);
const ENCODED_AGAIN_AS_WIDE_TIFF: Way = ("pass", Some(OutputFormat::Tiff), Depth::Sixteen);
const ALL: &[Way] = &[COLORED, COLORED_AS_WEBP, ENCODED_AGAIN];

/// Measures photos of one size and compares each with a bound.
#[track_caller]
fn all_within(size: Size, cases: &[(&str, &[Way])], bound: impl Fn(Prediction, (u64, u64)) -> bool) {
    let mut over_limit = Vec::new();
    for &(kind, ways) in cases {
        let bytes = file(kind, size);
        let head = read_head(&bytes, &Limits::default()).unwrap_or_else(|error| panic!("{kind}: {error}"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        for &(way, format, depth) in ways {
            let format = format.unwrap_or(head.format.output());
            let predicted = head.memory_at(format, depth);
            let (peak, more) = measured(&file, way, format, depth);
            let each = |bytes: u64| bytes as f64 / head.pixels() as f64;
            let line = format!(
                "{kind}, {way}, to {format} of {} bits: {} MB, {:.2} bytes per pixel, predicted {:.2}; file {} MB",
                depth.bits(),
                peak / 1_000_000,
                each(more),
                each(predicted),
                bytes.len() / 1_000_000
            );
            println!("{line}");
            let predicted = Prediction {
                slack: SLACK * u64::from(size.0),
                file: bytes.len() as u64,
                memory: predicted,
                each: predicted / head.pixels(),
            };
            if !bound(predicted, (peak, more)) {
                over_limit.push(line);
            }
        }
    }
    assert!(over_limit.is_empty(), "{}", over_limit.join("\n"));
}

/// Measures every way for photos whose memory per pixel depends on their size or that are refused at 50 megapixels. For
/// all others it measures only WebP as the result format, which needs the most memory. The tests below measure the
/// other ways at 50 megapixels.
#[test]
fn no_photo_needs_more_memory_than_its_header_predicts() {
    const WEBP: &[Way] = &[COLORED_AS_WEBP];
    let by_size = [
        ("progressive JPEG", ALL),
        ("progressive JPEG 4:4:4", ALL),
        ("progressive JPEG in RGB", ALL),
        ("progressive JPEG in CMYK", ALL),
        ("WebP with opacity", ALL),
    ];
    let others = KINDS.iter().filter(|kind| by_size.iter().all(|(other, _)| other != *kind));
    let others = others.map(|&kind| (kind, WEBP));
    let cases: Vec<_> = by_size.into_iter().chain(others).collect();
    all_within(USUAL, &cases, |predicted, (_, more)| more <= predicted.memory + predicted.slack);
}

#[test]
fn no_jpeg_xl_needs_more_memory_than_its_header_predicts() {
    const TWO: &[Way] = &[COLORED, ENCODED_AGAIN];
    for (kind, size, ways) in [
        ("JPEG XL", USUAL, TWO),
        ("JPEG XL", (6000, 4000), &[ENCODED_AGAIN][..]),
        ("lossless JPEG XL", USUAL, TWO),
        ("modular JPEG XL", (2400, 1800), TWO),
    ] {
        all_within(size, &[(kind, ways)], |predicted, (_, more)| more <= predicted.memory + predicted.slack);
    }
    let head = read_head(&file("modular JPEG XL", USUAL), &Limits::default());
    assert!(matches!(head, Err(PhotoError::TooManyPixels(_))));
}

/// The files of these results have nearly as many bytes as their pixels.
#[test]
fn no_tiff_and_no_file_of_16_bits_needs_more_memory_than_the_header_predicts() {
    const LOSSLESS: &[Way] =
        &[COLORED_AS_TIFF, COLORED_AS_WIDE_TIFF, COLORED_AS_WIDE_PNG, ENCODED_AGAIN_AS_WIDE_TIFF];
    let cases = ["JPEG", "PNG", "noise", "noise with opacity"].map(|kind| (kind, LOSSLESS));
    all_within(USUAL, &cases, |predicted, (_, more)| more <= predicted.memory + predicted.slack);
}

#[test]
fn a_jpeg_of_50_megapixels_takes_less_than_350_mb_or_is_refused() {
    fifty_megapixels(|kind| kind.contains("JPEG"));
}

#[test]
fn other_formats_of_50_megapixels_take_less_than_350_mb_or_are_refused() {
    fifty_megapixels(|kind| !kind.contains("JPEG"));
}

#[track_caller]
fn fifty_megapixels(is_meant: impl Fn(&str) -> bool) {
    // Uploads above this size are refused, unless the operator raises `limits.upload_bytes`.
    const UPLOAD: u64 = 20 << 20;
    // docs/limits.md names WebP with opacity as the exception: libwebp needs the whole picture at once.
    const OPACITY: u64 = 10;
    for kind in WIDE.into_iter().filter(|kind| is_meant(kind)) {
        let head = read_head(&file(kind, LARGE), &Limits::default());
        assert!(matches!(head, Err(PhotoError::TooManyPixels(_))), "{kind} is not refused");
    }
    // Decoding ends before encoding as WebP begins, so it is enough to measure WebP for two kinds.
    let ways = |kind| match kind {
        "JPEG" | "PNG" => ALL,
        _ => &[COLORED, ENCODED_AGAIN],
    };
    let taken = KINDS.into_iter().filter(|kind| is_meant(kind) && !WIDE.contains(kind));
    let cases: Vec<(&str, &[Way])> = taken.map(|kind| (kind, ways(kind))).collect();
    all_within(LARGE, &cases, |predicted, (peak, more)| {
        let excepted = predicted.file > UPLOAD || predicted.each == OPACITY;
        more <= predicted.memory + predicted.slack && (excepted || peak <= MOST)
    });
}
