//! ICC profiles to sRGB.
//!
//! A profile that cannot be read is left out, as browsers do: the picture is then taken for sRGB.

use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, TransformExecutor, TransformOptions};

use super::feed::Channels;

/// Brings rows to 16-bit sRGB, or says that they are sRGB already.
pub(super) enum ToSrgb {
    Nothing,
    /// Codes of every 16-bit grey.
    Grey(Vec<u16>),
    Rgb(Arc<dyn TransformExecutor<u16> + Send + Sync>),
}

impl ToSrgb {
    pub(super) fn new(icc: Option<&[u8]>, channels: Channels) -> Self {
        icc.and_then(|icc| Self::of_profile(icc, channels)).unwrap_or(Self::Nothing)
    }

    fn of_profile(icc: &[u8], channels: Channels) -> Option<Self> {
        let profile = ColorProfile::new_from_slice(icc).ok()?;
        let srgb = ColorProfile::new_srgb();
        let options = TransformOptions::default();
        match (profile.color_space, channels.colours()) {
            (DataColorSpace::Gray, 1) => {
                let transform =
                    profile.create_transform_16bit(Layout::Gray, &srgb, Layout::Rgb, options).ok()?;
                let greys: Vec<u16> = (0..=u16::MAX).collect();
                let mut codes = vec![0; greys.len() * 3];
                transform.transform(&greys, &mut codes).ok()?;
                Some(Self::Grey(codes.chunks_exact(3).map(|rgb| rgb[1]).collect()))
            }
            (DataColorSpace::Rgb, 3) => {
                let transform =
                    profile.create_transform_16bit(Layout::Rgb, &srgb, Layout::Rgb, options).ok()?;
                Some(Self::Rgb(transform))
            }
            _ => None,
        }
    }

    pub(super) fn row8(&self, samples: &[u8]) -> Option<Vec<u16>> {
        match self {
            Self::Nothing => None,
            _ => self.row16(&samples.iter().map(|&code| u16::from(code) * 257).collect::<Vec<_>>()),
        }
    }

    pub(super) fn row16(&self, samples: &[u16]) -> Option<Vec<u16>> {
        match self {
            Self::Nothing => None,
            Self::Grey(codes) => Some(samples.iter().map(|&code| codes[code as usize]).collect()),
            Self::Rgb(transform) => {
                let mut codes = vec![0; samples.len()];
                transform.transform(samples, &mut codes).ok().map(|()| codes)
            }
        }
    }
}
