//! Reads a JPEG's application segments: the meaning of its components, its ICC profile, its EXIF data.

use jpeg_decoder::ColorTransform;
use zune_jpeg::zune_core::colorspace::ColorSpace;

use super::Channels;
use super::walk::JpegLayout;

const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP2: u8 = 0xE2;
const APP14: u8 = 0xEE;

/// The meaning of a file's components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colors {
    Gray,
    Rgb,
    /// Luma, blue difference, red difference (ITU T.871).
    Ycc,
    /// Inks; 0 is no ink.
    Cmyk,
    /// Inks; 255 is no ink. Adobe's programs write them this way.
    CmykInverted,
    /// Y, Cb, Cr of the inks cyan, magenta and yellow, and inverted black.
    Ycck,
}

impl Colors {
    /// Determines the meaning of a file's components by the rules of libjpeg (`default_decompress_parms`); `None` for
    /// an unsupported number of components.
    pub(super) fn of(bytes: &[u8], layout: &JpegLayout) -> Option<Self> {
        let mut ids = layout.frame.components.iter().map(|component| component.id);
        let adobe = bodies(bytes, layout, APP14).find(|body| body.starts_with(b"Adobe") && body.len() >= 12);
        let transform = adobe.map(|body| body[11]);
        let jfif = bodies(bytes, layout, APP0).any(|body| body.starts_with(b"JFIF\0"));
        match layout.frame.components.len() {
            1 => Some(Self::Gray),
            3 => Some(match transform {
                _ if jfif => Self::Ycc,
                Some(0) => Self::Rgb,
                None if ids.by_ref().eq(*b"RGB") => Self::Rgb,
                _ => Self::Ycc,
            }),
            4 => Some(match transform {
                None => Self::Cmyk,
                Some(0) => Self::CmykInverted,
                Some(_) => Self::Ycck,
            }),
            _ => None,
        }
    }

    /// Whether zune-jpeg gives the components the same meaning. Before decoding, zune-jpeg reports RGB with an Adobe
    /// segment as CMYK.
    pub(super) fn are(self, seen: Option<ColorSpace>) -> bool {
        matches!(
            (self, seen),
            (Self::Gray, _)
                | (Self::Rgb, Some(ColorSpace::RGB | ColorSpace::CMYK))
                | (Self::Ycc, Some(ColorSpace::YCbCr))
                | (Self::Cmyk | Self::CmykInverted, Some(ColorSpace::CMYK))
                | (Self::Ycck, Some(ColorSpace::YCCK))
        )
    }

    /// The transform that jpeg-decoder must apply, and the channels that it then returns. It inverts inks.
    pub(super) const fn transform(self) -> (ColorTransform, Channels) {
        match self {
            Self::Gray => (ColorTransform::Grayscale, Channels::Gray),
            Self::Rgb => (ColorTransform::RGB, Channels::Rgb),
            Self::Ycc => (ColorTransform::YCbCr, Channels::Rgb),
            Self::Cmyk => (ColorTransform::CMYK, Channels::CmykInverted),
            Self::CmykInverted => (ColorTransform::CMYK, Channels::Cmyk),
            Self::Ycck => (ColorTransform::YCCK, Channels::Cmyk),
        }
    }
}

fn bodies<'a>(bytes: &'a [u8], layout: &'a JpegLayout, marker: u8) -> impl Iterator<Item = &'a [u8]> {
    let segments = layout.segments.iter().filter(move |segment| segment.marker == marker);
    segments.filter_map(|segment| bytes.get(segment.body.clone()))
}

/// The data of the first EXIF segment, which the camera or editor wrote. Later EXIF segments come from embedded
/// pictures.
pub(super) fn first_exif<'a>(bytes: &'a [u8], layout: &'a JpegLayout) -> Option<&'a [u8]> {
    bodies(bytes, layout, APP1).find_map(|body| body.strip_prefix(b"Exif\0\0"))
}

/// The ICC profile, assembled from its chunks (ICC.1:2022, B.4); `None` unless each chunk is present exactly once.
pub(super) fn icc_profile(bytes: &[u8], layout: &JpegLayout) -> Option<Vec<u8>> {
    let chunks = bodies(bytes, layout, APP2).filter_map(|body| body.strip_prefix(b"ICC_PROFILE\0"));
    let mut chunks: Vec<(u8, u8, &[u8])> = chunks
        .filter_map(|chunk| match chunk {
            [number, count, data @ ..] if !data.is_empty() => Some((*number, *count, data)),
            _ => None,
        })
        .collect();
    chunks.sort_by_key(|chunk| chunk.0);
    let complete = chunks
        .iter()
        .zip(1..)
        .all(|(&(number, count, _), due)| number == due && usize::from(count) == chunks.len());
    (complete && !chunks.is_empty()).then(|| chunks.iter().flat_map(|chunk| chunk.2).copied().collect())
}
