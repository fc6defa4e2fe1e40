//! What a client chooses about a rendition: the page and the rotation of its upload, the depth of its samples, and
//! which metadata it keeps.

use std::fmt;
use std::str::FromStr;

/// How an upload is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecodeOptions {
    /// The page of a multi-page TIFF, from 1 on. Thumbnails and masks are not counted. Other formats have one page.
    pub page: u32,
    /// Applied after the file's own orientation.
    pub rotation: Rotation,
}

impl Default for DecodeOptions {
    /// The first page, as the file says that it is upright.
    fn default() -> Self {
        Self { page: 1, rotation: Rotation::None }
    }
}

/// A clockwise rotation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rotation {
    #[default]
    None,
    Quarter,
    Half,
    ThreeQuarters,
}

impl Rotation {
    pub const fn degrees(self) -> u16 {
        match self {
            Self::None => 0,
            Self::Quarter => 90,
            Self::Half => 180,
            Self::ThreeQuarters => 270,
        }
    }
}

/// Bits of each sample of a rendition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Depth {
    #[default]
    Eight,
    /// PNG and TIFF only.
    Sixteen,
}

impl Depth {
    pub const fn bits(self) -> u8 {
        match self {
            Self::Eight => 8,
            Self::Sixteen => 16,
        }
    }
}

/// Which of an upload's metadata its rendition contains: EXIF, IPTC-IIM, XMP and the resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetadataPolicy {
    Keep,
    /// Without coordinates and names of places.
    KeepWithoutLocation,
    Strip,
}

impl MetadataPolicy {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::KeepWithoutLocation => "keep-without-location",
            Self::Strip => "strip",
        }
    }
}

/// Says in a rendition's XMP that a network coloured it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The provider's model.
    pub model: String,
    /// The model's version; `None` if it has none.
    pub version: Option<String>,
}

/// The error for an unknown value; lists the valid ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use {0}")]
pub struct UnknownOption(&'static str);

impl FromStr for Rotation {
    type Err = UnknownOption;

    fn from_str(degrees: &str) -> Result<Self, UnknownOption> {
        match degrees {
            "0" => Ok(Self::None),
            "90" => Ok(Self::Quarter),
            "180" => Ok(Self::Half),
            "270" => Ok(Self::ThreeQuarters),
            _ => Err(UnknownOption("0, 90, 180 or 270")),
        }
    }
}

impl FromStr for Depth {
    type Err = UnknownOption;

    fn from_str(bits: &str) -> Result<Self, UnknownOption> {
        match bits {
            "8" => Ok(Self::Eight),
            "16" => Ok(Self::Sixteen),
            _ => Err(UnknownOption("8 or 16")),
        }
    }
}

impl FromStr for MetadataPolicy {
    type Err = UnknownOption;

    fn from_str(name: &str) -> Result<Self, UnknownOption> {
        [Self::Keep, Self::KeepWithoutLocation, Self::Strip]
            .into_iter()
            .find(|policy| policy.name() == name)
            .ok_or(UnknownOption("keep, keep-without-location or strip"))
    }
}

impl fmt::Display for MetadataPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
