use image::imageops::{self, FilterType};
use proptest::prelude::*;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::*;
use crate::photo::{Limits, fuzzing};

const SAMPLINGS: [Sampling; 3] = [Sampling::Gray, Sampling::Full, Sampling::Half];

/// A picture of interleaved samples: RGB, or grey.
#[derive(Clone, Debug)]
struct Samples {
    width: usize,
    height: usize,
    sampling: Sampling,
    samples: Vec<u8>,
}

impl Samples {
    /// A picture whose samples are computed from their column, row and channel.
    fn new(
        (width, height): (usize, usize),
        sampling: Sampling,
        mut sample: impl FnMut(usize, usize, usize) -> u8,
    ) -> Self {
        let channels = if sampling == Sampling::Gray { 1 } else { 3 };
        let row = width * channels;
        let samples = (0..row * height).map(|i| sample(i % row / channels, i / row, i % channels)).collect();
        Self { width, height, sampling, samples }
    }

    fn encode(&self, quality: u8, restarts: bool, threads: usize) -> Vec<u8> {
        let layout = Layout::new(self.width as u32, self.height as u32, self.sampling).unwrap();
        let source =
            |y: usize, row: &mut [u8]| row.copy_from_slice(&self.samples[y * row.len()..][..row.len()]);
        Jpeg::new(Layout { restarts, ..layout }, quality, &source).encode(&Tags::default(), threads)
    }

    fn encode_with_jpeg_encoder(&self, quality: u8) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut file, quality);
        encoder.set_sampling_factor(match self.sampling {
            Sampling::Half => jpeg_encoder::SamplingFactor::F_2_2,
            _ => jpeg_encoder::SamplingFactor::F_1_1,
        });
        let kind = match self.sampling {
            Sampling::Gray => jpeg_encoder::ColorType::Luma,
            _ => jpeg_encoder::ColorType::Rgb,
        };
        encoder.encode(&self.samples, self.width as u16, self.height as u16, kind).unwrap();
        file
    }

    /// Decodes a file of this picture with zune-jpeg and with jpeg-decoder. Checks the file with our own reader, too.
    fn decode(&self, file: &[u8]) -> [Vec<u8>; 2] {
        assert_eq!(fuzzing::jpeg_damage(file, &Limits::NONE), Ok(None), "{}", self.name());
        let color = if self.sampling == Sampling::Gray { ColorSpace::Luma } else { ColorSpace::RGB };
        let options = DecoderOptions::default().jpeg_set_out_colorspace(color).set_strict_mode(true);
        let options = options.set_max_width(65_535).set_max_height(65_535);
        let mut zune = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(file), options);
        let zune_pixels = zune.decode().unwrap_or_else(|error| panic!("{}: {error}", self.name()));
        assert_eq!(zune.dimensions(), Some((self.width, self.height)));
        let mut other = jpeg_decoder::Decoder::new(file);
        let other_pixels = other.decode().unwrap_or_else(|error| panic!("{}: {error}", self.name()));
        let info = other.info().unwrap();
        assert_eq!((usize::from(info.width), usize::from(info.height)), (self.width, self.height));
        assert_eq!((zune_pixels.len(), other_pixels.len()), (self.samples.len(), self.samples.len()));
        [zune_pixels, other_pixels]
    }

    fn name(&self) -> String {
        format!("{} x {} {:?}", self.width, self.height, self.sampling)
    }

    /// The peak signal-to-noise ratio of a file in decibels: for Y', Cb and Cr, or for grey.
    fn psnr(&self, file: &[u8]) -> Vec<f64> {
        let [decoded, _] = self.decode(file);
        let difference = |(one, other): (&u8, &u8)| f64::from(*one) - f64::from(*other);
        let differences: Vec<f64> = self.samples.iter().zip(&decoded).map(difference).collect();
        let ratio = |weights: &[f64]| {
            let errors = differences.chunks_exact(weights.len());
            let errors =
                errors.map(|pixel| pixel.iter().zip(weights).map(|(d, weight)| d * weight).sum::<f64>());
            let square: f64 = errors.map(|error| error * error).sum();
            let count = differences.len() / weights.len();
            10.0 * (255.0 * 255.0 * count as f64 / square).log10()
        };
        let ycbcr = [[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]];
        match self.sampling {
            Sampling::Gray => vec![ratio(&[1.0])],
            _ => ycbcr.iter().map(|weights| ratio(weights)).collect(),
        }
    }
}

/// A photograph with film grain. It is enlarged, so that the blocks of the file that it was read from have another size
/// than those of the file that is written.
fn photograph(sampling: Sampling) -> Samples {
    let small = image::load_from_memory(include_bytes!("../../../../tests/data/rocket.jpg")).unwrap();
    let large = imageops::resize(&small.to_rgb8(), 1155, 866, FilterType::CatmullRom);
    let mut random = noise(1);
    Samples::new((1155, 866), sampling, |x, y, channel| {
        let value = large.get_pixel(x as u32, y as u32)[if sampling == Sampling::Gray { 1 } else { channel }];
        value.saturating_add(random() % 8).saturating_sub(4)
    })
}

fn noise(seed: u32) -> impl FnMut() -> u8 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    }
}

fn mean_difference(one: &[u8], other: &[u8]) -> f64 {
    let sum: u32 = one.iter().zip(other).map(|(one, other)| u32::from(one.abs_diff(*other))).sum();
    f64::from(sum) / one.len() as f64
}

#[test]
fn every_small_size_is_decoded_by_others() {
    for (width, height) in (1..=40).flat_map(|width| (1..=40).map(move |height| (width, height))) {
        for sampling in SAMPLINGS {
            let picture = Samples::new((width, height), sampling, |x, y, channel| {
                (40 + 3 * x + 2 * y + 10 * channel) as u8
            });
            for decoded in picture.decode(&picture.encode(95, (width + height) % 2 == 0, 1)) {
                let difference = mean_difference(&decoded, &picture.samples);
                assert!(difference < 1.5, "{} is {difference} off", picture.name());
            }
        }
    }
}

#[test]
fn the_brightest_colors_do_not_wrap() {
    for color in 0..8 {
        for sampling in [Sampling::Full, Sampling::Half] {
            let picture = Samples::new(
                (20, 20),
                sampling,
                |_, _, channel| if color >> channel & 1 == 1 { 255 } else { 0 },
            );
            for decoded in picture.decode(&picture.encode(100, false, 1)) {
                let most =
                    decoded.iter().zip(&picture.samples).map(|(one, other)| one.abs_diff(*other)).max();
                assert!(most <= Some(2), "{color:03b} {sampling:?}: {most:?}");
            }
        }
    }
}

#[test]
fn noise_of_black_and_white_is_written_at_every_quality() {
    for sampling in SAMPLINGS {
        for quality in [1, 50, 100] {
            let mut random = noise(7);
            let picture = Samples::new((203, 77), sampling, |x, _, _| match x {
                // Lines and noise: both have the largest coefficients.
                0..80 => (x % 2 * 255) as u8,
                _ => random() / 128 * 255,
            });
            let [one, other] = picture.decode(&picture.encode(quality, false, 1));
            if sampling != Sampling::Half {
                assert!(mean_difference(&one, &other) < 1.0, "{sampling:?} {quality}");
            }
            if quality == 100 && sampling != Sampling::Half {
                assert!(mean_difference(&one, &picture.samples) < 2.0, "{sampling:?}");
            }
        }
    }
}

#[test]
fn a_photograph_is_as_good_and_as_small_as_by_jpeg_encoder() {
    for sampling in SAMPLINGS {
        let picture = photograph(sampling);
        for quality in [75, 90, 95, 100] {
            let (ours, theirs) =
                (picture.encode(quality, false, 1), picture.encode_with_jpeg_encoder(quality));
            let name = format!("{sampling:?}, quality {quality}");
            assert!(
                ours.len() as f64 <= theirs.len() as f64 * 1.015,
                "{name}: {} {}",
                ours.len(),
                theirs.len()
            );
            let (ours, theirs) = (picture.psnr(&ours), picture.psnr(&theirs));
            let worse = ours.iter().zip(&theirs).any(|(ours, theirs)| *ours < theirs - 0.2);
            assert!(!worse, "{name}: {ours:.2?} instead of {theirs:.2?} dB");
        }
    }
}

#[test]
fn a_large_picture_has_restart_markers_and_a_small_one_has_none() {
    let restarts = |width, height| Layout::new(width, height, Sampling::Half).unwrap().restarts;
    assert!(restarts(2000, 2000) && restarts(65_535, 65_535));
    assert!(!restarts(2000, 1999));
}

#[test]
fn a_side_is_from_1_to_65_535_pixels() {
    let error =
        |width, height| Layout::new(width, height, Sampling::Half).err().map(|error| error.to_string());
    assert!(error(65_536, 1).is_some_and(|error| error.contains("65,535") && error.contains("65536 x 1")));
    assert!(error(1, 65_536).is_some() && error(0, 1).is_some() && error(1, 0).is_some());
    let long = Samples::new((65_535, 1), Sampling::Half, |x, _, _| (x / 300) as u8);
    assert!(mean_difference(&long.decode(&long.encode(90, true, 1))[0], &long.samples) < 1.0);
    let tall = Samples::new((1, 65_535), Sampling::Half, |_, y, _| (y / 300) as u8);
    assert!(mean_difference(&tall.decode(&tall.encode(90, true, 3))[0], &tall.samples) < 1.0);
}

#[test]
fn a_panic_in_a_band_reaches_the_caller() {
    let source = |y: usize, _: &mut [u8]| assert!(y < 40, "on purpose");
    let layout = Layout { restarts: true, ..Layout::new(50, 50, Sampling::Full).unwrap() };
    let encode = || Ok(Jpeg::new(layout, 90, &source).encode(&Tags::default(), 2));
    let result = crate::photo::caught(crate::photo::CodecStep::Encode, "JPEG", encode);
    assert!(matches!(result, Err(PhotoError::Panicked(..))));
}

fn pictures() -> impl Strategy<Value = Samples> {
    let sampling = prop_oneof![Just(Sampling::Gray), Just(Sampling::Full), Just(Sampling::Half)];
    (1_usize..70, 1_usize..70, sampling, any::<u32>(), 0_u8..8).prop_map(
        |(width, height, sampling, seed, shift)| {
            let mut random = noise(seed);
            // From noise to little more than a plain colour.
            Samples::new((width, height), sampling, |x, y, _| {
                (random() >> shift).wrapping_add((x * y / 50) as u8)
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn others_decode_any_picture_alike(picture in pictures(), quality in 1_u8..=100, restarts: bool) {
        let [one, other] = picture.decode(&picture.encode(quality, restarts, 1));
        // Decoders enlarge chroma in different ways.
        if picture.sampling != Sampling::Half {
            let most = one.iter().zip(&other).map(|(one, other)| one.abs_diff(*other)).max();
            prop_assert!(most <= Some(5), "{most:?}");
        }
        let quality_100 = picture.encode(100, restarts, 1);
        if picture.sampling != Sampling::Half {
            prop_assert!(mean_difference(&picture.decode(&quality_100)[1], &picture.samples) < 2.0);
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_byte(
        picture in pictures(), quality in 1_u8..=100, threads in 2_usize..8, restarts: bool,
    ) {
        prop_assert!(picture.encode(quality, restarts, 1) == picture.encode(quality, restarts, threads));
    }
}
