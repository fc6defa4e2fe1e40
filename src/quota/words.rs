//! The words of the configuration for limits: gate, scope, unit and period.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a limit applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    /// Before the upload is read.
    Admit,
    /// When a rendition must be made.
    Spend,
}

/// Which clients share a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LimitScope {
    /// Each client without a key has its own counter.
    #[default]
    Client,
    /// Each key has its own counter.
    Key,
    /// All clients share one counter.
    All,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Requests with an upload.
    Requests,
    /// Bytes of bodies.
    Bytes,
    /// Images to colour.
    Pictures,
    /// The size of images to colour. Amounts are in pixels.
    Megapixels,
}

/// The time that a rate refers to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RatePeriod {
    Second,
    #[default]
    Minute,
    Hour,
    Day,
}

impl Gate {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Spend => "spend",
        }
    }
}

impl LimitScope {
    pub const ALL: [(&str, Self); 3] = [("client", Self::Client), ("key", Self::Key), ("all", Self::All)];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Key => "key",
            Self::All => "all",
        }
    }
}

impl Unit {
    pub const ALL: [(&str, Self); 4] = [
        ("requests", Self::Requests),
        ("bytes", Self::Bytes),
        ("pictures", Self::Pictures),
        ("megapixels", Self::Megapixels),
    ];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Bytes => "bytes",
            Self::Pictures => "pictures",
            Self::Megapixels => "megapixels",
        }
    }

    /// The gate at which the amount is known.
    pub const fn gate(self) -> Gate {
        match self {
            Self::Requests | Self::Bytes => Gate::Admit,
            Self::Pictures | Self::Megapixels => Gate::Spend,
        }
    }

    /// The counted amount for one configured unit: 1,000,000 pixels for a megapixel.
    pub const fn scale(self) -> u64 {
        match self {
            Self::Requests | Self::Bytes | Self::Pictures => 1,
            Self::Megapixels => 1_000_000,
        }
    }

    /// The smallest amount that is counted. It is above 1 where 1 would be too fine for a clock in nanoseconds.
    pub(super) const fn cell(self) -> u64 {
        match self {
            Self::Requests | Self::Pictures => 1,
            Self::Bytes => 1024,
            Self::Megapixels => 10_000,
        }
    }
}

impl RatePeriod {
    pub const ALL: [(&str, Self); 4] =
        [("second", Self::Second), ("minute", Self::Minute), ("hour", Self::Hour), ("day", Self::Day)];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    pub const fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }
}
