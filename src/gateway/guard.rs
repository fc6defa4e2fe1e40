//! The output guard: checks that a provider's result is an image, shows the same picture, and is in colour.
//!
//! A provider's result is untrusted: it may be an error page, another client's picture, or the grey picture that was
//! sent. A result that fails the check is never merged, stored or returned; the next provider of the route is tried.

use crate::photo::{Chroma, Gray, Limits, PhotoError, Rgb, contrast, luma_correlation};
use crate::provider::ProviderColor;

/// Minimum correlation of the result's luminance with that of the picture sent.
const MIN_CORRELATION: f64 = 0.9;

/// Below this standard deviation of luminance, in L\*, a picture has no content to compare: only scanner noise, which
/// providers do not reproduce.
const MIN_CONTRAST: f64 = 1.0;

/// Minimum mean chroma (distance from grey in CIE a\*b\*) of a picture in colour. A JPEG of a grey picture is below
/// 0.5; the palest sepia is above 3.
const MIN_CHROMA: f64 = 1.0;

/// The range of L\* in which a picture can have visible colour. Black ink and white paper are outside it.
const COLORABLE: std::ops::RangeInclusive<f32> = 10.0..=95.0;

/// If a smaller fraction of the pixels is in the range `COLORABLE`, colour is not checked.
const MIN_COLORABLE: f64 = 0.02;

/// The factor by which the aspect ratio may differ: some models round each side to a multiple of 8.
const MAX_STRETCH: f64 = 1.1;

/// Sides that differ by less than this many pixels count as equal, whatever the aspect ratio.
const SIDE_TOLERANCE: u32 = 8;

/// Colour that passed the guard.
pub enum CheckedColor {
    /// Chroma, to be merged with the photo's luminance.
    Chroma(Chroma),
    /// The provider's own pixels, to be shown at the photo's size without luma-lock.
    Own(Rgb),
}

/// Why a result did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GuardFailure {
    /// Not an image that can be decoded.
    NotAPicture,
    /// Far more pixels than the picture sent.
    TooLarge,
    /// Another aspect ratio.
    Aspect,
    /// Another picture, or a damaged one.
    Luminance,
    Gray,
}

impl GuardFailure {
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotAPicture => "not_a_picture",
            Self::TooLarge => "too_large",
            Self::Aspect => "aspect",
            Self::Luminance => "luminance",
            Self::Gray => "grey",
        }
    }

    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotAPicture => "its answer is not a picture",
            Self::TooLarge => "its answer has far more pixels than the picture sent, and is not decoded",
            Self::Aspect => "its answer has another aspect ratio than the picture sent",
            Self::Luminance => "its answer shows another picture than the one sent",
            Self::Gray => "its answer is as grey as the picture sent",
        }
    }
}

/// Checks a provider's result against the picture that was sent. An outer error means that the result cannot be
/// decoded, so it is not a picture. This function decodes, so it must not run on an async thread.
pub fn check(
    sent: &Gray,
    color: ProviderColor,
    luma_lock: bool,
    limits: &Limits,
) -> Result<Result<CheckedColor, GuardFailure>, PhotoError> {
    let rgb = match color {
        // The built-in network cannot return another picture, and grey is a valid result.
        ProviderColor::Chroma(chroma) => return Ok(Ok(CheckedColor::Chroma(chroma))),
        ProviderColor::Picture(bytes) => Ok(Rgb::decode(&bytes, limits)?),
        ProviderColor::Framed(bytes, frame) => {
            frame.cut(&Rgb::decode(&bytes, limits)?).map_err(|_| GuardFailure::Aspect)
        }
    };
    Ok(rgb.and_then(|rgb| compare(sent, rgb, luma_lock)))
}

fn compare(sent: &Gray, rgb: Rgb, luma_lock: bool) -> Result<CheckedColor, GuardFailure> {
    if !same_shape(sent, &rgb) {
        return Err(GuardFailure::Aspect);
    }
    let gray = rgb.gray();
    let even = [sent, &gray].into_iter().all(|gray| contrast(gray) < MIN_CONTRAST);
    if !even && luma_correlation(sent, &gray) < MIN_CORRELATION {
        return Err(GuardFailure::Luminance);
    }
    let chroma = rgb.chroma().map_err(|_| GuardFailure::NotAPicture)?;
    if !is_colored(sent, &chroma) {
        return Err(GuardFailure::Gray);
    }
    Ok(if luma_lock { CheckedColor::Chroma(chroma) } else { CheckedColor::Own(rgb) })
}

fn same_shape(sent: &Gray, rgb: &Rgb) -> bool {
    let aspect = |width: u32, height: u32| f64::from(width) / f64::from(height.max(1));
    let stretch = aspect(rgb.width, rgb.height) / aspect(sent.width, sent.height);
    let same = |one: u32, other: u32| one.abs_diff(other) < SIDE_TOLERANCE;
    let same_size = same(sent.width, rgb.width) && same(sent.height, rgb.height);
    same_size || (1.0 / MAX_STRETCH..=MAX_STRETCH).contains(&stretch)
}

/// Whether the pixels that can have visible colour do have colour.
fn is_colored(sent: &Gray, chroma: &Chroma) -> bool {
    let (share, mean) = chroma.mean_chroma_where(&sent.resize(chroma.width, chroma.height), COLORABLE);
    share < MIN_COLORABLE || mean >= MIN_CHROMA
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, GrayImage, ImageFormat, RgbImage, imageops};

    use super::*;
    use crate::photo::Photo;

    /// Smooth hills in 8-bit grey.
    fn hills(width: u32, height: u32) -> GrayImage {
        GrayImage::from_fn(width, height, |x, y| {
            let (x, y) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
            image::Luma([(128.0 + 90.0 * (7.0 * x).sin() * (4.0 * y + x).cos()) as u8])
        })
    }

    fn tinted(gray: &GrayImage) -> RgbImage {
        RgbImage::from_fn(gray.width(), gray.height(), |x, y| {
            let value = gray.get_pixel(x, y).0[0];
            image::Rgb([value.saturating_add(25), value, value.saturating_sub(25)])
        })
    }

    fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
        encoded(picture, ImageFormat::Png)
    }

    fn verdict(sent: &GrayImage, answer: Vec<u8>) -> Result<(), GuardFailure> {
        let sent = Photo::decode(&png(sent.clone()), &Limits::default()).unwrap().gray;
        let checked = check(&sent, ProviderColor::Picture(answer.into()), true, &Limits::default());
        checked.unwrap_or(Err(GuardFailure::NotAPicture)).map(drop)
    }

    #[test]
    fn the_same_picture_in_color_passes_at_any_size_and_in_any_format() {
        let sent = hills(120, 90);
        for (width, height) in [(120, 90), (64, 64 * 90 / 120), (256, 192), (125, 90), (480, 352)] {
            let answer = imageops::resize(&tinted(&sent), width, height, imageops::FilterType::Triangle);
            for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
                assert_eq!(verdict(&sent, encoded(answer.clone(), format)), Ok(()), "{width} x {height}");
            }
        }
        // Models return sides that are multiples of 8, which changes the aspect ratio of a narrow picture.
        let narrow = hills(12, 90);
        let answer = imageops::resize(&tinted(&narrow), 16, 96, imageops::FilterType::Triangle);
        assert_eq!(verdict(&narrow, png(answer)), Ok(()));
    }

    #[test]
    fn a_broken_different_or_gray_result_is_refused_with_its_reason() {
        let sent = hills(120, 90);
        let colored = tinted(&sent);
        let mut negative = colored.clone();
        image::imageops::invert(&mut negative);
        let half = png(colored.clone()).len() / 2;
        for (answer, flaw) in [
            (b"<html>".to_vec(), GuardFailure::NotAPicture),
            (png(colored.clone())[..half].to_vec(), GuardFailure::NotAPicture),
            (png(imageops::rotate90(&colored)), GuardFailure::Aspect),
            (png(imageops::resize(&colored, 200, 90, imageops::FilterType::Triangle)), GuardFailure::Aspect),
            (png(imageops::flip_horizontal(&colored)), GuardFailure::Luminance),
            (png(negative), GuardFailure::Luminance),
            (png(RgbImage::from_pixel(120, 90, image::Rgb([200, 80, 80]))), GuardFailure::Luminance),
            (png(sent.clone()), GuardFailure::Gray),
            (encoded(DynamicImage::from(sent.clone()).to_rgb8(), ImageFormat::Jpeg), GuardFailure::Gray),
        ] {
            assert_eq!(verdict(&sent, answer), Err(flaw));
        }
    }

    #[test]
    fn a_picture_without_content_or_colorable_pixels_passes() {
        let paper = GrayImage::from_fn(80, 80, |x, y| image::Luma([200 + ((x * 7 + y * 13) % 3) as u8]));
        assert_eq!(verdict(&paper, png(RgbImage::from_pixel(80, 80, image::Rgb([210, 200, 180])))), Ok(()));
        // Three levels, because a picture of two levels is decoded as a scan with grey values, which can be coloured.
        let ink = |x: u32, y: u32| if x % 40 < 3 { (y % 2) as u8 } else { 255 };
        let ink = GrayImage::from_fn(80, 80, |x, y| image::Luma([ink(x, y)]));
        assert_eq!(verdict(&ink, png(ink.clone())), Ok(()));
        // Paper has pixels that can be coloured, so a grey result is refused.
        assert_eq!(verdict(&paper, png(paper.clone())), Err(GuardFailure::Gray));
    }

    #[test]
    fn an_image_with_too_many_pixels_is_not_decoded() {
        let sent = Photo::decode(&png(hills(40, 30)), &Limits::default()).unwrap().gray;
        let answer = ProviderColor::Picture(png(tinted(&hills(400, 300))).into());
        let limits = Limits { max_pixels: 10_000, max_side: 1000 };
        assert!(matches!(check(&sent, answer, true, &limits), Err(PhotoError::TooManyPixels(_))));
    }
}
