//! Encodes rows of pixels to a file. Rows are computed when the encoder asks for them, so that a full-size RGB
//! picture exists only where an encoder requires it.

mod jpeg;
mod own;
mod png;
mod tiff;
mod webp;
#[cfg(test)]
mod wide_tests;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use jpeg::PARALLEL_FROM;

use super::merge::Merge;
use super::orient::{OrientedPlane, swaps_sides};
use super::rows::{RowFn, RowSource};
use super::{
    Chroma, CodecStep, DecodeOptions, Depth, Gray, Limits, OutputFormat, Photo, PhotoError, Rgb, Tags,
    caught, decode,
};

/// The options for encoding a rendition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    pub format: OutputFormat,
    /// 1 to 100, for JPEG and WebP; PNG and TIFF are lossless.
    pub quality: u8,
    pub depth: Depth,
    /// The metadata that is written into the file.
    pub tags: Tags,
    /// Threads that may encode a large JPEG, at least 1. Their number changes no byte of the file.
    pub threads: usize,
}

impl EncodeOptions {
    /// 8 bits per sample, no metadata, one thread.
    pub fn plain(format: OutputFormat, quality: u8) -> Self {
        Self { format, quality, depth: Depth::Eight, tags: Tags::default(), threads: 1 }
    }
}

/// An encoded picture and the time that each step took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    pub bytes: Vec<u8>,
    /// Time spent computing the rows: merging chroma and luminance, or scaling a provider's own pixels. If several
    /// threads compute rows, this is their mean, so that `merge` and `encode` add up to the elapsed time.
    pub merge: Duration,
    /// Time spent encoding the rows in the file format.
    pub encode: Duration,
}

/// A picture to be encoded.
#[derive(Clone, Copy)]
struct Picture<'a> {
    width: u32,
    height: u32,
    /// Opacity of every pixel; `None` if all are opaque.
    alpha: Option<&'a [u8]>,
    source: &'a dyn RowSource,
}

impl<'a> Picture<'a> {
    /// A picture of a photo's size and opacity.
    fn of(photo: &'a Photo, source: &'a dyn RowSource) -> Self {
        Self { width: photo.width(), height: photo.height(), alpha: photo.alpha.as_deref(), source }
    }

    /// The opacity of row `y`.
    fn alpha(&self, y: usize) -> Option<&'a [u8]> {
        let width = self.width as usize;
        self.alpha.map(|alpha| &alpha[y * width..][..width])
    }
}

/// Merges a provider's chroma with the photo's luminance (luma-lock) and encodes the result.
///
/// # Errors
/// [`PhotoError::Unwritable`] for a size that the format cannot hold, [`PhotoError::Broken`] for planes whose length
/// does not match their size.
pub fn encode(photo: &Photo, chroma: &Chroma, options: &EncodeOptions) -> Result<Encoded, PhotoError> {
    checked(photo)?;
    caught(CodecStep::Encode, options.format, || {
        let start = Instant::now();
        let merge = Merge::new(photo, chroma)?;
        write(Picture::of(photo, &merge), start.elapsed(), options)
    })
}

/// Encodes a provider's own pixels at the photo's size, with the photo's opacity (luma-lock off).
///
/// # Errors
/// As [`encode`].
pub fn encode_own(photo: &Photo, rgb: &Rgb, options: &EncodeOptions) -> Result<Encoded, PhotoError> {
    checked(photo)?;
    caught(CodecStep::Encode, options.format, || {
        let start = Instant::now();
        let own = own::ProviderRows::new(photo, rgb)?;
        write(Picture::of(photo, &own), start.elapsed(), options)
    })
}

/// Encodes an upload that is in colour already: upright, in sRGB, without its metadata, and with its own opacity
/// (`alpha`, upright, from its photo).
///
/// # Errors
/// As [`Photo::decode`] and [`encode`].
pub fn encode_upload(
    bytes: &[u8],
    decode_options: &DecodeOptions,
    limits: &Limits,
    alpha: Option<&[u8]>,
    options: &EncodeOptions,
) -> Result<Encoded, PhotoError> {
    // Rows are turned upright while they are encoded, so that only one full-size copy is in memory.
    let stored = decode::stored(bytes, decode_options, limits)?;
    let (width, height) = match swaps_sides(stored.orientation) {
        true => (stored.height, stored.width),
        false => (stored.width, stored.height),
    };
    let pixels = width as usize * height as usize;
    if stored.pixels.len() != pixels || alpha.is_some_and(|alpha| alpha.len() != pixels) {
        return Err(PhotoError::Broken("The size of the opacity does not match the picture.".to_owned()));
    }
    caught(CodecStep::Encode, options.format, || {
        let turned = OrientedPlane::new(&stored.pixels, stored.width, stored.height, stored.orientation);
        write(Picture { width, height, alpha, source: &turned }, Duration::ZERO, options)
    })
}

/// Checks that the length of a photo's planes matches its size, because rows are sliced from them.
fn checked(photo: &Photo) -> Result<(), PhotoError> {
    let pixels = photo.width() as usize * photo.height() as usize;
    let whole =
        photo.gray.luma.len() == pixels && photo.alpha.as_ref().is_none_or(|alpha| alpha.len() == pixels);
    if pixels == 0 || !whole {
        return Err(PhotoError::Broken(
            "The length of the photo's planes does not match its size.".to_owned(),
        ));
    }
    Ok(())
}

/// Encodes a picture. Measures the time to compute its rows separately from the time to encode them.
fn write(picture: Picture<'_>, before: Duration, options: &EncodeOptions) -> Result<Encoded, PhotoError> {
    if options.depth == Depth::Sixteen && !options.format.has_16_bits() {
        return Err(PhotoError::Unwritable(format!(
            "A file of the format {} has 8 bits per sample. Ask for png or tiff to get 16 bits.",
            options.format
        )));
    }
    let start = Instant::now();
    let timed =
        TimedRows { source: picture.source, nanoseconds: AtomicU64::new(0), threads: AtomicU32::new(0) };
    let picture = Picture { source: &timed, ..picture };
    let bytes = match options.format {
        OutputFormat::Png => png::write(picture, options),
        OutputFormat::Jpeg => jpeg::write(picture, options),
        OutputFormat::WebP => webp::write(picture, options),
        OutputFormat::Tiff => tiff::write(picture, options),
    }?;
    let merge = timed.mean();
    let encode = start.elapsed().saturating_sub(merge);
    Ok(Encoded { bytes, merge: before + merge, encode })
}

/// Measures the time to compute rows.
struct TimedRows<'a> {
    source: &'a dyn RowSource,
    /// The sum for all threads.
    nanoseconds: AtomicU64,
    threads: AtomicU32,
}

impl TimedRows<'_> {
    /// The mean time of a thread.
    fn mean(&self) -> Duration {
        let sum = Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed));
        sum / self.threads.load(Ordering::Relaxed).max(1)
    }

    fn timed<T>(&self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.nanoseconds.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        result
    }
}

impl RowSource for TimedRows<'_> {
    fn rows(&self) -> RowFn<'_> {
        self.threads.fetch_add(1, Ordering::Relaxed);
        let mut rows = self.timed(|| self.source.rows());
        Box::new(move |y, row| self.timed(|| rows(y, row)))
    }

    fn wide_rows(&self) -> RowFn<'_, u16> {
        self.threads.fetch_add(1, Ordering::Relaxed);
        let mut rows = self.timed(|| self.source.wide_rows());
        Box::new(move |y, row| self.timed(|| rows(y, row)))
    }
}

/// Encodes luminance as an 8-bit grey file.
pub(super) fn gray(gray: &Gray, options: &EncodeOptions) -> Result<Vec<u8>, PhotoError> {
    let codes = gray.to_srgb8();
    let width = gray.width as usize;
    let source = |y: usize, row: &mut [u8]| {
        let codes = &codes[y * width..][..width];
        row.chunks_exact_mut(3).zip(codes).for_each(|(pixel, &code)| pixel.fill(code));
    };
    caught(CodecStep::Encode, options.format, || match options.format {
        OutputFormat::Png => png::gray(gray, &codes),
        OutputFormat::Jpeg => jpeg::gray(gray, &codes, options.quality),
        OutputFormat::WebP => {
            let picture = Picture { width: gray.width, height: gray.height, alpha: None, source: &source };
            webp::write(picture, options)
        }
        OutputFormat::Tiff => Err(unwritable(options.format, "providers do not accept it")),
    })
}

/// The error for a failed encoder, with its message.
fn unwritable(format: OutputFormat, error: impl std::fmt::Display) -> PhotoError {
    PhotoError::Unwritable(format!("The picture cannot be written as {format} ({error})."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::{Limits, luma_correlation};

    const FORMATS: [OutputFormat; 4] =
        [OutputFormat::Png, OutputFormat::Jpeg, OutputFormat::WebP, OutputFormat::Tiff];

    fn photo(width: u32, height: u32) -> Photo {
        let luma = (0..width * height)
            .map(|i| {
                (20_000.0 + 9000.0 * (i as f32 * 0.05).sin() + 20_000.0 * i as f32 / (width * height) as f32)
                    as u16
            })
            .collect();
        Photo::from_gray(Gray { width, height, luma })
    }

    fn options(format: OutputFormat) -> EncodeOptions {
        EncodeOptions::plain(format, 95)
    }

    #[test]
    fn every_format_keeps_the_photo_s_luminance_and_the_given_chroma() {
        let photo = photo(96, 64);
        let chroma = Chroma::new(3, 2, vec![18.0; 6], vec![24.0; 6]).unwrap();
        for format in FORMATS {
            let file = encode(&photo, &chroma, &options(format)).unwrap().bytes;
            let rgb = Rgb::decode(&file, &Limits::default()).unwrap();
            assert!(luma_correlation(&photo.gray, &rgb.gray()) > 0.995, "{format}");
            let got = rgb.chroma().unwrap();
            let mean = |plane: &[f32]| plane.iter().sum::<f32>() / plane.len() as f32;
            assert!((mean(&got.a) - 18.0).abs() < 1.5 && (mean(&got.b) - 24.0).abs() < 1.5, "{format}");
        }
    }

    #[test]
    fn opacity_is_kept_or_mixed_with_white_in_a_format_without_it() {
        let mut photo = photo(32, 32);
        photo.alpha = Some((0..32 * 32).map(|i| if i % 32 < 16 { 0 } else { 255 }).collect());
        let chroma = Chroma::new(1, 1, vec![0.0], vec![0.0]).unwrap();
        for format in FORMATS {
            let file = encode(&photo, &chroma, &options(format)).unwrap().bytes;
            let again = Photo::decode(&file, &Limits::default()).unwrap();
            assert_eq!(again.alpha, photo.alpha.clone().filter(|_| format != OutputFormat::Jpeg), "{format}");
            assert!(again.gray_for(1 << 20).luma[0] > 64_000, "{format}");
        }
    }

    #[test]
    fn a_thread_that_starts_in_the_middle_computes_the_same_rows() {
        let photo = photo(70, 90);
        let plane = |k: f32| (0..99).map(|i| (i as f32 * k).sin() * 30.0).collect::<Vec<f32>>();
        let chroma = Chroma::new(9, 11, plane(0.3), plane(0.7)).unwrap();
        let rgb = Rgb { width: 30, height: 20, pixels: (0..1800).map(|i| (i * 7 % 256) as u8).collect() };
        let stored: Vec<[u8; 3]> = (0..6300).map(|i| [i as u8, (i >> 8) as u8, 7]).collect();
        let sources: [&dyn RowSource; 3] = [
            &Merge::new(&photo, &chroma).unwrap(),
            &own::ProviderRows::new(&photo, &rgb).unwrap(),
            &OrientedPlane::new(&stored, 90, 70, image::metadata::Orientation::Rotate90),
        ];
        for (i, source) in sources.into_iter().enumerate() {
            let compute = |from: usize| {
                let mut rows = source.rows();
                let mut pixels = vec![0; 70 * 3 * (90 - from)];
                pixels.chunks_exact_mut(70 * 3).zip(from..).for_each(|(row, y)| rows(y, row));
                pixels
            };
            let whole = compute(0);
            for from in [1, 16, 33, 89] {
                assert!(compute(from) == whole[70 * 3 * from..], "source {i} from row {from}");
            }
        }
    }

    #[test]
    fn the_mean_time_of_the_threads_is_measured() {
        let slow = |_: usize, _: &mut [u8]| {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(5) {}
        };
        let timed = TimedRows { source: &slow, nanoseconds: AtomicU64::new(0), threads: AtomicU32::new(0) };
        for _ in 0..3 {
            timed.rows()(0, &mut []);
        }
        assert!((5..500).contains(&timed.mean().as_millis()), "{:?}", timed.mean());
    }

    #[test]
    fn a_provider_s_own_pixels_are_scaled_to_the_photo_s_size() {
        let photo = photo(60, 40);
        let rgb = Rgb { width: 30, height: 20, pixels: [200, 60, 30].repeat(600) };
        let file = encode_own(&photo, &rgb, &options(OutputFormat::Png)).unwrap().bytes;
        let got = Rgb::decode(&file, &Limits::default()).unwrap();
        assert_eq!((got.width, got.height), (60, 40));
        assert_eq!(got.pixels, [200, 60, 30].repeat(2400));
    }

    #[test]
    fn the_error_for_a_side_that_is_too_long_names_the_maximum() {
        let photo = photo(16_384, 1);
        let chroma = Chroma::new(1, 1, vec![0.0], vec![0.0]).unwrap();
        let error = encode(&photo, &chroma, &options(OutputFormat::WebP)).unwrap_err();
        assert!(
            matches!(error, PhotoError::Unwritable(_)) && error.to_string().contains("16,383"),
            "{error}"
        );
        assert!(encode(&photo, &chroma, &options(OutputFormat::Png)).is_ok());
    }

    #[test]
    fn a_gray_file_for_a_provider_keeps_luminance_and_has_no_color() {
        let photo = photo(40, 30);
        for format in FORMATS.into_iter().filter(|&format| format != OutputFormat::Tiff) {
            let file = photo.gray.encode(format, 90).unwrap();
            let again = Photo::decode(&file, &Limits::default()).unwrap();
            assert!(luma_correlation(&photo.gray, &again.gray) > 0.995, "{format}");
            assert!(!again.is_colored() && again.color.mean_chroma() < 1.0);
        }
    }

    #[test]
    fn stored_chroma_gives_the_same_file_as_fresh_chroma() {
        let photo = photo(50, 50);
        let plane = |k: f32| (0..64).map(|i| (i as f32 * k).sin() * 30.0).collect::<Vec<f32>>();
        let fresh = Chroma::new(8, 8, plane(0.3), plane(0.7)).unwrap();
        let stored = Chroma::from_bytes(&fresh.to_bytes().unwrap()).unwrap();
        for format in FORMATS {
            let [one, other] = [&fresh, &stored].map(|c| encode(&photo, c, &options(format)).unwrap().bytes);
            assert_eq!(one, other, "{format}");
        }
    }
}
