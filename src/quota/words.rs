//! The words that limits are told in: where they count, whom, what, and in which time.

/// Where a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    /// Before the upload is read.
    Admit,
    /// When the answer has to be made.
    Spend,
}

/// Whom a limit counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitScope {
    /// Each address that sends no key.
    Client,
    /// Each key.
    Key,
    /// Everybody.
    All,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Requests with an upload.
    Requests,
    /// Bytes of their bodies.
    Bytes,
    /// Pictures that have to be coloured.
    Pictures,
    /// Their size. Amounts are in pixels.
    Megapixels,
}

/// The time that a rate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RatePeriod {
    /// One second.
    Second,
    /// 60 seconds.
    Minute,
    /// 3,600 seconds.
    Hour,
    /// 86,400 seconds.
    Day,
}

impl Gate {
    /// Its word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Spend => "spend",
        }
    }
}

impl LimitScope {
    /// Each with its word.
    pub const ALL: [(&str, Self); 3] = [("client", Self::Client), ("key", Self::Key), ("all", Self::All)];

    /// Its word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Key => "key",
            Self::All => "all",
        }
    }
}

impl Unit {
    /// Each with its word.
    pub const ALL: [(&str, Self); 4] = [
        ("requests", Self::Requests),
        ("bytes", Self::Bytes),
        ("pictures", Self::Pictures),
        ("megapixels", Self::Megapixels),
    ];

    /// Its word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Bytes => "bytes",
            Self::Pictures => "pictures",
            Self::Megapixels => "megapixels",
        }
    }

    /// Where it is known, and counted.
    pub const fn gate(self) -> Gate {
        match self {
            Self::Requests | Self::Bytes => Gate::Admit,
            Self::Pictures | Self::Megapixels => Gate::Spend,
        }
    }

    /// How many of what amounts are in make one of what the limit is told in.
    pub const fn scale(self) -> u64 {
        match self {
            Self::Requests | Self::Bytes | Self::Pictures => 1,
            Self::Megapixels => 1_000_000,
        }
    }

    /// The smallest amount that is told from nothing. Coarser than one where one is too fine for a clock in
    /// nanoseconds.
    pub(super) const fn cell(self) -> u64 {
        match self {
            Self::Requests | Self::Pictures => 1,
            Self::Bytes => 1024,
            Self::Megapixels => 10_000,
        }
    }
}

impl RatePeriod {
    /// Each with its word.
    pub const ALL: [(&str, Self); 4] =
        [("second", Self::Second), ("minute", Self::Minute), ("hour", Self::Hour), ("day", Self::Day)];

    /// Its word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Its length.
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }
}
