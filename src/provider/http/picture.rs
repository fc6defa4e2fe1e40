//! Prepares the picture for a host (size, format, border) and removes the border from the coloured picture.

use bytes::Bytes;

use crate::config::AcceptsConfig;
use crate::photo::{Gray, Limits, OutputFormat, Rgb, read_head};
use crate::provider::{FailureKind, ProviderColor, ProviderError};

/// The largest accepted factor between the aspect ratios of the picture sent and of the result.
const MAX_STRETCH: f64 = 1.02;

#[derive(Clone, Debug)]
pub struct PreparedImage {
    pub file: Bytes,
    pub format: OutputFormat,
    pub width: u32,
    pub height: u32,
    /// The photo's position, if the picture has a border.
    pub frame: Option<Letterbox>,
}

/// The position of a photo within a picture with a border, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letterbox {
    /// Width and height of the picture with its border.
    whole: (u32, u32),
    /// Left and top of the photo.
    at: (u32, u32),
    /// Width and height of the photo.
    size: (u32, u32),
}

/// Encodes a grey picture in a size and format that the host accepts. CPU-bound.
pub fn prepare(gray: &Gray, accepts: &AcceptsConfig) -> Result<PreparedImage, ProviderError> {
    let refused = |why: String| ProviderError::new(FailureKind::Rejected, why);
    let (long, short) = (gray.width.max(gray.height), gray.width.min(gray.height).max(1));
    if accepts.max_aspect.is_some_and(|max| u64::from(long) * 100 > u64::from(short) * u64::from(max)) {
        let size = (gray.width, gray.height);
        return Err(refused(format!("it accepts no picture as narrow as {} x {}", size.0, size.1)));
    }
    let (gray, frame) = fit(gray, accepts);
    let (width, height) = (gray.width, gray.height);
    if width.min(height) < accepts.min_side {
        return Err(refused(format!("it accepts no picture as small as {width} x {height}")));
    }
    let mut smallest = u64::MAX;
    for &format in &accepts.formats {
        let file = gray.encode(format, accepts.quality).map_err(|error| refused(error.to_string()))?;
        smallest = smallest.min(file.len() as u64);
        if file.len() as u64 <= accepts.max_bytes {
            return Ok(PreparedImage { file: file.into(), format, width, height, frame });
        }
    }
    let max = accepts.max_bytes;
    Err(refused(format!(
        "the picture has {smallest} bytes, and the limit is {max}: set a smaller `send_max_pixels`"
    )))
}

/// Resizes a picture to a size that the host accepts, with a border if needed.
fn fit(gray: &Gray, accepts: &AcceptsConfig) -> (Gray, Option<Letterbox>) {
    let Some(whole) = nearest(gray, &accepts.sizes) else {
        let (width, height) = within(gray, (accepts.max_side, accepts.max_side), 1.0);
        return (gray.resize(width, height), None);
    };
    let size = within(gray, whole, f64::INFINITY);
    let at = ((whole.0 - size.0) / 2, (whole.1 - size.1) / 2);
    let photo = gray.resize(size.0, size.1);
    // The border repeats the photo's edge pixels; the model might paint something into a plain border.
    let inner = |outer: u32, at: u32, size: u32| outer.saturating_sub(at).min(size - 1) as usize;
    let mut luma = Vec::with_capacity(whole.0 as usize * whole.1 as usize);
    for y in 0..whole.1 {
        let row = &photo.luma[inner(y, at.1, size.1) * size.0 as usize..][..size.0 as usize];
        luma.extend((0..whole.0).map(|x| row[inner(x, at.0, size.0)]));
    }
    (Gray { width: whole.0, height: whole.1, luma }, Some(Letterbox { whole, at, size }))
}

/// The size with the most similar aspect ratio; of two equally similar sizes, the smaller one.
fn nearest(gray: &Gray, sizes: &[(u32, u32)]) -> Option<(u32, u32)> {
    let aspect = |(width, height): (u32, u32)| (f64::from(width.max(1)) / f64::from(height.max(1))).ln();
    let target = aspect((gray.width, gray.height));
    let distance = |size: (u32, u32)| (aspect(size) - target).abs();
    let area = |size: (u32, u32)| u64::from(size.0) * u64::from(size.1);
    sizes.iter().copied().min_by(|&a, &b| distance(a).total_cmp(&distance(b)).then(area(a).cmp(&area(b))))
}

/// The largest size with the same aspect ratio within `max`, enlarged at most by `factor`.
fn within(gray: &Gray, max: (u32, u32), factor: f64) -> (u32, u32) {
    let scale = (f64::from(max.0) / f64::from(gray.width.max(1)))
        .min(f64::from(max.1) / f64::from(gray.height.max(1)))
        .min(factor);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let side = |side: u32, max: u32| ((f64::from(side) * scale).round() as u32).clamp(1, max);
    (side(gray.width, max.0), side(gray.height, max.1))
}

/// The coloured picture in a host's reply. The output guard checks its size and decodes it.
pub fn finish(file: Bytes, frame: Option<Letterbox>) -> Result<ProviderColor, String> {
    read_head(&file, &Limits::NONE)
        .map_err(|error| format!("its result is not a usable picture: {error}"))?;
    Ok(match frame {
        Some(frame) => ProviderColor::Framed(file, frame),
        None => ProviderColor::Picture(file),
    })
}

impl Letterbox {
    /// The number of pixels of the picture with its border.
    pub fn pixels(&self) -> u64 {
        u64::from(self.whole.0) * u64::from(self.whole.1)
    }

    /// Cuts the photo out of the coloured picture `answer`, which may have any size but must have the aspect ratio of
    /// the picture sent.
    pub fn cut(&self, answer: &Rgb) -> Result<Rgb, String> {
        let scale = |answer: u32, whole: u32| f64::from(answer) / f64::from(whole);
        let (x, y) = (scale(answer.width, self.whole.0), scale(answer.height, self.whole.1));
        if !(1.0 / MAX_STRETCH..=MAX_STRETCH).contains(&(x / y)) {
            return Err("its result has another aspect ratio than the picture sent".to_owned());
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let span = |at: u32, size: u32, scale: f64, max: u32| {
            let from = ((f64::from(at) * scale).round() as u32).min(max.saturating_sub(1));
            let to = ((f64::from(at + size) * scale).round() as u32).clamp(from + 1, max.max(from + 1));
            from as usize..to as usize
        };
        let columns = span(self.at.0, self.size.0, x, answer.width);
        let rows = span(self.at.1, self.size.1, y, answer.height);
        let (width, height) = (columns.len(), rows.len());
        let mut pixels = Vec::with_capacity(width * height * 3);
        for row in rows {
            let start = (row * answer.width as usize + columns.start) * 3;
            pixels.extend_from_slice(answer.pixels.get(start..start + width * 3).unwrap_or_default());
        }
        let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        Ok(Rgb { width: side(width), height: side(height), pixels })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(width: u32, height: u32) -> Gray {
        let luma = (0..width * height).map(|i| (i % width * 60_000 / width) as u16).collect();
        Gray { width, height, luma }
    }

    fn size(prepared: &PreparedImage) -> (u32, u32) {
        (prepared.width, prepared.height)
    }

    #[test]
    fn a_picture_is_resized_to_fit_or_rejected() {
        let accepts =
            AcceptsConfig { max_side: 100, min_side: 10, max_aspect: Some(400), ..AcceptsConfig::default() };
        assert_eq!(size(&prepare(&gray(80, 40), &accepts).unwrap()), (80, 40));
        assert_eq!(size(&prepare(&gray(300, 150), &accepts).unwrap()), (100, 50));
        for (picture, said) in [(gray(300, 60), "as narrow as 300 x 60"), (gray(12, 9), "as small as 12 x 9")]
        {
            let error = prepare(&picture, &accepts).unwrap_err();
            assert!(error.kind == FailureKind::Rejected && error.message.contains(said), "{error}");
        }
    }

    #[test]
    fn the_next_format_is_tried_when_a_file_is_too_large() {
        let noise = (0..200 * 200u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as u16).collect();
        let noise = Gray { width: 200, height: 200, luma: noise };
        let formats = vec![OutputFormat::Png, OutputFormat::Jpeg];
        let accepts = AcceptsConfig { formats, quality: 20, max_bytes: 25_000, ..AcceptsConfig::default() };
        assert_eq!(prepare(&noise, &accepts).unwrap().format, OutputFormat::Jpeg);
        assert_eq!(prepare(&gray(200, 200), &accepts).unwrap().format, OutputFormat::Png);
        let error = prepare(&noise, &AcceptsConfig { max_bytes: 2000, ..accepts }).unwrap_err();
        assert!(error.message.contains("send_max_pixels"), "{error}");
    }

    #[test]
    fn a_photo_with_a_border_is_cut_out_of_a_result_of_any_size() {
        let sizes = vec![(64, 64), (96, 64), (64, 96)];
        let accepts = AcceptsConfig { sizes, formats: vec![OutputFormat::Png], ..AcceptsConfig::default() };
        for (from, whole) in
            [((40, 30), (96, 64)), ((30, 40), (64, 96)), ((200, 201), (64, 64)), ((300, 100), (96, 64))]
        {
            let prepared = prepare(&gray(from.0, from.1), &accepts).unwrap();
            assert_eq!(size(&prepared), whole, "{from:?}");
            let sent = Rgb::decode(&prepared.file, &Limits::default()).unwrap();
            for factor in [1, 2] {
                let answer = Rgb {
                    width: whole.0 * factor,
                    height: whole.1 * factor,
                    pixels: (0..whole.1 * factor)
                        .flat_map(|y| {
                            (0..whole.0 * factor)
                                .map(move |x| (y / factor * whole.0 + x / factor) as usize * 3)
                        })
                        .flat_map(|at| sent.pixels[at..at + 3].to_vec())
                        .collect(),
                };
                let cut = prepared.frame.unwrap().cut(&answer).unwrap();
                let aspect = |(width, height): (u32, u32)| f64::from(width) / f64::from(height);
                assert!((aspect((cut.width, cut.height)) / aspect(from) - 1.0).abs() < 0.04, "{from:?}");
                // The dark and the bright edge are both there, so the border is gone and the photo is complete.
                assert!(cut.pixels[0] < 24 && cut.pixels[cut.pixels.len() - 1] > 200, "{from:?}");
            }
            let square = Rgb { width: 50, height: 40, pixels: vec![0; 6000] };
            assert!(prepared.frame.unwrap().cut(&square).is_err());
        }
    }
}
