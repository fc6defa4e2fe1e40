//! File formats by name: media types, extensions, and which rendition an upload gets by default.

use std::str::FromStr;

use super::{InputFormat, OutputFormat};

impl InputFormat {
    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Tiff => "image/tiff",
            Self::Bmp => "image/bmp",
            Self::Gif => "image/gif",
        }
    }

    /// The rendition's format when nobody asks for one: the upload's own where it can be, else PNG.
    pub const fn output(self) -> OutputFormat {
        match self {
            Self::Jpeg => OutputFormat::Jpeg,
            Self::WebP => OutputFormat::WebP,
            Self::Png | Self::Tiff | Self::Bmp | Self::Gif => OutputFormat::Png,
        }
    }
}

impl OutputFormat {
    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
        }
    }

    /// The usual file name extension, without a dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::WebP => "webp",
        }
    }
}

/// Not the name of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such format: it can be png, jpeg or webp")]
pub struct UnknownFormat;

impl FromStr for OutputFormat {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        match name.to_ascii_lowercase().as_str() {
            "png" => Ok(Self::Png),
            "jpeg" | "jpg" => Ok(Self::Jpeg),
            "webp" => Ok(Self::WebP),
            _ => Err(UnknownFormat),
        }
    }
}
