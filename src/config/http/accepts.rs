//! Which images a host accepts. The gateway encodes each image to fit, so most keys say how to encode it.

use std::cell::Cell;

use figment::value::Value;

use crate::config::reference::Words;
use crate::config::table::Table;
use crate::config::values::whole;
use crate::photo::OutputFormat;

/// The largest `max_bytes`, in bytes.
const MOST_BYTES: u64 = 100 << 20;

const WORDS: Words = &[
    (
        "formats",
        "Accepted file formats, in order of preference: the next one is used if a file would exceed `max_bytes`.",
    ),
    ("quality", "Quality of JPEG and WebP images to send."),
    ("max_bytes", "Maximum file size."),
    ("max_pixels", "Maximum pixels. Default: `send_max_pixels`."),
    ("max_side", "Maximum width and height, in pixels. A larger image is scaled down."),
    ("min_side", "Minimum width and height, in pixels. A smaller image goes to the next provider."),
    ("max_aspect", "Maximum aspect ratio. Default: no limit."),
    (
        "sizes",
        "The only accepted sizes. An image is placed in the middle of the nearest size, and cut out of the reply.",
    ),
];

/// Which images a host accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptsConfig {
    /// File formats in order of preference. The next format is tried if a file is larger than `max_bytes`.
    pub formats: Vec<OutputFormat>,
    /// 1 to 100, for JPEG and WebP.
    pub quality: u8,
    pub max_bytes: u64,
    /// None: only `send_max_pixels` limits the size.
    pub max_pixels: Option<u64>,
    /// Longest side, in pixels.
    pub max_side: u32,
    /// Shortest side, in pixels.
    pub min_side: u32,
    /// Maximum ratio of the longer to the shorter side, in hundredths; none is unlimited.
    pub max_aspect: Option<u32>,
    /// The only sizes that the host accepts, as width and height; empty accepts any. The image is centred in the
    /// nearest size, and the same part is cut out of the result.
    pub sizes: Vec<(u32, u32)>,
}

impl Default for AcceptsConfig {
    fn default() -> Self {
        Self {
            formats: vec![OutputFormat::Jpeg],
            quality: 95,
            max_bytes: 10 << 20,
            max_pixels: None,
            max_side: 16_383,
            min_side: 1,
            max_aspect: None,
            sizes: Vec::new(),
        }
    }
}

impl AcceptsConfig {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        table.describe(WORDS);
        let default = Self::default();
        let seen = Cell::new(false);
        let format = |text: &str| {
            seen.set(true);
            text.parse().ok()
        };
        let formats = table.list("formats", default.formats, ("jpeg, png or webp,", "jpeg"), format);
        // An unknown format is already reported as a problem.
        if formats.is_empty() && !seen.get() {
            table.problem(&["formats"], "`formats` is empty: name at least one of jpeg, png, webp");
        }
        let size = |text: &str| AcceptedSize::parse(text);
        let sizes = table.list("sizes", Vec::new(), ("a width and a height in pixels", "1024x1024"), size);
        let config = Self {
            formats,
            quality: table.whole("quality", default.quality, 1..=100),
            max_bytes: table.bytes("max_bytes", default.max_bytes, 1024..=MOST_BYTES),
            max_pixels: table.optional("max_pixels", "a whole number from 1024 to 1000000000", |value| {
                let number = whole(value).and_then(|number| u64::try_from(number).ok());
                number.filter(|number| (1024..=1_000_000_000).contains(number))
            }),
            max_side: table.whole("max_side", default.max_side, 16..=default.max_side),
            min_side: table.whole("min_side", default.min_side, 1..=default.max_side),
            max_aspect: table.optional("max_aspect", "a number from 1 to 100", aspect),
            sizes: sizes.into_iter().map(|AcceptedSize(width, height)| (width, height)).collect(),
        };
        if config.min_side > config.max_side {
            table.problem(&["min_side"], "`min_side` is larger than `max_side`: no picture would ever fit");
        }
        config
    }

    /// Every setting that changes the pixels that are sent, in a fixed order and spelling. Part of the provider
    /// identity.
    pub fn settings(&self) -> String {
        let Self { formats, quality, max_bytes, max_pixels, max_side, sizes, .. } = self;
        let formats: Vec<_> = formats.iter().map(ToString::to_string).collect();
        format!("{} {quality} {max_bytes} {max_pixels:?} {max_side} {sizes:?}", formats.join(","))
    }
}

struct AcceptedSize(u32, u32);

impl AcceptedSize {
    fn parse(text: &str) -> Option<Self> {
        let (width, height) = text.split_once('x')?;
        let side = |text: &str| text.parse().ok().filter(|side| (16..=8192).contains(side));
        Some(Self(side(width)?, side(height)?))
    }
}

impl std::fmt::Display for AcceptedSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.0, self.1)
    }
}

fn aspect(value: &Value) -> Option<u32> {
    let number = value.to_num()?;
    let number = number.to_f64().or_else(|| u32::try_from(whole(value)?).ok().map(f64::from))?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (1.0..=100.0).contains(&number).then(|| (number * 100.0).round() as u32)
}
