//! File formats: names, media types, extensions, and the default format of an upload's rendition.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::{InputFormat, OutputFormat};

/// What follows an original's name in the name of its coloured copy.
pub const COLORED: &str = "-coloured";

impl InputFormat {
    /// All formats, the most common first.
    pub const ALL: [Self; 7] =
        [Self::Jpeg, Self::Png, Self::WebP, Self::Tiff, Self::Gif, Self::Bmp, Self::Jxl];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Tiff => "TIFF",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Jxl => "JPEG XL",
        }
    }

    /// The format with this [name](Self::name).
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The revision of this format's decoder, which is part of cache keys. Increase it by one when a change makes any
    /// file of the format decode to other pixels, so that results with the old pixels are not used again. Results of
    /// the other formats keep their keys.
    pub const fn decoder_revision(self) -> u8 {
        match self {
            // Revision 1 of WebP: the EXIF orientation may have any integer type.
            Self::Jpeg | Self::Png | Self::Tiff | Self::Bmp | Self::WebP => 1,
            Self::Gif | Self::Jxl => 0,
        }
    }

    /// The decoder revisions in use, the newest first.
    pub fn decoder_revisions() -> impl Iterator<Item = u8> {
        BTreeSet::from(Self::ALL.map(Self::decoder_revision)).into_iter().rev()
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Tiff => "image/tiff",
            Self::Bmp => "image/bmp",
            Self::Gif => "image/gif",
            Self::Jxl => "image/jxl",
        }
    }

    /// The default format of the rendition: the upload's format if PixColor can write it, otherwise PNG.
    pub const fn output(self) -> OutputFormat {
        match self {
            Self::Jpeg => OutputFormat::Jpeg,
            Self::WebP => OutputFormat::WebP,
            Self::Png | Self::Tiff | Self::Bmp | Self::Gif | Self::Jxl => OutputFormat::Png,
        }
    }
}

impl OutputFormat {
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
            Self::Tiff => "image/tiff",
        }
    }

    /// Whether files of this format may have 16 bits per sample.
    pub const fn has_16_bits(self) -> bool {
        matches!(self, Self::Png | Self::Tiff)
    }

    /// The usual file name extension, without a dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::WebP => "webp",
            Self::Tiff => "tif",
        }
    }

    /// The file name of the coloured copy: `grandmother.tif` becomes `grandmother-coloured.png`.
    pub fn colored_name(self, original: &str) -> String {
        let name = original.rsplit(['/', '\\']).next().unwrap_or_default();
        let stem = match name.rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => stem,
            _ => name,
        };
        let stem = if stem.is_empty() { "photograph" } else { stem };
        format!("{stem}{}", self.colored_ending())
    }

    /// The suffix that replaces the original's extension in the name of a coloured copy.
    pub fn colored_ending(self) -> String {
        format!("{COLORED}.{}", self.extension())
    }
}

/// The error for an unknown format name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format: use png, jpeg, webp or tiff")]
pub struct UnknownFormat;

impl FromStr for OutputFormat {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        match name.to_ascii_lowercase().as_str() {
            "png" => Ok(Self::Png),
            "jpeg" | "jpg" => Ok(Self::Jpeg),
            "webp" => Ok(Self::WebP),
            "tiff" | "tif" => Ok(Self::Tiff),
            _ => Err(UnknownFormat),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colored_copy_is_named_after_its_original() {
        for (original, expected) in [
            ("grandmother.tif", "grandmother-coloured.jpg"),
            ("a.b.png", "a.b-coloured.jpg"),
            ("scans/1931.png", "1931-coloured.jpg"),
            ("C:\\scans\\1931.png", "1931-coloured.jpg"),
            (".hidden", ".hidden-coloured.jpg"),
            ("", "photograph-coloured.jpg"),
        ] {
            assert_eq!(OutputFormat::Jpeg.colored_name(original), expected);
        }
    }
}
