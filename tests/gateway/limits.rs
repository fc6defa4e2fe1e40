//! Concurrent requests: memory stays bounded, and requests that cannot be served soon are rejected at once.

use crate::harness::{Picture, Server, Setup};
use crate::make;

#[test]
fn a_full_queue_returns_503_with_retry_after() {
    let server = Setup::new()
        .env("PIXCOLOR_LIMITS__PIXELS", "4000000")
        .env("PIXCOLOR_LIMITS__DECODING_PIXELS", "4000000")
        .env("PIXCOLOR_LIMITS__WAITING", "1")
        .start();
    // Eight different images, because identical ones would be decoded once.
    let pictures: Vec<_> = (0..8).map(|seed| Picture::png(2000, 2000, seed)).collect();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asking: Vec<_> =
            pictures.iter().map(|picture| scope.spawn(|| server.colorize(picture))).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(served >= 2, "one photo is decoded and one waits: {served}");
    assert!(served < 8, "no request was rejected");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.problem(503);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    }
}

/// The file size of a photo from a camera or scanner, in bytes.
const FILE: usize = 4_000_000;

/// Sends sixteen files of a photo concurrently, and returns the server's peak memory, in MB.
#[track_caller]
fn sixteen(photo: &Picture) -> u64 {
    // The last request waits for all others, for a long time on a slow machine.
    let server = Setup::new().env("PIXCOLOR_LIMITS__REQUEST_SECONDS", "600").start();
    // Sixteen different files, because identical ones would be decoded once. Bytes after the end of the image change
    // the file but not the photo.
    let size = photo.bytes.len().max(FILE);
    let files: Vec<_> = (0..16_u8)
        .map(|file| {
            let mut bytes = photo.bytes.clone();
            bytes.resize(size + 1, file);
            Picture { bytes, ..photo.clone() }
        })
        .collect();
    std::thread::scope(|scope| {
        let asking: Vec<_> = files.iter().map(|file| scope.spawn(|| server.colorize(file))).collect();
        for asked in asking {
            let colored = asked.join().unwrap().picture();
            assert_eq!((colored.width(), colored.height()), (4000, 3000));
        }
    });
    let peak = server.peak();
    println!("{} of {} MB: {peak} MB", photo.media_type, photo.bytes.len() / 1_000_000);
    peak
}

/// An image of 12 megapixels in soft greys. Grain would make encoding much slower and would not change the memory that
/// it needs.
fn smooth() -> image::RgbImage {
    image::RgbImage::from_fn(4000, 3000, |x, y| image::Rgb([(40 + x / 40 + y / 30) as u8; 3]))
}

#[test]
fn sixteen_photos_of_12_megapixels_at_once_stay_under_500_mb() {
    let peak = sixteen(&Picture::jpeg(4000, 3000, 1));
    assert!(peak < 500, "{peak} MB");
}

#[test]
fn sixteen_progressive_photos_at_once_stay_under_500_mb() {
    let bytes = make::jpeg(&smooth(), true, jpeg_encoder::SamplingFactor::F_1_1);
    let peak = sixteen(&Picture { bytes, media_type: "image/jpeg" });
    assert!(peak < 500, "{peak} MB");
}

#[test]
fn sixteen_webp_photos_at_once_stay_under_500_mb() {
    let bytes = make::webp_file(&smooth().into(), Some(80.0));
    let peak = sixteen(&Picture { bytes, media_type: "image/webp" });
    assert!(peak < 500, "{peak} MB");
}

#[test]
fn sixteen_photos_of_16_bits_at_once_stay_under_500_mb() {
    // With grain each file would be 40 MB, which is larger than an upload may be.
    let wide =
        image::ImageBuffer::from_fn(4000, 3000, |x, y| image::Rgb([x as u16 / 8 * 100 + (y / 8) as u16; 3]));
    let picture = Picture::new(image::DynamicImage::ImageRgb16(wide), image::ImageFormat::Png);
    let peak = sixteen(&picture);
    assert!(peak < 500, "{peak} MB");
}

#[test]
fn one_photo_of_50_megapixels_stays_under_350_mb() {
    let server = Server::start();
    let photo = Picture::jpeg(8160, 6120, 1);
    let colored = server.colorize(&photo).picture();
    assert_eq!((colored.width(), colored.height()), (8160, 6120));
    assert!(server.peak() < 350, "{} MB", server.peak());
}
