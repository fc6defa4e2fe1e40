//! Converts rows to sRGB with an ICC profile.
//!
//! A profile that cannot be read, or whose channels are not those of the picture, is ignored, as in browsers: the
//! picture is then treated as sRGB. Most profiles describe sRGB itself and need no conversion.

use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, ToneReprCurve, TransformExecutor, TransformOptions};

use crate::photo::lab::LUMA16;

/// Maximum bytes of a profile; printer profiles have about 2 MB.
pub(super) const LARGEST: usize = 8 << 20;

/// Converts rows to 16-bit sRGB, or reports that they are sRGB already.
pub(super) struct ToSrgb {
    way: Conversion,
    samples: Vec<u16>,
    codes: Vec<u16>,
}

enum Conversion {
    Nothing,
    /// The sRGB value for every 16-bit grey.
    Gray(Vec<u16>),
    /// A transform to RGB, and its number of input samples per pixel.
    Color(Arc<dyn TransformExecutor<u16> + Send + Sync>, usize),
}

impl ToSrgb {
    /// For rows with `colors` samples per pixel: 1 is grey, 3 RGB, 4 inks.
    pub(super) fn new(icc: Option<&[u8]>, colors: usize) -> Self {
        let profile = icc.filter(|icc| icc.len() <= LARGEST);
        let way = profile.and_then(|icc| Conversion::of_profile(icc, colors)).unwrap_or(Conversion::Nothing);
        Self { way, samples: Vec::new(), codes: Vec::new() }
    }

    /// Converts a row with 8 bits per sample; `None` if there is no usable profile, or the row is sRGB already.
    pub(super) fn row8(&mut self, samples: &[u8]) -> Option<&[u16]> {
        if matches!(self.way, Conversion::Nothing) {
            return None;
        }
        let mut wide = std::mem::take(&mut self.samples);
        wide.clear();
        wide.extend(samples.iter().map(|&code| u16::from(code) * 257));
        let done = self.convert(&wide);
        self.samples = wide;
        done.then_some(&self.codes)
    }

    /// Converts a row with 16 bits per sample; `None` in the same cases as [`Self::row8`].
    pub(super) fn row16(&mut self, samples: &[u16]) -> Option<&[u16]> {
        self.convert(samples).then_some(&self.codes)
    }

    fn convert(&mut self, samples: &[u16]) -> bool {
        self.codes.clear();
        match &self.way {
            Conversion::Nothing => false,
            Conversion::Gray(table) => {
                self.codes.extend(samples.iter().map(|&code| table[code as usize]));
                true
            }
            Conversion::Color(transform, colors) => {
                self.codes.resize(samples.len() / colors * 3, 0);
                transform.transform(samples, &mut self.codes).is_ok()
            }
        }
    }
}

/// Whether a profile can be read and is for pictures with this number of colour channels.
pub(super) fn is_usable(icc: &[u8], colors: usize) -> bool {
    icc.len() <= LARGEST && parse(icc, colors).is_some()
}

fn parse(icc: &[u8], colors: usize) -> Option<ColorProfile> {
    let profile = ColorProfile::new_from_slice(icc).ok()?;
    let space = match colors {
        1 => DataColorSpace::Gray,
        3 => DataColorSpace::Rgb,
        _ => DataColorSpace::Cmyk,
    };
    (profile.color_space == space).then_some(profile)
}

impl Conversion {
    fn of_profile(icc: &[u8], colors: usize) -> Option<Self> {
        let profile = parse(icc, colors)?;
        if let (1, DataColorSpace::Lab, Some(curve)) = (colors, profile.pcs, &profile.gray_trc) {
            return Some(Self::Gray(of_lightness(curve)?));
        }
        let layout = match colors {
            1 => Layout::Gray,
            3 => Layout::Rgb,
            _ => Layout::Rgba,
        };
        let transform = profile
            .create_transform_16bit(
                layout,
                &ColorProfile::new_srgb(),
                Layout::Rgb,
                TransformOptions::default(),
            )
            .ok()?;
        match colors {
            1 => {
                let grays: Vec<u16> = (0..=u16::MAX).collect();
                let mut codes = vec![0; grays.len() * 3];
                transform.transform(&grays, &mut codes).ok()?;
                let green: Vec<u16> = codes.chunks_exact(3).map(|rgb| rgb[1]).collect();
                (!alike(&grays, &green)).then_some(Self::Gray(green))
            }
            3 => {
                let cube = cube();
                let mut codes = vec![0; cube.len()];
                transform.transform(&cube, &mut codes).ok()?;
                (!alike(&cube, &codes)).then_some(Self::Color(transform, 3))
            }
            _ => Some(Self::Color(transform, colors)),
        }
    }
}

/// The sRGB value for every grey of a profile whose connection space is Lab. The curve of such a profile gives L\* from
/// 0 to 100, not linear light (ICC.1:2022, F.2), and littleCMS reads it this way. moxcms treats it as linear light.
fn of_lightness(curve: &ToneReprCurve) -> Option<Vec<u16>> {
    let curve = curve.make_linear_evaluator().ok()?;
    let luma = &*LUMA16;
    let code = |gray: u16| {
        let lightness = curve.evaluate_value(f32::from(gray) / 65_535.0).clamp(0.0, 1.0);
        let wanted = (lightness * 65_535.0).round() as u16;
        luma.partition_point(|&luma| luma < wanted).min(65_535) as u16
    };
    Some((0..=u16::MAX).map(code).collect())
}

/// Whether every value changes by less than an 8-bit step.
fn alike(before: &[u16], after: &[u16]) -> bool {
    before.iter().zip(after).all(|(before, after)| before.abs_diff(*after) < 257)
}

/// Sample colours from the whole RGB cube.
fn cube() -> Vec<u16> {
    let codes = || (0..=8).map(|step: u16| (u32::from(step) * 65_535 / 8) as u16);
    codes().flat_map(|r| codes().flat_map(move |g| codes().flat_map(move |b| [r, g, b]))).collect()
}
