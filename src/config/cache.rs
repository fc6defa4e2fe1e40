//! Settings of the cache, which stores results so that no provider is paid twice for one photo.

use std::path::PathBuf;
use std::time::Duration;

use super::reference::Words;
use super::source::ConfigSource;
use super::store::StoreConfig;
use super::table::Table;

const WORDS: Words = &[
    ("enabled", "Whether results are cached."),
    ("memory", "Size of the memory cache, in bytes; 0 disables it."),
    ("dir", "Folder of the disk cache. Without a home folder there is no default and no disk cache."),
    ("max_bytes", "Size of the disk cache, in bytes; 0 disables it."),
    (
        "store",
        "A bucket in S3 or a compatible store that several gateways share. Its lifecycle rules limit its size.",
    ),
    ("s3", "Connection to the bucket of `cache.store`. Defaults come from AWS's own variables."),
    ("ttl", "Seconds until a result expires; 0 keeps results until space is needed."),
    (
        "share",
        "Whether clients share cached results (\"all\") or each client sees only its own (\"client\").",
    ),
];

/// Whether one client's result may answer another client's request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheSharing {
    /// Clients share results. The key is computed from the photo, so only a client that has the photo can look it up.
    #[default]
    All,
    /// Each client (API key, or else address) gets only its own results.
    Client,
}

/// Settings of the cache. The tiers are created when the program starts.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// False disables all tiers.
    pub enabled: bool,
    /// Maximum size of the memory tier, in bytes; 0 disables it.
    pub memory: u64,
    /// The folder of the disk tier, created if it is missing; none disables the tier.
    pub dir: Option<PathBuf>,
    /// Maximum size of the disk tier, in bytes; 0 disables it.
    pub max_bytes: u64,
    /// The tier that several gateways share; none disables it. The store's own lifecycle rules limit its size.
    pub store: Option<StoreConfig>,
    /// Lifetime of an entry; none stores it until the tier is full.
    pub ttl: Option<Duration>,
    pub share: CacheSharing,
}

impl CacheConfig {
    const MEMORY: u64 = 64 << 20;
    const MAX_BYTES: u64 = 4 << 30;
    /// 30 days.
    const TTL: Duration = Duration::from_secs(30 * 24 * 3600);

    pub(super) fn read(source: &ConfigSource, table: &mut Table<'_>) -> Self {
        const SHARES: [(&str, CacheSharing); 2] =
            [("all", CacheSharing::All), ("client", CacheSharing::Client)];
        const CENTURY: f64 = 3.2e9;
        table.describe(WORDS);
        let config = Self {
            enabled: table.flag("enabled", true),
            memory: table.bytes("memory", Self::MEMORY, 0..=1 << 40),
            dir: table.path("dir", source.cache_dir()),
            max_bytes: table.bytes("max_bytes", Self::MAX_BYTES, 0..=1 << 50),
            store: StoreConfig::read(table),
            ttl: Some(table.seconds("ttl", Self::TTL, 0.0..=CENTURY)).filter(|ttl| !ttl.is_zero()),
            share: table.choice("share", &SHARES).unwrap_or_default(),
        };
        if config.enabled && config.max_bytes > 0 && config.dir.is_none() {
            let message = "HOME is not set, so results are cached in memory only: set `cache.dir`, or \
                           `cache.max_bytes` to 0";
            table.warning(message.to_owned());
        }
        config
    }
}
