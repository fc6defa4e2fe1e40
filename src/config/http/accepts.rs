//! Which images a host accepts. The gateway encodes each image to fit, so most keys say how to encode it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use smart_default::SmartDefault;

use crate::config::kinds::{List, One, Size, kind};
use crate::config::place::Place;
use crate::photo::OutputFormat;

/// The images that the host accepts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema, SmartDefault)]
#[serde(default)]
pub struct AcceptsConfig {
    /// Accepted file formats, in order of preference: the next one is used if a file would exceed `max_bytes`.
    #[serde(with = "List::<AcceptedFormat>")]
    #[schemars(length(min = 1), extend("x-empty" = "name at least one of jpeg, png, webp"))]
    #[default(vec![OutputFormat::Jpeg])]
    pub formats: Vec<OutputFormat>,
    /// Quality of JPEG and WebP images to send.
    #[schemars(range(min = 1, max = 100))]
    #[default = 95]
    pub quality: u8,
    /// Maximum file size.
    #[serde(with = "One::<Size>")]
    #[schemars(range(min = 1024, max = 100u64 << 20))]
    #[default(10 << 20)]
    pub max_bytes: u64,
    /// Maximum pixels. Default: `send_max_pixels`.
    #[schemars(range(min = 1024, max = 1_000_000_000))]
    pub max_pixels: Option<u64>,
    /// Maximum width and height, in pixels. A larger image is scaled down.
    #[schemars(range(min = 16, max = 16_383))]
    #[default = 16_383]
    pub max_side: u32,
    /// Minimum width and height, in pixels. For a smaller image, the next provider is tried.
    #[schemars(range(min = 1, max = 16_383))]
    #[default = 1]
    pub min_side: u32,
    /// Maximum aspect ratio. Default: no limit.
    // In hundredths.
    #[serde(deserialize_with = "hundredths")]
    #[schemars(with = "Option<f64>", range(min = 1, max = 100))]
    pub max_aspect: Option<u32>,
    /// The only accepted sizes. An image is placed in the middle of the nearest size, and cut out of the reply.
    #[serde(deserialize_with = "List::<AcceptedSize>::deserialize")]
    #[schemars(with = "List::<AcceptedSize>", extend("default" = []))]
    pub sizes: Vec<(u32, u32)>,
}

kind!(AcceptedFormat: OutputFormat, "image-format", "jpeg, png or webp,", "jpeg", |text| {
    // Pictures for providers are not written as TIFF.
    text.parse().ok().filter(|format| *format != OutputFormat::Tiff)
});
kind!(
    /// Width and height.
    AcceptedSize: (u32, u32), "image-size", "a width and a height in pixels", "1024x1024", |text| {
        let side = |text: &str| text.parse().ok().filter(|side| (16..=8192).contains(side));
        text.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?)))
    }
);

fn hundredths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    f64::deserialize(deserializer).map(|ratio| Some((ratio * 100.0).round() as u32))
}

impl AcceptsConfig {
    pub(super) fn check(&self, place: &Place<'_>) {
        if self.min_side > self.max_side {
            let message = "`min_side` is larger than `max_side`: no picture would ever fit";
            place.problem(&["min_side"], message);
        }
    }

    /// Every setting that changes the pixels that are sent, in a fixed order and spelling. Part of the provider
    /// identity.
    pub fn settings(&self) -> String {
        let Self { formats, quality, max_bytes, max_pixels, max_side, sizes, .. } = self;
        let formats: Vec<_> = formats.iter().map(ToString::to_string).collect();
        format!("{} {quality} {max_bytes} {max_pixels:?} {max_side} {sizes:?}", formats.join(","))
    }
}
