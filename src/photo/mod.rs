//! From an upload's bytes to a photo, and from a photo and a provider's chroma to a rendition.
//!
//! This room knows pixels and nothing of HTTP, providers or money. A decoded photo is kept as one
//! plane of 16-bit luminance: it is all that colouring needs, and a third of the memory of RGB.

use std::fmt;

/// The largest picture that is decoded; read from the header, before any pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most pixels, width times height.
    pub max_pixels: u64,
    /// Longest side, in pixels.
    pub max_side: u32,
}

impl Default for Limits {
    /// 50 megapixels and 16,384 a side.
    fn default() -> Self {
        Self { max_pixels: 50_000_000, max_side: 16_384 }
    }
}

/// The file formats an upload may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputFormat {
    /// JPEG, baseline or progressive.
    Jpeg,
    /// PNG.
    Png,
    /// WebP, lossy or lossless.
    WebP,
}

/// The formats a rendition may have; 8 bits a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputFormat {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    WebP,
}

/// What the header of a picture says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The file format, by its signature.
    pub format: InputFormat,
    /// Width in pixels as stored, before orientation is applied.
    pub width: u32,
    /// Height in pixels as stored, before orientation is applied.
    pub height: u32,
}

/// SHA-256 of width and height (u32 little endian) and the u16 luminance (little endian), row by
/// row, after orientation and ICC: the same picture in another file has the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PixelKey(pub [u8; 32]);

/// Luminance: CIE L\* from 0 to 100 as 0 to 65,535, row by row. The grey picture a provider gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grey {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height` values.
    pub luma: Vec<u16>,
}

/// The a and b planes of CIE L\*a\*b\* (D65) a provider contributes, usually smaller than the photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Chroma {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height` values of a\*.
    pub a: Vec<f32>,
    /// `width * height` values of b\*.
    pub b: Vec<f32>,
}

/// A decoded upload: upright, sRGB, within limits, as full-size luminance.
#[derive(Clone, Debug)]
pub struct Photo {
    /// The luminance, upright.
    pub grey: Grey,
    /// Opacity, `width * height` values, if the upload had any that is not full.
    pub alpha: Option<Vec<u8>>,
}

/// Why a picture could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhotoError {
    /// The bytes are no picture, or one of a format that is not read.
    #[error("{0}")]
    Unsupported(String),
    /// The header says more pixels than the limits allow.
    #[error("{0}")]
    TooManyPixels(String),
    /// The picture is broken or empty.
    #[error("{0}")]
    Broken(String),
    /// The output format cannot hold this picture.
    #[error("{0}")]
    Unwritable(String),
}

impl fmt::Display for OutputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::WebP => "webp",
        })
    }
}
