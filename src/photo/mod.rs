//! Decodes an upload to a photo, and makes a rendition from a photo and a provider's chroma.
//!
//! This module does not depend on HTTP, providers or credit. A decoded photo is one plane of 16-bit luminance, and
//! opacity if it has any. Colouring needs no more, and luminance takes a third of the memory of 16-bit RGB. All
//! functions compute on the calling thread, so callers must use blocking threads.

mod bilevel;
mod chroma;
mod color;
mod decode;
mod encode;
mod format;
mod gamut;
mod gray;
mod guided;
mod head;
mod ifd;
mod join;
mod jpeg;
mod jxl;
mod kinds;
mod lab;
mod merge;
mod metadata;
mod needs;
mod options;
mod orient;
mod panics;
mod resample;
mod rgb;
mod rows;
mod simd;
mod tiff_sizes;

use std::fmt;

use sha2::{Digest, Sha256};

pub use color::ColorStatistics;
#[doc(hidden)]
pub use decode::fuzzing;
pub use encode::{EncodeOptions, Encoded, PARALLEL_FROM, encode, encode_own, encode_upload};
pub use format::COLORED;
pub use gray::{contrast, luma_correlation};
pub use head::{check_size, format_of, read_head, read_head_of};
pub use join::join_pages;
#[doc(hidden)]
pub use merge::merged;
pub use metadata::{Tags, rendition_tags};
pub use options::{DecodeOptions, Depth, Mark, MetadataPolicy, Rotation, UnknownOption};
pub use panics::CodecStep;
pub(crate) use panics::caught;
pub use rgb::Rgb;
pub use tiff_sizes::tiff_sizes;

/// The maximum size of an image. It is checked in the header, before any pixel is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum of width times height.
    pub max_pixels: u64,
    /// Maximum width and maximum height, in pixels.
    pub max_side: u32,
}

impl Limits {
    /// No limits, for reading only the header.
    pub const NONE: Self = Self { max_pixels: u64::MAX, max_side: u32::MAX };
}

impl Default for Limits {
    /// 50 megapixels, and 16,384 pixels per side.
    fn default() -> Self {
        Self { max_pixels: 50_000_000, max_side: 16_384 }
    }
}

/// The file formats of uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputFormat {
    /// JPEG, baseline or progressive.
    Jpeg,
    /// PNG; of an animation, the default image.
    Png,
    /// WebP, lossy or lossless; of an animation, the first frame.
    WebP,
    /// TIFF, the first page that is a picture.
    Tiff,
    /// Windows bitmap.
    Bmp,
    /// GIF, the first frame.
    Gif,
    /// JPEG XL; of an animation, the first frame.
    Jxl,
}

/// The file formats of renditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputFormat {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    WebP,
    /// TIFF.
    Tiff,
}

/// The content of an image's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageHeader {
    /// The format, identified by the file's signature.
    pub format: InputFormat,
    /// Width in pixels as stored, before orientation is applied; of a JPEG XL file, whose decoder applies the
    /// orientation, upright.
    pub width: u32,
    /// Height in pixels, as [`Self::width`].
    pub height: u32,
    /// Number of pages; 1 in formats without pages.
    pub pages: u32,
    needs: needs::MemoryNeeds,
}

impl ImageHeader {
    /// [`Self::memory_at`] for a result with 8 bits per sample.
    pub fn memory(&self, to: OutputFormat) -> u64 {
        self.memory_at(to, Depth::Eight)
    }

    /// Maximum bytes of memory to decode the image, orient it and encode it as `to`, with its own colours or a
    /// provider's. The bytes of the file itself are not included.
    pub fn memory_at(&self, to: OutputFormat, depth: Depth) -> u64 {
        self.needs.memory(self.pixels(), to, depth)
    }

    /// Width times height.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// SHA-256 of width and height (u32 little endian) and the u16 luminance (little endian), row by row, after the
/// orientation and the ICC profile were applied. The same pixels in another file have the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PixelKey(pub [u8; 32]);

/// Luminance: CIE L\* from 0 to 100 as 0 to 65,535, row by row. Providers get it as a small grey image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gray {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height` values.
    pub luma: Vec<u16>,
}

/// The a\* and b\* planes of CIE L\*a\*b\* (D65) from a provider, usually smaller than the photo.
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

/// A decoded upload: upright luminance at full size, within the limits.
#[derive(Clone, Debug)]
pub struct Photo {
    /// The luminance, upright.
    pub gray: Gray,
    /// Opacity, `width * height` values, if the upload is not fully opaque.
    pub alpha: Option<Vec<u8>>,
    /// Statistics of the upload's own colour.
    pub color: ColorStatistics,
    /// The missing part, if the file is damaged and the rest is viewable.
    pub damage: Option<Damage>,
}

/// What is missing from a damaged image, as a sentence for the user, such as "The last 34 % of the picture is missing."
/// The missing part is filled with grey, or with the coarser pixels of an interlaced file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage(pub String);

impl Photo {
    /// Decodes an upload: checks the size in the header, converts the pixels to sRGB with the ICC profile and then to
    /// luminance, and turns the picture upright. The dots of a one-bit scan become greys.
    ///
    /// # Errors
    /// [`PhotoError::Unsupported`] for an unsupported file, [`PhotoError::TooManyPixels`] above the limits,
    /// [`PhotoError::Broken`] for a damaged or truncated file of which too little can be read.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, PhotoError> {
        Self::decode_as(bytes, &DecodeOptions::default(), limits)
    }

    /// Decodes a page of an upload and rotates it.
    ///
    /// # Errors
    /// As [`Self::decode`], and [`PhotoError::NoSuchPage`].
    pub fn decode_as(bytes: &[u8], options: &DecodeOptions, limits: &Limits) -> Result<Self, PhotoError> {
        decode::photo(bytes, options, limits)
    }

    /// An opaque photo without colour or damage.
    pub fn from_gray(gray: Gray) -> Self {
        Self { gray, alpha: None, color: ColorStatistics::default(), damage: None }
    }

    /// Width in pixels, upright.
    pub fn width(&self) -> u32 {
        self.gray.width
    }

    /// Height in pixels, upright.
    pub fn height(&self) -> u32 {
        self.gray.height
    }

    /// Hashes the luminance; about 15 ms for 12 megapixels.
    pub fn pixel_key(&self) -> PixelKey {
        let mut hash = Sha256::new();
        hash.update(self.gray.width.to_le_bytes());
        hash.update(self.gray.height.to_le_bytes());
        let mut bytes = [0; 8192];
        for block in self.gray.luma.chunks(bytes.len() / 2) {
            for (pair, value) in bytes.chunks_exact_mut(2).zip(block) {
                pair.copy_from_slice(&value.to_le_bytes());
            }
            hash.update(&bytes[..block.len() * 2]);
        }
        PixelKey(hash.finalize().into())
    }

    /// Whether the upload has colour beyond a single tint of the whole image: sepia, yellowed paper and toned prints
    /// do not count. See [`ColorStatistics`].
    pub fn is_colored(&self) -> bool {
        self.color.is_colored()
    }

    /// The grey image for a provider: at most `max_pixels`, with the same aspect ratio, never enlarged. Transparent
    /// parts become white, because the pixels under them are arbitrary.
    pub fn gray_for(&self, max_pixels: u64) -> Gray {
        gray::for_provider(self, max_pixels)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhotoError {
    /// Not an image, or an unsupported format.
    #[error("{0}")]
    Unsupported(String),
    #[error("{0}")]
    TooManyPixels(String),
    #[error("{0}")]
    Broken(String),
    /// The file has fewer pages than the request names.
    #[error("The file has {pages} {}; there is no page {page}.", if *pages == 1 { "page" } else { "pages" })]
    NoSuchPage { page: u32, pages: u32 },
    #[error("{0}")]
    Unwritable(String),
    /// A codec panicked, which is a defect; the log has details.
    #[error("{1}")]
    Panicked(CodecStep, String),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for OutputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::WebP => "webp",
            Self::Tiff => "tiff",
        })
    }
}
